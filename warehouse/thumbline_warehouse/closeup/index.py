"""
What is needed of every event to find it and all that is connected with it, without its texts.

A small warehouse's index lies in memory and grows with each load, so that a look costs the same however many files
the loads have left. A large one's is a view: slower, and never more memory than the connection was given.
"""

from __future__ import annotations

from typing import Final

import duckdb

from ..connect import NAME

INDEX: Final = "memory.main.event_index"
"""Name of the relation."""

# About 200 bytes each: a fraction of what a connection that only looks is given.
MAX_ROWS: Final = 300_000

_SAYS: Final = "coalesce(value, outcome, state, score::VARCHAR, name)"
_COLUMNS: Final = f"""events.event_id, events.event_key, json_extract_string(extra, '$.receipt.event_id') AS page_event_id, project, kind, load_id,
    landed.landed_at, occurred_at, received_at, target_type, target_id, completion_id, comparison_id, completion_ids, prompt_hash,
    rater_id, author, {_SAYS} AS says"""


class Index:
    """
    Keeps `INDEX` up to date.

    Args:
        db: a connection to the warehouse.
        max_rows: events of which the index is held in memory.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, max_rows: int = MAX_ROWS) -> None:
        self._db = db
        self._max_rows = max_rows
        self._load_id = -1
        self._in_memory = False

    def refresh(self) -> int:
        """Take in what has landed since; gives the load up to which it holds now."""
        (head,) = self._db.execute(f"SELECT load_id FROM {NAME}.main.head").fetchone() or (0,)
        if head == self._load_id:
            return int(head)
        if head < self._load_id or self._load_id < 0:
            self._make(int(head))
        elif self._in_memory:
            self._add(int(head))
        self._load_id = int(head)
        return self._load_id

    def _make(self, head: int) -> None:
        (count,) = self._db.execute(f"SELECT coalesce(sum(landed), 0) FROM {NAME}.main.loads").fetchone() or (0,)
        self._in_memory = count <= self._max_rows
        self._drop()
        if self._in_memory:
            self._db.execute(f"CREATE TABLE {INDEX} AS {_select(f'load_id <= {head}')}")
        else:
            self._db.execute(f"CREATE VIEW {INDEX} AS {_select('true')}")

    def _add(self, head: int) -> None:
        self._db.execute(f"INSERT INTO {INDEX} {_select(f'load_id > {self._load_id} AND load_id <= {head}')}")
        (count,) = self._db.execute(f"SELECT count(*) FROM {INDEX}").fetchone() or (0,)
        if count > self._max_rows:
            self._make(head)

    def _drop(self) -> None:
        kinds = {"BASE TABLE": "TABLE", "VIEW": "VIEW"}
        found = self._db.execute(
            "SELECT table_type FROM information_schema.tables WHERE table_catalog = 'memory' AND table_schema = 'main' "
            "AND table_name = 'event_index'"
        ).fetchone()
        if found:
            self._db.execute(f"DROP {kinds[found[0]]} {INDEX}")


def _select(condition: str) -> str:
    landed = f"SELECT load_id, max(loaded_at) AS landed_at FROM {NAME}.main.loads WHERE {condition} GROUP BY load_id"
    return (
        f"SELECT {_COLUMNS} FROM (SELECT * FROM {NAME}.main.events WHERE {condition}) events "
        f"LEFT JOIN ({landed}) landed USING (load_id)"
    )
