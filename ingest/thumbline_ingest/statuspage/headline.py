"""The sentence on top: whether all is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from .overview import Headline, Overview
from .words import ago, many, span

# A loader lands what it reads within about a second; this is when one begins to look for it.
_LATE_S: Final = 15.0


def headline(seen: Overview) -> Headline:
    """The first of the sentences that fits, the most urgent ones first; with what is wrong beside it."""
    problems = [found for look in _PROBLEMS for found in look(seen)]
    if problems:
        first = problems[0]
        return Headline("bad", f"{first.text} {_counted(seen)}".strip(), [t for p in problems for t in _todo(p, first)])
    if not _has_arrived(seen):
        return _nothing(seen)
    if not seen.figures.landed.hour and not seen.waiting:
        last = max(last.last_at for last in seen.figures.last)
        text = f"Quiet: the last event arrived {ago(last, seen.now)}. {_totals(seen)}"
        return Headline("quiet", f"{text} {_refused(seen)}".strip())
    what = "Votes arrive." if seen.figures.votes.day else "Answers arrive, and no votes yet."
    return Headline("good", f"{what} {_counted(seen)}")


def _todo(problem: Headline, first: Headline) -> list[str]:
    return problem.todo if problem is first else [problem.text, *problem.todo]


def _no_key(seen: Overview) -> Iterator[Headline]:
    if seen.keys == 0 and not _has_arrived(seen):
        yield Headline(
            "bad",
            "Nothing can arrive yet: there is no write key.",
            ["thumbline keys create --project my-chat", "Give the key that it prints to thumbline.Client."],
        )


def _collector(seen: Overview) -> Iterator[Headline]:
    state = seen.collector
    if state.error:
        text = f"The collector at {seen.collector_url} does not answer: no event is taken on this machine."
        yield Headline("bad", text, ["Start it: thumbline up, or thumbline collect"])
    elif state.value is not None and not state.value.is_ready:
        yield Headline("bad", f"The collector takes no events now: {state.value.problem}.")


def _log(seen: Overview) -> Iterator[Headline]:
    if seen.log.error or (seen.log.is_waiting and seen.log.value is None):
        yield Headline("bad", f"The log {seen.log_name} does not answer: what waits in it is not known.")


def _warehouse(seen: Overview) -> Iterator[Headline]:
    if seen.warehouse.error:
        yield Headline("bad", "The warehouse cannot be read; the figures below are older, or missing.")


def _late(seen: Overview) -> Iterator[Headline]:
    if seen.waiting and seen.oldest_waiting_s > _LATE_S:
        text = f"{many(seen.waiting, 'event')} in the log, the oldest for {span(seen.oldest_waiting_s)}: "
        yield Headline(
            "bad",
            f"{text}no loader lands them, or it does not keep up.",
            ["Start one: thumbline load. To see what it does: thumbline -v load"],
        )


def _lost(seen: Overview) -> Iterator[Headline]:
    if seen.figures.lost.day:
        yield Headline("bad", f"{many(seen.figures.lost.day, 'record')} were dropped by the log before they were read.")


def _conflicts(seen: Overview) -> Iterator[Headline]:
    if seen.figures.conflict.day:
        yield Headline(
            "bad",
            f"{many(seen.figures.conflict.day, 'event')} of the last day came under an id that another event has, and "
            "did not land.",
            ["Which, and what they say otherwise: thumbline query 'FROM conflicts'. Give each event an id of its own."],
        )


def _set_aside(seen: Overview) -> Iterator[Headline]:
    count = sum(count.hour for count in seen.figures.quarantined.values())
    if count:
        yield Headline("bad", f"{many(count, 'record')} went to quarantine in the last hour; the reasons are below.")


_PROBLEMS: Final[tuple[Callable[[Overview], Iterator[Headline]], ...]] = (
    _no_key,
    _collector,
    _log,
    _warehouse,
    _late,
    _lost,
    _conflicts,
    _set_aside,
)


def _nothing(seen: Overview) -> Headline:
    refused = _refused(seen)
    return Headline(
        "quiet",
        f"Nothing has arrived yet. {refused}".strip(),
        [
            f'thumbline.Client("{seen.collector_url}", key="tlk_...") in your back end, and tl.thumb(...) for a vote',
            "or generated events to try it with: thumbline sample",
        ],
    )


def _has_arrived(seen: Overview) -> bool:
    totals = seen.figures.totals
    return bool(totals.landed or totals.quarantined or seen.waiting)


def _counted(seen: Overview) -> str:
    if not _has_arrived(seen):
        return _refused(seen)
    landed, waiting = seen.figures.landed.hour, seen.waiting
    if waiting is None:
        text = f"{many(landed, 'event')} of the last hour {_have(landed)} landed."
    elif waiting:
        text = f"{many(landed + waiting, 'event')} in the last hour, {landed:,} landed and {waiting:,} on the way."
    else:
        text = f"{many(landed, 'event')} in the last hour, all landed." if landed else _totals(seen)
    return f"{text} {_refused(seen)}".strip()


def _totals(seen: Overview) -> str:
    return f"{many(seen.figures.totals.landed, 'event')} {_have(seen.figures.totals.landed)} landed in all."


def _refused(seen: Overview) -> str:
    count = seen.rejected().hour
    if not count:
        return ""
    least = "At least " if seen.is_rejected_at_least else ""
    return f"{least}{count:,} rejected."


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
