"""The loader's end of the log."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..base import Chunk, LogUnavailable, Polled
from .file import connect, drop_side_files, file_id, log_id, named, side_files
from .trim import Trimmer

# Texts of one poll, give or take a request: above one request at its largest.
_MAX_READ_BYTES: Final = 16 * 1024 * 1024
# How long the reader sleeps before it looks again; half of it is the mean delay it adds.
_POLL_INTERVAL_S: Final = 0.05


class SqliteReader:
    """The loader's end. One loader at a time: a second one waits until the first has closed or died."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = file_id(path)
        self._db = connect(path)
        self._side_files = side_files(path)
        self._log_id = log_id(self._db)
        # A lock file of its own: SQLite's locks on the log itself belong to SQLite.
        self._lock_fd = os.open(f"{path}.reader", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._owned = False
        self._next: int | None = None
        self._trimmer = Trimmer(path, self._file)

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        deadline = time.monotonic() + timeout_s
        fresh = self._claim(deadline)
        if not self._owned:
            return Polled()
        if self._next is None or fresh:
            if not fresh:
                time.sleep(_POLL_INTERVAL_S)
            return Polled(assigned=frozenset({0}), newly_assigned=fresh)
        while True:
            chunk = self._read(self._next, max_records)
            if chunk is not None:
                self._next = chunk.next
                return Polled([chunk], frozenset({0}))
            # Only now: what a file still holds that was deleted is read to its end.
            self._follow()
            if time.monotonic() >= deadline:
                return Polled(assigned=frozenset({0}))
            time.sleep(_POLL_INTERVAL_S)

    def seek(self, positions: Mapping[int, int]) -> None:
        self._next = positions[0]
        # The place to go on from is where the warehouse stands: a log that was full is trimmed although nothing lands.
        self._trimmer.landed(positions[0])

    def landed(self, positions: Mapping[int, int]) -> None:
        self._trimmer.landed(positions[0])

    def close(self) -> None:
        self._trimmer.close()
        self._db.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def leave(self) -> None:
        self.close()

    def _claim(self, deadline: float) -> frozenset[int]:
        while not self._owned:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return frozenset()
                time.sleep(_POLL_INTERVAL_S)
            else:
                self._owned = True
                return frozenset({0})
        return frozenset()

    def _read(self, first: int, max_records: int) -> Chunk | None:
        with named(self._path):
            return read_chunk(self._db, first, max_records)

    def _follow(self) -> None:
        """Go on with the file that is at the path now, if it is the same log."""
        now = file_id(self._path)
        if now == self._file:
            return
        if now is not None:
            drop_side_files(self._path, self._side_files)
        db = connect(self._path)
        with named(self._path):
            found = log_id(db)
        if found != self._log_id:
            db.close()
            # Positions mean something else there: the loader says so, and ends.
            raise LogUnavailable(f"log file {self._path} is another log now")
        self._db.close()
        self._db, self._file, self._side_files = db, now, side_files(self._path)
        self._trimmer.follow(now)


def read_chunk(db: sqlite3.Connection, first: int, max_records: int) -> Chunk | None:
    """Records from `first` on, or None; at most `max_records`, so a row may be read in parts."""
    values: list[bytes] = []
    start, read = first, 0
    for position, body in _rows_from(db, first):
        if not values:
            # Later than asked for where what lay between was trimmed.
            start = max(first, position)
        lines = body.split(b"\n")
        values.extend(lines[start - position :] if position < start else lines)
        read += len(body)
        if len(values) >= max_records or read >= _MAX_READ_BYTES:
            break
    if not values:
        return None
    del values[max_records:]
    following = start + len(values)
    return Chunk(0, first, following, range(start, following), values)


def _rows_from(db: sqlite3.Connection, first: int) -> Iterator[tuple[int, bytes]]:
    # The row before may hold `first`: rows are found by where they begin.
    start = db.execute("SELECT max(position) FROM batches WHERE position <= ?", (first,)).fetchone()[0]
    cursor = db.execute(
        "SELECT position, body FROM batches WHERE position >= ? AND position + count > ? ORDER BY position",
        (first if start is None else start, first),
    )
    try:
        yield from cursor
    finally:
        cursor.close()
