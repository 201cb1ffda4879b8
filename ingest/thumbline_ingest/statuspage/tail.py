"""What the log holds and the warehouse does not have yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from thumbline_ingest.log import Log, LogMissing, open_log

from .texts import plain_word

# Newest records of a partition that are looked at: enough for the last seconds of a busy collector.
MAX_RECORDS: Final = 2_000


@dataclass(frozen=True)
class WaitingEvent:
    """
    An event that is in the log and not landed, as far as the envelope can be read.

    Attributes:
        event_id: the id under which it will land.
        page_event_id: the id that the page knows it by; empty where it came from a server.
        project: whose it is.
        kind: its kind.
        target_type: what it judges; empty where it judges nothing.
        target_id: the thing's id; of an answer or a comparison its own.
        things: all ids of things that it names.
        says: its value: up, winner, seen, 4 ...; never a text.
        occurred_at: when it happened, as it says itself.
        received_at: when the collector took it, UTC.
    """

    event_id: str
    page_event_id: str
    project: str
    kind: str
    target_type: str
    target_id: str
    things: frozenset[str]
    says: str
    occurred_at: str
    received_at: datetime


@dataclass(frozen=True)
class Tail:
    """
    The end of the log.

    Attributes:
        exists: there is a log.
        waiting: records that are not landed.
        ends: log id and partition -> one past the last position.
        records: the newest of them as they are, oldest first; at most `MAX_RECORDS` a partition.
    """

    exists: bool
    waiting: int = 0
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether `records` are all that wait."""
        return len(self.records) >= self.waiting

    def containing(self, text: str) -> Iterator[WaitingEvent]:
        """The events in which an id stands as an id."""
        needle = json.dumps(text).strip('"').encode()
        for record in self.records:
            # A record is parsed only where the id may be in it.
            if needle in record or b"\\u" in record:
                event = parsed(record)
                if event and text in (event.event_id, event.page_event_id, *event.things):
                    yield event

    def oldest(self) -> datetime | None:
        """When the oldest of `records` was taken."""
        times = [event.received_at for record in self.records[:1] if (event := parsed(record))]
        return min(times, default=None)


def read_tail(log_url: str, positions: Mapping[tuple[str, int], int]) -> Tail:
    """
    Look at the end of the log, without being one of its readers.

    Args:
        log_url: the log.
        positions: log id and partition -> where the warehouse will go on.

    Raises:
        LogUnavailable: it cannot be reached.
        LogMisconfigured: it is damaged, or must be made by hand.
    """
    log: Log = open_log(log_url)
    try:
        log_id = log.identity().id
        bounds = log.bounds()
        # What lies before the log's start is landed and trimmed, or lost: it does not wait.
        first = {p: max(held.start, min(held.end, positions.get((log_id, p), 0))) for p, held in bounds.items()}
        waiting = sum(held.end - first[p] for p, held in bounds.items())
        chunks = log.peek(first, MAX_RECORDS) if waiting else []
    except LogMissing:
        return Tail(False)
    ends = {(log_id, p): held.end for p, held in bounds.items()}
    return Tail(True, waiting, ends, [value for chunk in chunks for value in chunk.values])


def parsed(record: bytes) -> WaitingEvent | None:
    """The event in a record; None where it is no envelope of the collector, which is for the loader to say."""
    try:
        envelope = json.loads(record)
        event, extra = envelope["event"], envelope.get("extra") or {}
        received = datetime.fromtimestamp(envelope["received_at"] / 1000, timezone.utc)
        return _event(str(envelope["project"]), event, extra, received)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        return None


def _event(project: str, event: Mapping[str, Any], extra: Mapping[str, Any], received: datetime) -> WaitingEvent:
    receipt = extra.get("receipt")
    page_id = receipt.get("event_id") if isinstance(receipt, dict) else None
    own = [event.get(name) for name in ("target_id", "completion_id", "comparison_id")]
    others = event.get("completion_ids")
    things = [*own, *(others if isinstance(others, list) else ())]
    return WaitingEvent(
        event_id=str(event["event_id"]),
        page_event_id=page_id if isinstance(page_id, str) else "",
        project=project,
        kind=str(event["kind"]),
        target_type=_text(event.get("target_type")),
        target_id=next((one for one in own if isinstance(one, str)), ""),
        things=frozenset(one for one in things if isinstance(one, str)),
        says=says(event),
        occurred_at=_text(event.get("occurred_at")),
        received_at=received,
    )


def says(event: Mapping[str, Any]) -> str:
    """What an event says in a word, as the warehouse puts it: only fields whose values are a short list."""
    names = {"thumb": "value", "pick": "outcome", "exposure": "state", "rating": "score", "signal": "name"}
    value = event.get(names.get(str(event.get("kind")), ""))
    return plain_word(str(value)) if isinstance(value, (str, int, float)) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
