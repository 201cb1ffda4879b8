"""What each landed event counts for now: by the views, not by rules of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb

from ..current import IS_OPINION, retracted, superseded

Standing = Literal["current", "superseded", "retracted", "repeated", ""]


@dataclass(frozen=True)
class LandedEvent:
    """
    An event in the warehouse.

    Attributes:
        event_id: its id there.
        event_key: its key there, of its project and its id.
        page_event_id: the id that the page knows it by; empty where it came from a server.
        project: whose it is.
        kind: its kind.
        target_type: what it judges; empty where it judges nothing.
        target_id: the thing's id; of an answer or a comparison its own.
        says: its value: up, winner, seen, 4 ...; never a text.
        occurred_at: when it happened, UTC.
        received_at: when the collector took it, UTC.
        landed_at: when its load was committed, UTC.
        load_id: the load.
        is_current: it counts: the rater's latest opinion on the thing, or the first event of its answer or comparison.
        standing: `superseded` by a later opinion, `retracted`: takes the vote back, `repeated`: the answer or
            comparison had come before; empty for what has no later ones.
        missing: `completion` or `comparison` that it waits for; empty where nothing is missing.
    """

    event_id: str
    event_key: str
    page_event_id: str
    project: str
    kind: str
    target_type: str
    target_id: str
    says: str
    occurred_at: datetime
    received_at: datetime
    landed_at: datetime | None
    load_id: int
    is_current: bool
    standing: Standing
    missing: str


def stand(db: duckdb.DuckDBPyConnection, found: str) -> list[LandedEvent]:
    """
    The events of a search with their standing, newest first.

    Args:
        db: a connection whose `events` and views are what is connected with them.
        found: SQL of the rows of the index that the search found.
    """
    rows = db.execute(
        f"""WITH found AS ({found}),
        later AS ({superseded()}),
        firsts AS (SELECT event_key FROM completions UNION ALL SELECT event_key FROM comparisons),
        waiting AS (SELECT event_key, min(missing) AS missing FROM orphans GROUP BY 1)
        SELECT f.event_id::VARCHAR, f.event_key::VARCHAR, coalesce(f.page_event_id, ''), f.project, f.kind, coalesce(f.target_type, ''),
               coalesce(f.target_id, f.completion_id, f.comparison_id, ''), coalesce(f.says, ''), f.occurred_at, f.received_at,
               f.landed_at, f.load_id,
               CASE WHEN f.event_key IN (SELECT event_key FROM later) THEN 'superseded'
                    WHEN f.event_key IN (SELECT event_key FROM events WHERE {retracted("events")}) THEN 'retracted'
                    WHEN {IS_OPINION} THEN 'current'
                    WHEN f.kind IN ('completion', 'comparison') AND f.event_key NOT IN (SELECT event_key FROM firsts) THEN 'repeated'
                    ELSE '' END AS standing,
               coalesce(w.missing, '')
        FROM found f LEFT JOIN waiting w ON w.event_key = f.event_key
        ORDER BY f.received_at DESC, f.event_id DESC, f.event_key"""
    ).fetchall()
    return [_event(row) for row in rows]


def _event(row: Sequence[object]) -> LandedEvent:
    *known, standing, missing = row
    return LandedEvent(*known, standing in ("current", ""), standing, missing)  # type: ignore[arg-type, call-arg]
