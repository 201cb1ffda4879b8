"""
The embedded log: one SQLite file, durable, for one machine.

Each `append` becomes one row that holds its records as lines, so the cost of SQLite is per request,
not per event. Appends that wait at the same time share one commit (group commit), and a commit
returns only when it is on disk (`synchronous=FULL` in WAL mode).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from .base import Appended, Bounds, Chunk, LogIdentity, LogMisconfigured, LogUnavailable, Polled, Record

# Waiting appends: above one request at its largest (20 MiB), so a single one always fits.
_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
_APPEND_TIMEOUT_S: Final = 10.0
_BUSY_TIMEOUT_MS: Final = 5_000
_CHECK_TIMEOUT_MS: Final = 1_500
# Texts of one poll, give or take a request: above one request at its largest.
_MAX_READ_BYTES: Final = 16 * 1024 * 1024
# How long the reader sleeps before it looks again; half of it is the mean delay it adds.
_POLL_INTERVAL_S: Final = 0.05
# Dropping landed rows costs a commit, so it is done by the second, not by the batch.
_TRIM_INTERVAL_S: Final = 1.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (id TEXT NOT NULL, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    position INTEGER PRIMARY KEY,  -- of the first record
    count    INTEGER NOT NULL,
    body     BLOB NOT NULL         -- the records, one a line
);
"""


class SqliteLog:
    """
    A `Log` of one partition in one file, made on first use.

    Args:
        path: the SQLite file; its folder must exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def identity(self) -> LogIdentity:
        with contextlib.closing(_connect(self.path)) as db:
            (log_id,) = db.execute("SELECT id FROM log").fetchone()
        return LogIdentity(id=log_id, name=str(self.path.absolute()), partitions=1)

    def bounds(self) -> dict[int, Bounds]:
        with contextlib.closing(_connect(self.path)) as db:
            return {0: _bounds(db)}

    def peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        if 0 not in positions:
            return []
        with contextlib.closing(_connect(self.path)) as db:
            try:
                end = _bounds(db).end
                chunk = _read_chunk(db, max(positions[0], end - max_records), max_records)
            except sqlite3.Error as error:
                raise LogUnavailable(f"log file {self.path}: {error}") from error
        return [chunk] if chunk is not None else []

    def writer(self) -> SqliteWriter:
        return SqliteWriter(self.path)

    def reader(self, member: str) -> SqliteReader:
        return SqliteReader(self.path)


class _Waiting:
    """One append that waits for its commit."""

    __slots__ = ("body", "count", "done", "error")

    def __init__(self, records: Sequence[Record]) -> None:
        self.body = b"\n".join([record.value for record in records])
        self.count = len(records)
        self.done = False
        self.error: LogUnavailable | None = None


class SqliteWriter:
    """
    The collector's end.

    Of the threads that append at the same time, the one that gets the commit lock writes for all of
    them; the others find their records on disk when the lock comes to them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _connect(path)
        self._commit_lock = threading.Lock()
        self._waiting_lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0

    def append(self, records: Sequence[Record]) -> Appended:
        if not records:
            return Appended()
        mine = _Waiting(records)
        self._enter(mine)
        if not self._commit_lock.acquire(timeout=_APPEND_TIMEOUT_S):
            raise LogUnavailable("the log did not commit in time")
        try:
            if not mine.done:
                self._commit_waiting()
        finally:
            self._commit_lock.release()
        if mine.error is not None:
            raise mine.error
        if not mine.done:
            raise LogUnavailable("the log did not commit")
        return Appended()

    def check(self) -> None:
        if not self._path.exists():
            raise LogUnavailable(f"log file {self._path} is gone")
        try:
            with contextlib.closing(_connect(self._path, _CHECK_TIMEOUT_MS)) as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise LogUnavailable(f"log file {self._path}: {error}") from error

    def close(self) -> None:
        with self._commit_lock:
            self._db.close()

    def _enter(self, mine: _Waiting) -> None:
        with self._waiting_lock:
            if self._waiting_bytes + len(mine.body) > _MAX_WAITING_BYTES:
                raise LogUnavailable("the log does not keep up")
            self._waiting.append(mine)
            self._waiting_bytes += len(mine.body)

    def _commit_waiting(self) -> None:
        with self._waiting_lock:
            batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        # Whatever ends the commit, nobody who waited for it may take it for done.
        error: LogUnavailable | None = LogUnavailable(f"log file {self._path}: the commit was broken off")
        try:
            self._write(batch)
            error = None
        except sqlite3.Error as cause:
            error = LogUnavailable(f"log file {self._path}: {cause}")
        finally:
            for waiting in batch:
                waiting.error = error
                waiting.done = True

    def _write(self, batch: Sequence[_Waiting]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            (position,) = self._db.execute("SELECT next FROM log").fetchone()
            rows = []
            for waiting in batch:
                rows.append((position, waiting.count, waiting.body))
                position += waiting.count
            self._db.executemany("INSERT INTO batches VALUES (?, ?, ?)", rows)
            self._db.execute("UPDATE log SET next = ?", (position,))
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise


class SqliteReader:
    """The loader's end. One loader at a time: a second one waits until the first has closed or died."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = _connect(path)
        # A lock file of its own: SQLite's locks on the log itself belong to SQLite.
        self._lock_fd = os.open(f"{path}.reader", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._owned = False
        self._next: int | None = None
        self._trimmed_at = 0.0

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
            if time.monotonic() >= deadline:
                return Polled(assigned=frozenset({0}))
            time.sleep(_POLL_INTERVAL_S)

    def seek(self, positions: Mapping[int, int]) -> None:
        self._next = positions[0]

    def landed(self, positions: Mapping[int, int]) -> None:
        now = time.monotonic()
        if now - self._trimmed_at < _TRIM_INTERVAL_S:
            return
        self._trimmed_at = now
        try:
            self._db.execute("DELETE FROM batches WHERE position + count <= ?", (positions[0],))
            # Gives pages back to the file system a few at a time, so a trim never holds writers up.
            self._db.execute("PRAGMA incremental_vacuum(500)").fetchall()
        except sqlite3.OperationalError:
            # A busy log is trimmed next time; what stays meanwhile is only disk space.
            self._trimmed_at = 0.0

    def close(self) -> None:
        self._db.close()
        os.close(self._lock_fd)

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
        try:
            return _read_chunk(self._db, first, max_records)
        except sqlite3.Error as error:
            raise LogUnavailable(f"log file {self._path}: {error}") from error


def _read_chunk(db: sqlite3.Connection, first: int, max_records: int) -> Chunk | None:
    # From the row that holds `first` on; at most `max_records`, so a row may be read in parts.
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


def _connect(path: Path, busy_timeout_ms: int = _BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    try:
        # Threads share the writer's connection under its lock; transactions are begun by hand.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=busy_timeout_ms / 1000)
    except sqlite3.Error as error:
        raise LogMisconfigured(f"log file {path} cannot be opened: {error}; does its folder exist?") from error
    try:
        _prepare(db)
    except sqlite3.Error as error:
        db.close()
        raise LogUnavailable(f"log file {path}: {error}") from error
    return db


def _prepare(db: sqlite3.Connection) -> None:
    exists = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'batches'").fetchone()[0]
    if not exists:
        # Large pages: a batch of 100 events is one long text (measured: a third less work a commit).
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if exists:
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";\n"):
        db.execute(statement)
    # Two processes may come here at once: the second finds the row there.
    db.execute("INSERT INTO log SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM log)", (uuid.uuid4().hex,))
    db.execute("COMMIT")


def _bounds(db: sqlite3.Connection) -> Bounds:
    (end,) = db.execute("SELECT next FROM log").fetchone()
    (start,) = db.execute("SELECT min(position) FROM batches").fetchone()
    return Bounds(end if start is None else start, end)
