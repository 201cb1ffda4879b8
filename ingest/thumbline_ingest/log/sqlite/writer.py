"""The collector's end of the log."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..base import Appended, LogMisconfigured, LogMissing, LogUnavailable, Record
from .file import FileId, connect, drop_side_files, file_id, make, named, side_files
from .room import ensure_room

_log = logging.getLogger("thumbline.log")

# Waiting appends: above one request at its largest (20 MiB), so a single one always fits.
_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
_APPEND_TIMEOUT_S: Final = 10.0
_CHECK_TIMEOUT_MS: Final = 1_500
# A file that is gone for this long does not come back by itself. Long enough to put a file back by hand.
_GONE_S: Final = 10.0


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
        make(path)
        self._file = _File(path)
        self._path = path
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
        # Also what brings a lost file back: who is refused appends no more.
        if not self._commit_lock.acquire(timeout=_CHECK_TIMEOUT_MS / 1000):
            raise LogUnavailable(f"log file {self._path}: a commit hangs")
        try:
            self._file.open()
        finally:
            self._commit_lock.release()
        ensure_room(self._path, 0)
        try:
            with named(self._path), contextlib.closing(connect(self._path, _CHECK_TIMEOUT_MS)) as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except LogMisconfigured as error:
            raise LogUnavailable(str(error)) from error

    def close(self) -> None:
        with self._commit_lock:
            self._file.close()

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
            with named(self._path):
                self._write(batch)
            error = None
        except LogUnavailable as cause:
            error = cause
        except LogMisconfigured as cause:
            error = LogUnavailable(str(cause))
        finally:
            for waiting in batch:
                waiting.error = error
                waiting.done = True

    def _write(self, batch: Sequence[_Waiting]) -> None:
        db = self._file.open()
        ensure_room(self._path, sum(len(waiting.body) for waiting in batch))
        db.execute("BEGIN IMMEDIATE")
        try:
            (position,) = db.execute("SELECT next FROM log").fetchone()
            rows = []
            for waiting in batch:
                rows.append((position, waiting.count, waiting.body))
                position += waiting.count
            db.executemany("INSERT INTO batches VALUES (?, ?, ?)", rows)
            db.execute("UPDATE log SET next = ?", (position,))
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        # What went into a file that nobody reads any more is not acknowledged.
        self._file.ensure_same()


class _File:
    """
    The file at the path, and none that has been moved away from it.

    A file that comes back, or another log in its place, is opened. Where it stays away, a new log is made:
    but only in the folder that held it, for a disk that is not mounted leaves an empty folder of that name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = file_id(path.parent)
        self._gone_since: float | None = None
        self._db: sqlite3.Connection | None = None
        self._id: FileId | None = None
        self._side_files: tuple[FileId | None, FileId | None] = (None, None)
        self.open()

    def open(self) -> sqlite3.Connection:
        """
        The connection to the file that is at the path now.

        Raises:
            LogUnavailable: there is none.
        """
        if self._db is not None and file_id(self._path) == self._id:
            return self._db
        self._let_go()
        try:
            return self._opened()
        except LogMissing:
            self._wait_or_make()
            return self._opened()

    def ensure_same(self) -> None:
        """
        Refuse to acknowledge what went into a file that was moved or deleted meanwhile.

        Raises:
            LogUnavailable: it was.
        """
        if file_id(self._path) != self._id:
            raise LogUnavailable(f"log file {self._path} was moved or deleted during a commit")

    def close(self) -> None:
        """Let go of it."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        before = file_id(self._path)
        if before not in (None, self._id):
            drop_side_files(self._path, self._side_files)
        db = connect(self._path)
        if before is None or file_id(self._path) != before:
            db.close()
            raise LogUnavailable(f"log file {self._path} changes")
        if self._gone_since is not None:
            _log.warning("log file %s is back", self._path)
        self._db, self._id, self._gone_since = db, before, None
        self._side_files = side_files(self._path)
        return db

    def _let_go(self) -> None:
        if self._db is None:
            return
        self._gone_since = time.monotonic()
        _log.error("log file %s was moved, deleted or replaced: nothing is acknowledged until there is one", self._path)
        with contextlib.suppress(sqlite3.Error):
            # What is still in the write-ahead file, which stays behind, goes along with a file that was moved.
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self.close()

    def _wait_or_make(self) -> None:
        gone_s = time.monotonic() - (self._gone_since or 0.0)
        if file_id(self._path.parent) != self._folder:
            raise LogUnavailable(
                f"log file {self._path} is gone, and its folder is another one: is its disk mounted? Put it back, or "
                "start the collector anew to begin a new log there"
            )
        if gone_s < _GONE_S:
            raise LogUnavailable(f"log file {self._path} is gone")
        try:
            make(self._path)
        except LogMisconfigured as error:
            raise LogUnavailable(str(error)) from error
        _log.error("log file %s stayed away: a new log was made", self._path)
