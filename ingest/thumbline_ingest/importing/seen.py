"""What this import has met already: on disk where it grows, so that a million records need little memory."""

from __future__ import annotations

import sqlite3
from typing import Final, Literal, TypeAlias

Meeting: TypeAlias = Literal["new", "same", "other"]

# KiB of pages; what is beyond goes to a temporary file that SQLite deletes by itself.
_CACHE_KIB: Final = 64 * 1024


class Seen:
    """Counts equal records, and remembers what each event said."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE records (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")
        self._db.execute("CREATE TABLE events (id TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID")
        # One transaction to the end: a commit costs as much as there is, and none of it is to be kept.
        self._db.execute("BEGIN")

    def count(self, name: str) -> int:
        """How many equal records came before this one: 0 for the first."""
        row = self._db.execute(
            "INSERT INTO records VALUES (?, 0) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count", (name,)
        ).fetchall()
        return int(row[0][0])

    def meet(self, event_id: str, said: str) -> Meeting:
        """Whether an event is new, is there with the same content, or with another one."""
        row = self._db.execute("SELECT said FROM events WHERE id = ?", (event_id,)).fetchone()
        return "new" if row is None else "same" if row[0] == said else "other"

    def add(self, event_id: str, said: str) -> None:
        """Remember an event that was taken."""
        self._db.execute("INSERT INTO events VALUES (?, ?)", (event_id, said))

    def close(self) -> None:
        """Let go of the temporary file."""
        self._db.close()
