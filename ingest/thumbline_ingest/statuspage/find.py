"""
The search: where one event is, or everything about one thing, and which rows it becomes.

    find("0192f0c1-...")  ->  {"id": "0192f0c1-...", "events": [{"kind": "thumb", "state": "landed", ...}],
                               "rows": {"kto": {...}, "pairs": None, "more_kto": []}, "why_no_row": None, ...}
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

import duckdb

from thumbline_ingest.rejections import RejectedEvent, Rejections
from thumbline_warehouse.closeup import Closeup, LandedEvent, RowsOf, Seen
from thumbline_warehouse.closeup.rows import KINDS
from thumbline_warehouse.connect import NAME
from thumbline_warehouse.export.errors import ExportError
from thumbline_warehouse.export.options import Kind

from .kept import Look
from .lake import Lake
from .quarantined import quarantined
from .shapes import Quarantined
from .tail import Tail, WaitingEvent, parsed
from .texts import is_event_id, plain_word, without_texts
from .words import iso

MAX_ID_CHARS: Final = 256
_PATIENCE_S: Final = 10.0
_MAX_KEPT: Final = 64
# On a large warehouse, where a search takes longer than this, one that is asked for again and again takes a fifth
# of the time at most.
_LONG_S: Final = 1.0
_SHARE: Final = 5.0
# Newest records in quarantine that are searched.
_MAX_QUARANTINE: Final = 10_000

_STANDING: Final = {
    "superseded": "a later vote by the same rater on the same thing took its place",
    "retracted": "takes the vote back: it is no vote",
    "repeated": "an event of the same answer or comparison came before, and the first one counts",
}


class Busy(Exception):
    """Another search takes too long."""


class Finder:
    """
    Searches, one at a time.

    Args:
        lake: the warehouse.
        log: gives the end of the log now.
        rejections: gives what was refused lately.
        texts: whether rows are shown with prompts and answers.
    """

    def __init__(
        self, lake: Lake, log: Callable[[], Look[Tail]], rejections: Callable[[], Rejections], texts: bool
    ) -> None:
        self._shelf = _Shelf(lake)
        self._log = log
        self._rejections = rejections
        self._texts = texts
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()

    def find(self, text: str) -> dict[str, Any]:
        """
        What is known of an id.

        Args:
            text: an event's id, also that which a page gave it, or an answer's, comparison's or conversation's.

        Raises:
            Busy: another search takes too long.
        """
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise Busy
        try:
            until, found = self._kept.get(text, (0.0, {}))
            began = time.monotonic()
            if began < until:
                return found
            found = self._find(text)
            took_s = time.monotonic() - began
            self._kept[text] = (began + (_SHARE * took_s if took_s > _LONG_S else 0.0), found)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
            return found
        finally:
            self._lock.release()

    def _find(self, text: str) -> dict[str, Any]:
        # The log before the warehouse: what lands in between is then found there, and not nowhere.
        log = self._log()
        waiting = list(log.value.containing(text)) if log.value else []
        landed, problem = self._shelf.look(text)
        refused = [event for event in self._rejections().events if event.event_id == text]
        known = {(event.project, event.event_id) for event in landed.seen.events}
        events = [
            *(_refused(event) for event in refused),
            *(_waiting(event) for event in waiting if (event.project, event.event_id) not in known),
            *(_landed(event) for event in landed.seen.events),
            *landed.conflicts,
            *(_set_aside(text, *entry) for entry in landed.quarantined),
        ]
        rows = {kind: self._shown(landed.seen.rows.get(kind, RowsOf()).rows) for kind in KINDS}
        why_not = {kind: _why_not(landed.seen, kind, rows[kind], events) for kind in KINDS}
        return {
            "id": text,
            "events": events,
            "rows": {
                "kto": rows["kto"][0] if rows["kto"] else None,
                "pairs": rows["pairs"] or None,
                "more_kto": rows["kto"][1:],
            },
            "why_no_row": None if any(rows.values()) else _together(why_not),
            "why_not": why_not,
            "texts": self._texts,
            "unknown": [*([f"log: {log.error}"] if log.error else []), *_short(log), *problem],
        }

    def _shown(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows if self._texts else [without_texts(row) for row in rows]


@dataclass(frozen=True)
class _Shelved:
    """What the warehouse has: events and rows, and records in quarantine with the loads that met them."""

    seen: Seen
    quarantined: list[tuple[Quarantined, WaitingEvent | None, int]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)


class _Shelf:
    """The warehouse's part of a search, over a connection that is made anew when the warehouse is."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._db: duckdb.DuckDBPyConnection | None = None
        self._closeup: Closeup | None = None
        self._number = 0
        self._has_quarantine = (-1, False)

    def look(self, text: str) -> tuple[_Shelved, list[str]]:
        """What there is, and what went wrong where something did."""
        try:
            closeup, db = self._opened()
            seen = closeup.look(text)
            return _Shelved(seen, self._quarantined(db, text, seen.load_id), _conflicts(db, text)), []
        except FileNotFoundError:
            return _Shelved(Seen(0)), []
        except (duckdb.Error, ExportError) as error:
            self._db = None
            self._lake.forget()
            return _Shelved(Seen(0)), [f"warehouse: {type(error).__name__}"]

    def _opened(self) -> tuple[Closeup, duckdb.DuckDBPyConnection]:
        number = self._lake.number
        if self._db is None or self._closeup is None or self._number != number:
            self._db, self._number = self._lake.connection(), number
            self._closeup = Closeup(self._db)
            self._has_quarantine = (-1, False)
        return self._closeup, self._db

    def _quarantined(
        self, db: duckdb.DuckDBPyConnection, text: str, load_id: int
    ) -> list[tuple[Quarantined, WaitingEvent | None, int]]:
        if self._has_quarantine[0] != load_id:
            (count,) = db.execute(f"SELECT count(*) FROM {NAME}.main.quarantine").fetchone() or (0,)
            self._has_quarantine = (load_id, bool(count))
        if not self._has_quarantine[1]:
            return []
        rows = db.execute(
            f"""SELECT quarantined_at, partition, position, reason, record, load_id FROM (
                SELECT * FROM {NAME}.main.quarantine ORDER BY load_id DESC, position DESC LIMIT {_MAX_QUARANTINE})
                WHERE contains(record::VARCHAR, ?) LIMIT 20""",
            [text],
        ).fetchall()
        found = [(quarantined(row[:5]), parsed(bytes(row[4])), int(row[5])) for row in rows]
        # Where the record cannot be read, an event's id is enough: nothing else has that form.
        return [e for e in found if _names(e[1], text) or (e[1] is None and is_event_id(text))]


def _conflicts(db: duckdb.DuckDBPyConnection, text: str) -> list[dict[str, Any]]:
    """Events that came under an id which another event of their project has."""
    if not is_event_id(text):
        return []
    rows = db.execute(
        f"""SELECT event_id::VARCHAR, project, kind, fields, load_id FROM {NAME}.main.conflicts
            WHERE event_id = ?::UUID ORDER BY load_id DESC, position DESC LIMIT 20""",
        [text],
    ).fetchall()
    return [
        _event(
            "conflict",
            event_id=event_id,
            project=project,
            kind=kind,
            load=load_id,
            why=f"another event of the project has this id, and counts; this one says otherwise: {', '.join(fields)}",
        )
        for event_id, project, kind, fields, load_id in rows
    ]


def _names(event: WaitingEvent | None, text: str) -> bool:
    return event is not None and text in (event.event_id, event.page_event_id, *event.things)


def _refused(event: RejectedEvent) -> dict[str, Any]:
    return _event(
        "rejected",
        event_id=event.event_id,
        page_event_id=event.event_id if event.route == "/v1/votes" else None,
        project=event.project or None,
        kind=event.kind or None,
        rejected_at=iso(datetime.fromtimestamp(event.at, timezone.utc)),
        why=f"{event.field or 'event'}: {event.reason}",
    )


def _waiting(event: WaitingEvent) -> dict[str, Any]:
    return _event(
        "in_log",
        event_id=event.event_id,
        page_event_id=event.page_event_id or None,
        project=event.project,
        kind=event.kind,
        target_type=event.target_type or None,
        target_id=event.target_id or None,
        says=event.says or None,
        occurred_at=event.occurred_at or None,
        logged_at=iso(event.received_at),
        why="accepted and on disk; it lands within about a second while a loader runs",
    )


def _landed(event: LandedEvent) -> dict[str, Any]:
    why = [_STANDING[event.standing]] if event.standing in _STANDING else []
    if event.missing:
        why.append(f"orphan: the {event.missing} has not come")
    return _event(
        "landed",
        event_id=event.event_id,
        page_event_id=event.page_event_id or None,
        project=event.project,
        kind=event.kind,
        target_type=event.target_type or None,
        target_id=event.target_id or None,
        says=plain_word(event.says) or None,
        occurred_at=iso(event.occurred_at),
        logged_at=iso(event.received_at),
        landed_at=iso(event.landed_at) if event.landed_at else None,
        load=event.load_id,
        is_current=event.is_current,
        standing=event.standing or None,
        missing=event.missing or None,
        why="; ".join(why) or None,
    )


def _set_aside(text: str, found: Quarantined, event: WaitingEvent | None, load_id: int) -> dict[str, Any]:
    # Who else writes to the log may have put anything into its fields: only what was asked for is repeated.
    return _event(
        "quarantined",
        event_id=found.event_id or (text if event is None else None),
        page_event_id=text if event and event.page_event_id == text else None,
        project=found.project or None,
        kind=found.kind or None,
        target_id=text if event and event.target_id == text else None,
        logged_at=iso(event.received_at) if event else None,
        quarantined_at=iso(found.at),
        load=load_id,
        why=found.reason,
    )


def _event(state: str, **known: Any) -> dict[str, Any]:
    return _NOTHING | {"state": state} | known


_NOTHING: Final[dict[str, Any]] = {
    "event_id": None,
    "page_event_id": None,
    "project": None,
    "kind": None,
    "target_type": None,
    "target_id": None,
    "says": None,
    "occurred_at": None,
    "state": None,
    "logged_at": None,
    "landed_at": None,
    "load": None,
    "rejected_at": None,
    "quarantined_at": None,
    "is_current": False,
    "standing": None,
    "missing": None,
    "why": None,
}


def _why_not(seen: Seen, kind: Kind, rows: Sequence[Any], events: Sequence[dict[str, Any]]) -> str | None:
    if rows:
        return None
    if seen.is_too_large:
        return "not worked out: too much is connected with it; thumbline export --explain looks at everything"
    if kind in seen.rows and seen.rows[kind].reasons:
        return "; ".join(seen.rows[kind].reasons.values())
    states = {str(event["state"]) for event in events}
    return next((why for state, why in _NOT_LANDED.items() if state in states), "nothing is known of this id")


def _together(why_not: Mapping[Kind, str | None]) -> str:
    """One sentence where all kinds of export say the same; else each with its kind before."""
    if len(set(why_not.values())) == 1:
        return str(next(iter(why_not.values())))
    return "; ".join(f"{kind}: {why}" for kind, why in why_not.items())


_NOT_LANDED: Final = {
    "in_log": "not landed yet",
    "quarantined": "it is in quarantine",
    "rejected": "it was rejected",
    "landed": "no row is made of it",
}


def _short(log: Look[Tail]) -> list[str]:
    if log.value is not None and not log.value.is_whole:
        some = f"{len(log.value.records):,} of {log.value.waiting:,}"
        return [f"log: only the newest {some} waiting records were searched"]
    if log.value is None and log.is_waiting:
        return ["log: it has not answered yet"]
    return []
