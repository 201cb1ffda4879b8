"""`thumbline sample`: generated events, sent through the SDK as a product would."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import click

from .context import settings_of

_TOPICS: Final = ("sourdough", "a bicycle chain", "compound interest", "the tides", "a leaking tap", "photosynthesis")
_ASKS: Final = ("Explain {} to a child.", "What do people get wrong about {}?", "Give me three tips about {}.")
_POLICIES: Final = (("acme-7b", "acme-7b@step-1200", 0.62), ("acme-7b", "acme-7b@step-1400", 0.74))
_REASONS: Final = ("wrong", "too_long", "off_topic")


@click.command()
@click.option("--url", metavar="URL", help="The collector.  [default: that of the settings]")
@click.option(
    "--key",
    metavar="KEY",
    envvar="THUMBLINE_KEY",
    help="A write key.  [env: THUMBLINE_KEY; default: a new one for project 'demo']",
)
@click.option("--conversations", type=int, default=60, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws them.")
@click.pass_context
def sample(context: click.Context, /, url: str | None, key: str | None, conversations: int, seed: int) -> None:
    """Send generated conversations, thumbs and picks through the SDK, as a product would."""
    import thumbline
    from thumbline_ingest.keys import KeyStore

    settings = settings_of(context)
    client = thumbline.Client(
        url or f"http://{settings.host}:{settings.port}",
        key=key or KeyStore(settings.keys_path).create("demo"),
        pepper="demo",
        app="sample-chat",
        surface="web",
        training_consent="granted",
    )
    with client as tl:
        draw = random.Random(seed)
        for number in range(conversations):
            _conversation(tl, draw, f"sample-{seed}-{number}")
        arrived = tl.flush(timeout=30)
        stats = tl.stats()
    click.echo(f"{stats.accepted + stats.duplicate} of {stats.created} events arrived", err=True)
    if not arrived or stats.accepted + stats.duplicate != stats.created:
        raise SystemExit(1)


def _conversation(tl: Any, draw: random.Random, name: str) -> None:
    """Two turns: a thumb on the first answer, a choice of two answers for the second."""
    rater = f"user-{draw.randrange(40)}"
    when = datetime.now(timezone.utc) - timedelta(minutes=draw.randrange(60 * 24 * 7))
    subject = draw.choice(_TOPICS)
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": draw.choice(_ASKS).format(subject)},
    ]
    first = _answer(tl, draw, messages, name, rater, when)
    tl.exposure(first, rater=rater, occurred_at=when)
    if draw.random() < 0.6:
        _thumb(tl, draw, first, rater, when + timedelta(seconds=20))
    messages += [
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": "Can you say it in one line?"},
    ]
    later = when + timedelta(minutes=1)
    answers = [_answer(tl, draw, messages, name, rater, later, turn=1) for _ in range(2)]
    pair = tl.comparison(answers, occurred_at=later)
    outcome = draw.choices([answers[0], answers[1], "tie", "both_bad"], [4, 4, 2, 1])[0]
    tl.pick(pair, outcome, rater=rater, occurred_at=later + timedelta(seconds=30))


def _answer(
    tl: Any, draw: random.Random, messages: list[dict[str, Any]], name: str, author: str, when: datetime, turn: int = 0
) -> Any:
    model, policy, _ = draw.choice(_POLICIES)
    text = f"Here is how I see it ({draw.randrange(10_000)}): start small, check your work, and ask again."
    return tl.completion(
        messages=messages,
        response=text,
        model=model,
        policy=policy,
        conversation_id=name,
        author=author,
        turn=turn,
        latency_ms=round(draw.lognormvariate(6, 0.4), 1),
        occurred_at=when,
    )


def _thumb(tl: Any, draw: random.Random, answer: Any, rater: str, when: datetime) -> None:
    if draw.random() < 0.68:
        tl.thumb(answer, "up", rater=rater, occurred_at=when)
        return
    tl.thumb(answer, "down", rater=rater, tags=[draw.choice(_REASONS)], comment="Not what I asked.", occurred_at=when)
    if draw.random() < 0.1:
        tl.thumb(answer, "retracted", rater=rater, occurred_at=when + timedelta(seconds=5))
