"""
The embedded log: one SQLite file, durable, for one machine.

Each `append` becomes one row that holds its records as lines, so the cost of SQLite is per request,
not per event. Appends that wait at the same time share one commit (group commit), and a commit
returns only when it is on disk (`synchronous=FULL` in WAL mode).
"""

from __future__ import annotations

from .log import SqliteLog
from .reader import SqliteReader
from .writer import SqliteWriter

__all__ = ["SqliteLog", "SqliteReader", "SqliteWriter"]
