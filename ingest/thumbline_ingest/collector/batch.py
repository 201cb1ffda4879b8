"""Checks the events of a request and makes the log's records of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from thumbline import limits
from thumbline.events import EVENT_ADAPTER, KINDS, Event, routing_key, unknown_fields
from thumbline.problems import Problem, problems_of
from thumbline_ingest.envelope import envelope_head, wrap
from thumbline_ingest.log.base import Record

from . import strict
from .keycount import NUL_ESCAPE, Suspicious, may_have_nul, understood_keys, written_keys
from .verdicts import Rejection

_MARK: Final = b"\0"
_NONE: Final[Mapping[str, str]] = {}


@dataclass
class Batch:
    """
    A request's events, checked. The six lists belong together, one entry per good event.

    Attributes:
        size: number of events sent.
        indexes: place in the request.
        ids: event id.
        kinds: kind.
        records: what goes into the log.
        keys: number of object keys, as parsed.
        prints: fingerprint of what was sent, to tell a repeat from another event of the same id.
        rejections: index of a bad event -> why.
        changed: index of an event that was changed so that it could be kept -> its fields that were.
    """

    size: int = 0
    indexes: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    prints: list[int] = field(default_factory=list)
    rejections: dict[int, Rejection] = field(default_factory=dict)
    changed: dict[int, frozenset[str]] = field(default_factory=dict)

    def add(self, index: int, event: Event, keys: int, value: bytes, fingerprint: int) -> None:
        """Put a good event's record, and what is known of it, at the end of the lists."""
        self.indexes.append(index)
        self.ids.append(event.event_id)
        self.kinds.append(event.kind)
        self.keys.append(keys)
        self.prints.append(fingerprint)
        self.records.append(Record(routing_key(event).encode(), value))

    def drop(self, places: list[int]) -> None:
        """Take events out of the lists again, by their places in them."""
        for place in reversed(places):
            for column in (self.indexes, self.ids, self.kinds, self.records, self.keys, self.prints):
                del column[place]


class Made(NamedTuple):
    """
    An event that the collector has made.

    Attributes:
        event: the event as JSON, its fields all of the contract.
        extra: what is kept beside it.
        said: fingerprint of what it was made from.
        changed: fields that were changed already so that it could be kept.
    """

    event: bytes
    extra: Mapping[str, Any]
    said: int
    changed: frozenset[str] = frozenset()


def _validate(raw: bytes) -> Event:
    # `parse_event` without two calls; the adapter's validator is put in place by `prepare`.
    return EVENT_ADAPTER.validator.validate_json(raw)  # type: ignore[no-any-return]


def prepare() -> None:
    """Build the validators now instead of in the first request."""
    EVENT_ADAPTER.rebuild()


def read_batch(
    body: bytes,
    events: list[bytes],
    project: str,
    received_at_ms: int,
    banned: Mapping[str, str] = _NONE,
) -> Batch:
    """
    Check every event and wrap the good ones for the log.

    Args:
        body: the whole body: looked through once instead of event by event.
        events: the body's events, from `split`.
        project: what the request's key writes to.
        received_at_ms: Unix time in milliseconds.
        banned: unknown fields that are refused -> why.
    """
    batch = Batch(len(events))
    head = envelope_head(project, received_at_ms)
    # What `wrap` puts around an event that has neither unknown fields nor line breaks: the rule.
    before, after = wrap(head, _MARK).split(_MARK)
    one_line = b"\n" not in body and b"\r" not in body
    nul = may_have_nul(body)
    for index, raw in enumerate(events):
        kept = raw
        try:
            event = _validate(raw)
            keys = understood_keys(event)
            _look_where_needed(raw, nul)
        except (ValidationError, Suspicious) as error:
            mended = strict.mend(raw)
            if isinstance(mended, list):
                batch.rejections[index] = _rejection(raw, error, mended)
                continue
            kept, event, batch.changed[index] = mended
            keys = written_keys(raw)
        has_unknown = _has_unknown(event)
        if has_unknown and (problems := _banned(event, banned)):
            batch.rejections[index] = Rejection(problems, event.event_id, event.kind)
            continue
        plain = one_line and not has_unknown
        value = before + kept + after if plain else wrap(head, kept, unknown_fields(event))
        batch.add(index, event, keys, value, hash(raw))
    if batch.rejections or sum(batch.keys) != written_keys(body):
        _reject_repeated_keys(batch, events)
    return batch


def read_made(events: Sequence[Made], project: str, received_at_ms: int) -> Batch:
    """
    The same for events that the collector has made itself, of values whose keys and numbers have been looked at.

    Args:
        events: what was made.
        project: where they belong.
        received_at_ms: Unix time in milliseconds.
    """
    batch = Batch(len(events))
    head = envelope_head(project, received_at_ms)
    for index, made in enumerate(events):
        kept, changed = made.event, made.changed
        try:
            event = _validate(made.event)
            _look_where_needed(made.event, may_have_nul=True)
        except (ValidationError, Suspicious) as error:
            mended = strict.mend(made.event)
            if isinstance(mended, list):
                batch.rejections[index] = _rejection(made.event, error, mended)
                continue
            kept, event, more = mended
            changed |= more
        if changed:
            batch.changed[index] = changed
        batch.add(index, event, 0, wrap(head, kept, made.extra), made.said)
    return batch


def _has_unknown(event: Event) -> bool:
    return bool(event.__pydantic_extra__ or (event.rater is not None and event.rater.__pydantic_extra__))


def _banned(event: Event, banned: Mapping[str, str]) -> list[Problem]:
    unknown = event.__pydantic_extra__ or {}
    return [Problem(name, why) for name, why in banned.items() if name in unknown]


def _look_where_needed(raw: bytes, may_have_nul: bool) -> None:
    if ((may_have_nul and NUL_ESCAPE in raw) or len(raw) > limits.MAX_EVENT_BYTES) and strict.problems_in(raw)[0]:
        raise Suspicious


def _rejection(raw: bytes, error: ValidationError | Suspicious, known: list[Problem]) -> Rejection:
    """Why an event is rejected; `known` is what was wrong with it beyond what can be mended."""
    # What is not strict JSON is named first: pydantic stops at it and can only say where, not in which field.
    problems, event_id = strict.problems_in(raw)
    # A value that JSON cannot hold was given all the same: its field is not missing.
    given = {problem.field: problem for problem in problems}
    problems = [given.get(problem.field, problem) for problem in known] or problems
    if not problems and isinstance(error, ValidationError):
        problems = problems_of(error)
    return Rejection(problems or [Problem("", "is not plain JSON")], event_id, _kind(error))


def _kind(error: ValidationError | Suspicious) -> str | None:
    # Where the kind is a good one, it is the first step of the way to what is wrong.
    if not isinstance(error, ValidationError):
        return None
    location = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
    return str(location[0]) if location and location[0] in KINDS else None


def _reject_repeated_keys(batch: Batch, events: list[bytes]) -> None:
    bad: list[int] = []
    for place, (index, keys) in enumerate(zip(batch.indexes, batch.keys, strict=True)):
        if written_keys(events[index]) == keys:
            continue
        problems, event_id = strict.problems_in(events[index])
        if problems:
            batch.rejections[index] = Rejection(problems, event_id, batch.kinds[place])
            bad.append(place)
    batch.drop(bad)
