"""Drops what has landed, beside the reading: in a thread and over a connection of its own, by the second."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final

from ..base import LogMisconfigured, LogUnavailable
from .file import FileId, connect, file_id, named
from .room import Ballast, free_bytes, reserve_bytes

_log = logging.getLogger("thumbline.log")

_INTERVAL_S: Final = 1.0
# Rows of one transaction, and pages given back in one: writers wait no longer than for these.
_ROWS: Final = 256
_PAGES: Final = 500
# Free bytes that the dropping of one row may ask for, with plenty to spare.
_ROW_BYTES: Final = 200_000
_PAGE_BYTES: Final = 16_384
# A write-ahead file of this size is left as it is.
_SMALL_BYTES: Final = 64 * 1024
# How often it is said that nothing can be dropped.
_SAY_EVERY_S: Final = 60.0
_CLOSE_TIMEOUT_S: Final = 5.0


class Trimmer:
    """
    Tends a log's file while it is read.

    It goes on when nothing lands: a trim that failed for want of room, or that was not finished, is tried
    again each second.

    Args:
        path: the log's file.
        opened: the file that is read; one that took its place is not touched.
    """

    def __init__(self, path: Path, opened: FileId | None) -> None:
        self._path = path
        self._opened = opened
        self._ballast = Ballast(path)
        self._position = 0
        self._said_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="thumbline-trim", daemon=True)
        self._thread.start()

    def landed(self, position: int) -> None:
        """What lies before this position is in the warehouse."""
        self._position = max(self._position, position)

    def follow(self, opened: FileId | None) -> None:
        """The same log is read from another file."""
        self._opened = opened

    def close(self) -> None:
        """Drop what has landed since, and stop."""
        self._stop.set()
        self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._tend()
        self._tend()

    def _tend(self) -> None:
        try:
            self._ballast.tend()
            if self._position and file_id(self._path) == self._opened:
                self._trim()
            self._said_at = 0.0
        except (LogUnavailable, LogMisconfigured, OSError) as error:
            # Tried again, with whatever room this gives.
            self._ballast.give_back()
            self._say(error)

    def _trim(self) -> None:
        with named(self._path), contextlib.closing(connect(self._path)) as db:
            until = time.monotonic() + _INTERVAL_S
            dropped = self._drop(db, until)
            while self._shrink(db) and not dropped and time.monotonic() < until:
                self._checkpoint_if_tight(db)
            if self._is_tight() or not (dropped or self._is_small(Path(f"{self._path}-wal"))):
                # Only then does the file system have the room; while much lands, it can wait.
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _drop(self, db: sqlite3.Connection, until: float) -> bool:
        dropped = False
        # By where rows begin, which is their key: the texts are not touched.
        while time.monotonic() < until and (end := _end_of_next(db, self._position, self._rows())) is not None:
            db.execute("DELETE FROM batches WHERE position < ?", (end,))
            dropped = True
            self._checkpoint_if_tight(db)
        return dropped

    def _checkpoint_if_tight(self, db: sqlite3.Connection) -> None:
        # Else the write-ahead file grows by each step, on a disk that has no room for it.
        if self._is_tight():
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _rows(self) -> int:
        # Each row that goes is some pages in the write-ahead file.
        free, _ = free_bytes(self._path.parent)
        return min(max(free // _ROW_BYTES, 1), _ROWS)

    def _shrink(self, db: sqlite3.Connection) -> bool:
        free, _ = free_bytes(self._path.parent)
        pages = min(max(free // 4 // _PAGE_BYTES, 8), _PAGES)
        (unused,) = db.execute("PRAGMA freelist_count").fetchone()
        if unused:
            # Not `execute`: it stops after the first step, which gives back one page.
            db.executescript(f"PRAGMA incremental_vacuum({pages})")
        return bool(unused)

    def _is_small(self, file: Path) -> bool:
        try:
            return file.stat().st_size < _SMALL_BYTES
        except FileNotFoundError:
            return True

    def _is_tight(self) -> bool:
        free, total = free_bytes(self._path.parent)
        return free < 2 * reserve_bytes(total)

    def _say(self, error: Exception) -> None:
        now = time.monotonic()
        if self._said_at and now - self._said_at < _SAY_EVERY_S:
            return
        self._said_at = now
        _log.warning("what has landed cannot be dropped from the log now, and is tried again each second: %s", error)


def _end_of_next(db: sqlite3.Connection, landed: int, rows: int = _ROWS) -> int | None:
    """The position before which the next rows can be dropped; None where there are none."""
    found = db.execute(
        "SELECT position, count FROM batches WHERE position < ? ORDER BY position LIMIT ?", (landed, rows)
    ).fetchall()
    # The row that holds a position which has not landed stays whole.
    while found and found[-1][0] + found[-1][1] > landed:
        found.pop()
    return found[-1][0] + found[-1][1] if found else None
