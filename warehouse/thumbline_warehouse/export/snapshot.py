"""The warehouse as it stood after a load: the same views over the events up to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from ..connect import NAME
from ..schema import literal
from ..views import VIEWS
from .errors import ExportError

_SCHEMA = "memory.snapshot"


@dataclass(frozen=True)
class Snapshot:
    """
    All events up to a load; lasts as long as the events do, whatever DuckLake has expired.

    Attributes:
        load_id: the last load that counts.
        loaded_at: when it was committed, ISO 8601 UTC; empty when nothing is landed.
        positions: log and partition -> first position that does not count.
        first_event: time of the first event, ISO 8601 UTC; empty when there is none.
        last_event: time of the last one.
    """

    load_id: int
    loaded_at: str
    positions: dict[str, int]
    first_event: str
    last_event: str


def use_snapshot(db: duckdb.DuckDBPyConnection, load_id: int | None, project: str | None) -> Snapshot:
    """
    Make `events` and every view mean the snapshot, in this connection only.

    Args:
        db: a connection to the warehouse.
        load_id: the last load that counts; the last one there is when None.
        project: only this project's events, when given.

    Raises:
        ExportError: there is no such load.
    """
    (head,) = _one(db, f"SELECT load_id FROM {NAME}.main.head")
    chosen = int(head) if load_id is None else load_id
    if chosen > head:
        raise ExportError(f"snapshot {chosen} does not exist: the last load is {head}")
    condition = f"load_id <= {chosen}"
    if project is not None:
        condition += f" AND project = {literal(project)}"
    make_views(
        db,
        f"SELECT * FROM {NAME}.main.events WHERE {condition}",
        f"SELECT * FROM {NAME}.main.conflicts WHERE {condition}",
    )
    return _describe(db, chosen)


def make_views(
    db: duckdb.DuckDBPyConnection, events: str, conflicts: str = f"SELECT * FROM {NAME}.main.conflicts LIMIT 0"
) -> None:
    """
    Make `events` and every view mean the events of a query, in this connection only.

    Args:
        db: a connection to the warehouse.
        events: SQL that gives the columns of `events`.
        conflicts: SQL that gives the columns of `conflicts`; none when left out.
    """
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    db.execute(f"CREATE OR REPLACE VIEW {_SCHEMA}.events AS {events}")
    db.execute(f"CREATE OR REPLACE VIEW {_SCHEMA}.conflicts AS {conflicts}")
    db.execute(f"USE {_SCHEMA}")
    for view in VIEWS:
        db.execute(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}")


def _describe(db: duckdb.DuckDBPyConnection, load_id: int) -> Snapshot:
    positions = db.execute(
        f"SELECT log_id || '/' || partition, max(next_position) FROM {NAME}.main.loads WHERE load_id <= ? "
        "GROUP BY ALL ORDER BY 1",
        [load_id],
    ).fetchall()
    loaded = _one(
        db,
        f"SELECT strftime(max(loaded_at), '%Y-%m-%dT%H:%M:%S.%fZ') FROM {NAME}.main.loads WHERE load_id <= {load_id}",
    )
    first, last = _one(
        db,
        "SELECT strftime(min(occurred_at), '%Y-%m-%dT%H:%M:%S.%fZ'), strftime(max(occurred_at), '%Y-%m-%dT%H:%M:%S.%fZ') FROM events",
    )
    return Snapshot(load_id, loaded[0] or "", dict(positions), first or "", last or "")


def _one(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = db.execute(sql).fetchone()
    if row is None:
        raise ExportError("the warehouse is empty")
    return row
