"""The log by its path: who it is, what it holds, and its writers and readers."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from ..base import Bounds, Chunk, LogIdentity
from .file import connect, named
from .reader import SqliteReader, read_chunk
from .writer import SqliteWriter


class SqliteLog:
    """
    A `Log` of one partition in one file, which its writer makes; who only looks never does.

    Args:
        path: the SQLite file; its folder must exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def identity(self) -> LogIdentity:
        with named(self.path), contextlib.closing(connect(self.path)) as db:
            (log_id,) = db.execute("SELECT id FROM log").fetchone()
        return LogIdentity(id=log_id, name=str(self.path.absolute()), partitions=1)

    def bounds(self) -> dict[int, Bounds]:
        with named(self.path), contextlib.closing(connect(self.path)) as db:
            return {0: _bounds(db)}

    def peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        if 0 not in positions:
            return []
        with named(self.path), contextlib.closing(connect(self.path)) as db:
            end = _bounds(db).end
            chunk = read_chunk(db, max(positions[0], end - max_records), max_records)
        return [chunk] if chunk is not None else []

    def writer(self) -> SqliteWriter:
        return SqliteWriter(self.path)

    def reader(self, member: str) -> SqliteReader:
        return SqliteReader(self.path)


def _bounds(db: sqlite3.Connection) -> Bounds:
    (end,) = db.execute("SELECT next FROM log").fetchone()
    (start,) = db.execute("SELECT min(position) FROM batches").fetchone()
    return Bounds(end if start is None else start, end)
