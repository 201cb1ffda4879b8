"""The client: what a chat back end calls."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from ._guard import guarded, harmless_answer, harmless_id, harmless_pair, minting, own_event_id
from ._ids import event_id_from, uuid7
from ._log import QuietLog
from ._plain import LEFT_OUT, LeftOut, plain_text
from ._snapshot import listed, snapshot
from .clock import SystemClock
from .errors import InvalidEvent, invalid
from .handles import Answer, Conversation, Pair, answer_of, pair_of, plain_id, target_of
from .settings import ClientOptions, resolve

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from ._pipeline import Pipeline
    from .clock import Clock
    from .events import ConsentValue
    from .handles import AnswerLike, PairLike, PlainId, RaterLike, TargetLike
    from .receipts import Minter
    from .stats import Drop, Stats
    from .transport import Transport

__all__ = ["Client", "Common"]

_log = QuietLog("client")

_BASE_SIZE: Final = 700  # bytes that Python takes for a queued event without its text
_OUTCOMES: Final = frozenset({"tie", "both_bad", "skip", "retracted"})


class Common(TypedDict, total=False):
    """
    Keyword arguments that every method takes.

    Attributes:
        event_id: the host's own key of the event: with the same kind it is stored once. Drawn when left out.
        occurred_at: when it happened, with a time zone; now when left out.
        conversation_id: the conversation; the handle's when left out.
        app: product; the client's setting when left out. The same for `surface`, `app_version`
            and `training_consent`.
        surface: where in the product.
        app_version: the product's release.
        training_consent: whether this event may train a model.
        properties: anything else to keep.
    """

    event_id: PlainId | None
    occurred_at: datetime | None
    conversation_id: PlainId | None
    app: str | None
    surface: str | None
    app_version: str | None
    training_consent: ConsentValue | None
    properties: Mapping[str, Any] | None


_COMMON: Final = frozenset(Common.__annotations__)


class Client:
    """
    Records feedback and delivers it in the background.

        tl = Client("https://feedback.example.com", key="...")
        answer = tl.completion(messages=messages, response=text, model="acme-7b")
        tl.thumb(answer, "up", rater="user-42")

    No method raises, blocks on the network or logs what it was given; with `debug=True` a wrong event
    raises `InvalidEvent` instead of being counted. May be used from any thread, and after a fork by
    parent and child.

    Args:
        url: base URL of the collector; `THUMBLINE_URL` when left out.
        key: write key; `THUMBLINE_KEY` when left out.
        transport: carries batches, in place of HTTP.
        clock: tells the time, in place of the machine's.
        on_drop: called for each event that is given up, on the thread where that is noticed; must be
            quick. What it raises is swallowed. `flush` and `close` return only when it knows all that
            `stats` counts.
        options: see `ClientSettings`.

    Raises:
        ValueError: URL or key are missing or malformed, or an option has a bad value. Raised with and
            without `debug`: it happens once, when the host starts, and hides nothing from its users.
        TypeError: an unknown option.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        transport: Transport | None = None,
        clock: Clock | None = None,
        on_drop: Callable[[Drop], object] | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        # Both take a while to load. Here it happens on a thread and at a moment that the host chose,
        # and not while another thread forks.
        from ._pipeline import Pipeline
        from .transport import HttpTransport

        self._settings = settings = resolve(url, key, options)
        if transport is None:
            transport = HttpTransport(
                settings.url,
                connect_timeout_s=settings.connect_timeout_s,
                read_timeout_s=settings.read_timeout_s,
                request_timeout_s=settings.request_timeout_s,
            )
        self._clock = clock or SystemClock()
        self._minter: Minter | None = None
        self._pipeline: Pipeline = Pipeline(settings, transport, self._clock, on_drop or _ignore)
        self._retire = weakref.finalize(self, self._pipeline.retire)
        self._retire.atexit = False  # the end of the process is the pipeline's own business

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<thumbline.Client {self._settings.url} | {stats.queued} queued, {stats.spooled} spooled>"

    # -- answers and comparisons -----------------------------------------------------------------------

    @guarded(harmless_answer)
    def completion(
        self,
        *,
        messages: Iterable[Any],
        response: Any,
        model: str,
        policy: str | None = None,
        completion_id: PlainId | None = None,
        tools: Iterable[Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        latency_ms: float | None = None,
        finish_reason: str | None = None,
        turn: int | None = None,
        parent: AnswerLike | None = None,
        author: RaterLike | None = None,
        **common: Unpack[Common],
    ) -> Answer:
        """
        Record that an answer was produced.

        Args:
            messages: everything before the answer, as OpenAI chat messages; copied at once.
            response: the answer's text, or an assistant message.
            model: the model's name.
            policy: the exact checkpoint, e.g. `acme-7b@step-1200`.
            completion_id: the host's own id of the answer; drawn when left out.
            tools: tool definitions that the model was given.
            sampling: sampling parameters.
            latency_ms: milliseconds until the answer was complete.
            finish_reason: why the answer ended, as the API says: `stop`, `length` (cut off), `tool_calls` ...
            turn: the answer's place in the conversation, from 0.
            parent: the answer that this one follows or replaces.
            author: id of the person whose prompt it is; hashed like a rater's.
            common: see `Common`.

        Returns:
            A handle for votes on the answer.
        """
        own_id = uuid7() if completion_id is None else plain_id(completion_id, "completion_id")
        fields: dict[str, Any] = {"kind": "completion", "completion_id": own_id, "model": model}
        size = _BASE_SIZE
        response = {"role": "assistant", "content": response} if isinstance(response, str) else response
        parts = {"messages": messages, "response": response, "tools": tools, "sampling": sampling}
        for name, value in parts.items():
            if value is not None:
                fields[name], taken = snapshot(listed(value))
                size += taken
        _set(fields, policy=policy, latency_ms=latency_ms, finish_reason=_word(finish_reason), turn=turn, author=author)
        if parent is not None:
            fields["parent_id"] = _or_left_out(lambda: answer_of(parent, "parent_id")[0])
        self._record(fields, size, None, common)
        return Answer(own_id, fields.get("conversation_id"), _text_of(fields.get("response")))

    @guarded(harmless_pair)
    def comparison(
        self,
        answers: Sequence[AnswerLike],
        *,
        order: Sequence[AnswerLike] | None = None,
        probability: float | None = None,
        comparison_id: PlainId | None = None,
        **common: Unpack[Common],
    ) -> Pair:
        """
        Record that answers are put side by side, and draw the order in which to show them.

        Args:
            answers: two or more answers.
            order: the same answers as the host ordered them; when left out, drawn at random, every
                order with the same probability.
            probability: with which the host drew `order`; None where it cannot say.
            comparison_id: the host's own id; drawn when left out.
            common: see `Common`.

        Returns:
            A handle with the order to show.
        """
        own_id = uuid7() if comparison_id is None else plain_id(comparison_id, "comparison_id")
        known = [answer_of(answer, "completion_ids") for answer in answers]
        ids = [answer_id for answer_id, _ in known]
        if order is None:
            shown, probability = _drawn(ids), 1 / math.factorial(len(ids))
        else:
            shown = [answer_of(answer, "completion_ids")[0] for answer in order]
            if sorted(shown) != sorted(ids):
                raise invalid("completion_ids", "order must hold the same answers")
        fields: dict[str, Any] = {"kind": "comparison", "comparison_id": own_id, "completion_ids": shown}
        _set(fields, probability=probability)
        conversation_id = next((conversation for _, conversation in known if conversation), None)
        self._record(fields, _BASE_SIZE, conversation_id, common)
        return Pair(own_id, tuple(shown), probability, fields.get("conversation_id"))

    # -- opinions --------------------------------------------------------------------------------------

    @guarded(harmless_id)
    def thumb(
        self,
        answer: AnswerLike,
        value: Literal["up", "down", "retracted"],
        *,
        rater: RaterLike,
        tags: Iterable[str] | None = None,
        comment: str | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record a thumb, or that it was taken back.

        Args:
            answer: the answer, or its id.
            value: `up`, `down` or `retracted`.
            rater: who judged; a plain user id is hashed before it leaves the process.
            tags: reasons.
            comment: in the rater's words.
            common: see `Common`.

        Returns:
            The event's id.
        """
        target_id, conversation_id = answer_of(answer)
        fields = {"kind": "thumb", "target_id": target_id, "value": value, "rater": rater}
        return self._opine(fields, tags, comment, conversation_id, common)

    @guarded(harmless_id)
    def pick(
        self,
        pair: PairLike,
        choice: AnswerLike | None = None,
        *,
        winner: AnswerLike | None = None,
        rater: RaterLike,
        strength: int | None = None,
        scale: Literal[5, 8] | None = None,
        tags: Iterable[str] | None = None,
        comment: str | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record which answer of a comparison was better.

        Args:
            pair: the comparison, or its id.
            choice: the better answer, or `"tie"`, `"both_bad"`, `"skip"`, `"retracted"`.
            winner: the better answer, in place of `choice`: never read as an outcome, so that the id of
                an answer may be `"tie"`. (A handle is never read as an outcome either.)
            rater: who judged.
            strength: point on the scale, counted towards the winner.
            scale: number of points, 5 or 8.
            tags: reasons.
            comment: in the rater's words.
            common: see `Common`.

        Returns:
            The event's id.
        """
        target_id, conversation_id = pair_of(pair)
        if (choice is None) == (winner is None):
            raise invalid("outcome", "needs either choice or winner", sorted(_OUTCOMES))
        fields: dict[str, Any] = {"kind": "pick", "target_id": target_id, "rater": rater}
        if isinstance(choice, str) and choice in _OUTCOMES:
            fields["outcome"] = choice
        else:
            fields["outcome"] = "winner"
            fields["winner_id"] = answer_of(winner if choice is None else choice, "winner_id")[0]
            if isinstance(pair, Pair) and pair.order and fields["winner_id"] not in pair.order:
                raise invalid("winner_id", "must be one of the comparison's answers")
        _set(fields, strength=strength, scale=scale)
        return self._opine(fields, tags, comment, conversation_id, common)

    @guarded(harmless_id)
    def rating(
        self,
        target: AnswerLike | Conversation,
        score: float | Literal["retracted"] | None,
        *,
        rater: RaterLike,
        scale: tuple[float, float] = (1, 5),
        tags: Iterable[str] | None = None,
        comment: str | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record a score.

        Args:
            target: the answer or its id, or a `Conversation`.
            score: on the scale; None or `"retracted"` takes the rating back.
            rater: who judged.
            scale: lowest and highest score.
            tags: reasons.
            comment: in the rater's words.
            common: see `Common`.

        Returns:
            The event's id.
        """
        kind, target_id, conversation_id = target_of(target)
        low, high = scale
        fields = {
            "kind": "rating",
            "target_type": kind,
            "target_id": target_id,
            "rater": rater,
            "score": None if score == "retracted" else score,
            "scale_min": low,
            "scale_max": high,
        }
        return self._opine(fields, tags, comment, conversation_id, common)

    @guarded(harmless_id)
    def ranking(
        self,
        pair: PairLike,
        ranks: Sequence[AnswerLike | Sequence[AnswerLike]] | Literal["retracted"],
        *,
        rater: RaterLike,
        comment: str | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record an order of the answers of a comparison.

        Args:
            pair: the comparison, or its id.
            ranks: answers, best first; a list within the list is a tie: `[a, [b, c]]`. `"retracted"`
                takes the ranking back.
            rater: who judged.
            comment: in the rater's words.
            common: see `Common`.

        Returns:
            The event's id.
        """
        target_id, conversation_id = pair_of(pair)
        groups = [] if ranks == "retracted" else [_group(rank) for rank in ranks]
        fields = {"kind": "ranking", "target_id": target_id, "rater": rater, "ranks": groups}
        return self._opine(fields, None, comment, conversation_id, common)

    @guarded(harmless_id)
    def edit(
        self,
        answer: AnswerLike,
        response: Any,
        *,
        rater: RaterLike,
        comment: str | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record the answer as the rater would have it.

        Args:
            answer: the original, or its id.
            response: the better text, or an assistant message.
            rater: who wrote it.
            comment: in the rater's words.
            common: see `Common`.

        Returns:
            The event's id.
        """
        target_id, conversation_id = answer_of(answer)
        response = {"role": "assistant", "content": response} if isinstance(response, str) else response
        copied, size = snapshot(response)
        fields = {"kind": "edit", "target_id": target_id, "rater": rater, "response": copied}
        return self._opine(fields, None, comment, conversation_id, common, size)

    @guarded(harmless_id)
    def mark(
        self,
        answer: AnswerLike,
        start: int,
        end: int,
        *,
        rater: RaterLike,
        text: str | None = None,
        tags: Iterable[str] | None = None,
        comment: str | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record a span of the answer, with a reason.

        Args:
            answer: the answer, or its id.
            start: first character, counted in Unicode code points from 0.
            end: one past the last.
            rater: who judged.
            text: the answer's text; needed where `answer` is a plain id or its text is unknown. Only
                its hash is sent.
            tags: reasons.
            comment: in the rater's words.
            common: see `Common`.

        Returns:
            The event's id.
        """
        target_id, conversation_id = answer_of(answer)
        if text is None and isinstance(answer, Answer):
            text = answer.text
        if not isinstance(text, str):
            raise invalid("text_sha256", "needs the answer's text: pass text=")
        if isinstance(end, int) and end > len(text):
            raise invalid("end", "must be within the text")
        fields = {
            "kind": "mark",
            "target_id": target_id,
            "rater": rater,
            "start": _in_plain_text(text, start),
            "end": _in_plain_text(text, end),
            "text_sha256": _sha256(plain_text(text)),
        }
        return self._opine(fields, tags, comment, conversation_id, common)

    # -- everything else -------------------------------------------------------------------------------

    @guarded(harmless_id)
    def exposure(
        self,
        target: TargetLike,
        *,
        rater: RaterLike,
        state: Literal["shown", "seen", "dismissed"] = "shown",
        **common: Unpack[Common],
    ) -> str:
        """
        Record that a rating control was shown, seen or dismissed.

        Args:
            target: what it was for: an answer or its id, a `Pair` or a `Conversation`.
            rater: who was asked.
            state: what became of it.
            common: see `Common`.

        Returns:
            The event's id.
        """
        kind, target_id, conversation_id = target_of(target)
        fields = {
            "kind": "exposure",
            "target_type": kind,
            "target_id": target_id,
            "rater": rater,
            "state": state,
        }
        return self._record(fields, _BASE_SIZE, conversation_id, common)

    @guarded(harmless_id)
    def signal(
        self,
        target: TargetLike,
        name: str,
        *,
        value: float | None = None,
        rater: RaterLike | None = None,
        **common: Unpack[Common],
    ) -> str:
        """
        Record something implicit.

        Args:
            target: what it was about: an answer or its id, a `Pair` or a `Conversation`.
            name: e.g. `copy`, `regenerate`, `share`, `abandon`.
            value: a number that goes with it.
            rater: who did it.
            common: see `Common`.

        Returns:
            The event's id.
        """
        kind, target_id, conversation_id = target_of(target)
        fields: dict[str, Any] = {"kind": "signal", "target_type": kind, "target_id": target_id, "name": name}
        _set(fields, value=value, rater=rater)
        return self._record(fields, _BASE_SIZE, conversation_id, common)

    @guarded(harmless_id)
    def consent(self, rater: RaterLike, value: Literal["granted", "denied"], **common: Unpack[Common]) -> str:
        """
        Record that a person grants or withdraws training use; the latest one wins.

        Args:
            rater: the person.
            value: `granted` or `denied`.
            common: see `Common`.

        Returns:
            The event's id.
        """
        # `training_consent` says the same thing here, and the argument is the one that was meant.
        given = {name: item for name, item in common.items() if name != "training_consent"}
        fields = {"kind": "consent", "rater": rater, "training_consent": value}
        return self._record(fields, _BASE_SIZE, None, given)

    # -- the page's way in -----------------------------------------------------------------------------

    @minting
    def receipt(
        self,
        target: TargetLike,
        *,
        rater: RaterLike,
        kinds: Iterable[str] | None = None,
        expires_in_s: float = 604_800,
        conversation_id: PlainId | None = None,
        app: str | None = None,
        training_consent: ConsentValue | None = None,
    ) -> str:
        """
        Mint a receipt, with which a page may vote for one person on one thing. Sends nothing.

            receipt = tl.receipt(answer, rater="user-42")

        The page posts its events to the collector's `/v1/votes`, each with the receipt; what is judged, by
        whom and in which order it was shown comes from the receipt. See docs/receipts.md.

        Args:
            target: an answer or its id, a `Pair` from `comparison`, or a `Conversation`.
            rater: who may vote; a plain user id is hashed, as in every vote.
            kinds: kinds of events that the page may send. When left out: `thumb` for an answer, `pick` for a
                pair, `rating` for a conversation, each with `exposure` and `signal`.
            expires_in_s: seconds for which it holds, at most 30 days; 7 days when left out.
            conversation_id: the conversation; the handle's when left out.
            app: the product; the client's setting when left out. The same for `training_consent`.
            training_consent: whether the votes may train a model.

        Returns:
            The receipt; empty when it could not be minted, which is logged (and raised with `debug=True`).
        """
        if self._minter is None:
            from .receipts import Minter  # brings itsdangerous

            self._minter = Minter(self._settings, self._clock)
        common = {"conversation_id": conversation_id, "app": app, "training_consent": training_consent}
        return self._minter.mint(target, rater, kinds, expires_in_s, common)

    # -- delivery --------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """What became of every event so far."""
        return self._pipeline.stats()

    def flush(self, timeout: float = 10.0) -> bool:
        """
        Wait until everything recorded so far is delivered, rejected or dropped.

        Also delivers what earlier processes left in the spool.

        Args:
            timeout: seconds to wait at most.

        Returns:
            False when time ran out; what is left is delivered later.
        """
        return self._pipeline.flush(timeout)

    async def aflush(self, timeout: float = 10.0) -> bool:
        """Like `flush`, without blocking the event loop. Needs asyncio."""
        import asyncio  # slow to load, and whoever awaits has it

        from ._pipeline import TELL_PATIENCE_S

        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout
        pause_s = 0.001
        with self._pipeline.hurried():
            mark = self._pipeline.mark()
            while not self._pipeline.is_delivered(mark):
                left_s = deadline_s - loop.time()
                if left_s <= 0:
                    break
                await asyncio.sleep(min(pause_s, left_s))
                pause_s = min(2 * pause_s, 0.05)
            in_time = self._pipeline.is_delivered(mark)
        for _ in range(round(TELL_PATIENCE_S / 0.01)):
            if self._pipeline.has_told:
                break
            await asyncio.sleep(0.01)
        return in_time

    def close(self, timeout: float | None = None) -> bool:
        """
        Take no more events, deliver what is left, and put into the spool what could not be delivered.

        Happens by itself when the process ends.

        Args:
            timeout: seconds to deliver; the setting `exit_timeout_s` when left out.

        Returns:
            False when time ran out.
        """
        return self._pipeline.close(self._settings.exit_timeout_s if timeout is None else timeout)

    def __enter__(self) -> Self:
        """The client itself; closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the way into the queue ------------------------------------------------------------------------

    def _opine(
        self,
        fields: dict[str, Any],
        tags: Iterable[str] | None,
        comment: str | None,
        conversation_id: str | None,
        common: Mapping[str, Any],
        size: int = 0,
    ) -> str:
        size += _BASE_SIZE
        if tags is not None:
            fields["tags"] = kept = _tags(tags)
            size += 100 * len(kept) if type(kept) is list else _BASE_SIZE
        if comment is not None:
            fields["comment"], taken = (comment, len(comment)) if type(comment) is str else snapshot(comment)
            size += taken
        return self._record(fields, size, conversation_id, common)

    def _record(self, fields: dict[str, Any], size: int, conversation_id: str | None, common: Mapping[str, Any]) -> str:
        if conversation_id is not None:
            fields["conversation_id"] = conversation_id
        event_id = None
        if common:
            event_id, taken = _add_common(fields, common)
            size += taken
        if event_id is None:
            event_id = uuid7()
        self._pipeline.record(size, event_id, fields)
        return event_id

    def _not_minted(self, error: Exception) -> None:
        """Log why there is no receipt; raises with `debug`."""
        if self._settings.debug:
            raise error
        # The text of our own error names fields and never holds values; that of others may.
        said = str(error) if isinstance(error, InvalidEvent) else type(error).__name__
        _log.warning("receipt", "a receipt could not be minted: %s", said)

    def _failed(self, error: Exception, own_key: object, kind: str) -> str:
        """Count an event whose call failed, and return the id it would have had; raises with `debug`."""
        from ._pipeline import Counted

        event_id = own_event_id(own_key, kind)
        if not isinstance(error, Counted):
            # A wrong argument is the host's mistake, anything else is ours.
            is_theirs = isinstance(error, InvalidEvent | TypeError | ValueError | AttributeError)
            problems = error if isinstance(error, InvalidEvent) else None
            self._pipeline.refuse("invalid" if is_theirs else "internal", event_id, problems)
            if problems is None:
                _log.warning("failed", "a call failed: %s", type(error).__name__)
        if self._settings.debug:
            raise error
        return event_id


def _add_common(fields: dict[str, Any], common: Mapping[str, Any]) -> tuple[str | None, int]:
    event_id, size = None, 0
    for name, value in common.items():
        if name not in _COMMON:
            raise TypeError("unexpected keyword argument")  # its name may be anything, so it is not repeated
        if value is None:
            continue
        if name == "event_id":
            event_id = event_id_from(plain_id(value, "event_id"), fields["kind"])
        elif name == "properties":
            fields[name], size = snapshot(value)
        elif name == "conversation_id":
            fields[name] = value if type(value) is str else _or_left_out(functools.partial(plain_id, value, name))
        else:
            fields[name] = value
    return event_id, size


def _word(value: Any) -> str | None:
    # APIs give it as a text or as a member of an enum.
    return value if value is None or isinstance(value, str) else str(getattr(value, "name", value))


def _or_left_out(get: Callable[[], str]) -> str | LeftOut:
    """An id that an event can do without; the mark of what is left out where it is none."""
    try:
        return get()
    except InvalidEvent:
        return LEFT_OUT


def _tags(tags: Any) -> Any:
    if isinstance(tags, str):  # as a list it would be its letters
        return tags
    try:
        return [*tags]
    except Exception:  # noqa: BLE001 - no list, or one of the host's that fails
        return snapshot(tags)[0]


def _set(fields: dict[str, Any], **values: Any) -> None:
    fields.update({name: value for name, value in values.items() if value is not None})


def _drawn(ids: list[str]) -> list[str]:
    import random

    # From the system: `random.seed` in the host must not decide who is shown first.
    return random.SystemRandom().sample(ids, len(ids))


def _group(rank: Any) -> list[str]:
    group = rank if isinstance(rank, Sequence) and not isinstance(rank, str) else [rank]
    return [answer_of(answer, "ranks")[0] for answer in group]


def _text_of(message: Any) -> str | None:
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else None


def _sha256(text: str) -> str:
    import hashlib  # OpenSSL takes longer to load than the rest of the client

    return hashlib.sha256(text.encode()).hexdigest()


def _in_plain_text(text: str, place: int) -> int:
    """Where a place in text is once the text is plain: two halves may have become one character."""
    return len(plain_text(text[:place])) if isinstance(place, int) and 0 <= place <= len(text) else place


def _ignore(drop: Drop) -> None:
    """Nobody asked."""
