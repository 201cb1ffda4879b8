"""One look: search, gather what is connected, say how each event stands and which rows there are."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import duckdb

from ..export.options import Kind
from ..export.snapshot import make_views
from .index import INDEX, MAX_ROWS, Index
from .neighbours import MAX_EVENTS, NEAR, Bodies, near_ids
from .rows import KINDS, RowsOf, rows_of
from .standing import LandedEvent, stand

# The newest events that a search shows.
_MAX_FOUND: Final = 50
_MAX_KEPT: Final = 256


@dataclass(frozen=True)
class Seen:
    """
    What a search found in the warehouse.

    Attributes:
        load_id: the load up to which was looked.
        events: newest first, at most 50.
        rows: kind of export -> what the events become there.
        is_too_large: too much is connected with the events to work the rows out.
    """

    load_id: int
    events: list[LandedEvent] = field(default_factory=list)
    rows: dict[Kind, RowsOf] = field(default_factory=dict)
    is_too_large: bool = False


class Closeup:
    """
    Looks closely at few events; for one thread at a time.

    Args:
        db: a connection to the warehouse for this alone; read-only is enough.
        max_indexed: events up to which their index is held in memory.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, max_indexed: int = MAX_ROWS) -> None:
        self._db = db
        self._index = Index(db, max_indexed)
        self._bodies = Bodies(db)
        self._has_views = False
        # What is near never changes without an event more: the same events give the same rows.
        self._kept: OrderedDict[tuple[str, ...], Seen] = OrderedDict()

    def look(self, text: str) -> Seen:
        """
        Search for an event's id (also that which a page gave it), or an answer's, comparison's or conversation's.

        Args:
            text: the id.
        """
        load_id = self._index.refresh()
        found = _found(self._db, text)
        if not found:
            return Seen(load_id)
        found_sql = f"SELECT * FROM {INDEX} WHERE event_key IN ({', '.join(map(_uuid, found))})"
        near = near_ids(self._db, found_sql)
        if len(near) > MAX_EVENTS:
            return Seen(load_id, self._stand(found_sql, near), {}, True)
        key = (*found, "", *sorted(event_key for event_key, _ in near))
        kept = self._kept.get(key)
        if kept is None:
            events = self._stand(found_sql, near)
            kept = Seen(load_id, events, {kind: rows_of(self._db, kind, events) for kind in KINDS})
            self._kept[key] = kept
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return Seen(load_id, kept.events, kept.rows)

    def _stand(self, found_sql: str, near: list[tuple[str, int]]) -> list[LandedEvent]:
        self._bodies.show(near)
        if not self._has_views:
            make_views(self._db, f"SELECT * FROM {NEAR}")
            self._has_views = True
        return stand(self._db, found_sql)


def _found(db: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """Keys of the events that bear an id; where there are none, of those that are about the thing that does."""
    ids = _event_keys(db, text)
    if ids:
        return ids
    rows = db.execute(
        f"""WITH shown AS (SELECT comparison_id FROM {INDEX} WHERE kind = 'comparison' AND list_contains(completion_ids, $thing))
            SELECT event_key::VARCHAR FROM {INDEX}
            WHERE target_id = $thing OR completion_id = $thing OR comparison_id = $thing
               OR target_id IN (FROM shown) OR comparison_id IN (FROM shown)
            ORDER BY kind = 'exposure', received_at DESC, event_id DESC, event_key LIMIT {_MAX_FOUND}""",
        {"thing": text},
    ).fetchall()
    return [event_key for (event_key,) in rows]


def _event_keys(db: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    try:
        own = str(uuid.UUID(text))
    except ValueError:
        return []
    # An event of a page lands under an id that keeps the first 48 bits of a UUIDv7.
    near = f"event_id BETWEEN '{own[:14]}0000-0000-000000000000' AND '{own[:14]}ffff-ffff-ffffffffffff' AND "
    derived = f"{near if own[14] == '7' else ''}page_event_id = '{own}'"
    rows = db.execute(
        f"SELECT event_key::VARCHAR FROM {INDEX} WHERE event_id = '{own}' OR {derived} LIMIT {_MAX_FOUND}"
    ).fetchall()
    return [event_key for (event_key,) in rows]


def _uuid(event_key: str) -> str:
    return f"'{event_key}'::UUID"
