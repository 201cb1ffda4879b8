"""The log's file: making it, opening it, and whether it is still the one that was opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ..base import LogMisconfigured, LogMissing, LogUnavailable

BUSY_TIMEOUT_MS: Final = 5_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (id TEXT NOT NULL, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    position INTEGER PRIMARY KEY,  -- of the first record
    count    INTEGER NOT NULL,
    body     BLOB NOT NULL         -- the records, one a line
);
"""
_PAGE_SIZE: Final = 16_384
# Pages in the write-ahead file before they are moved into the log: fewer on a small disk.
_CHECKPOINT_PAGES: Final = (16, 1_000)


FileId = tuple[int, int]
"""Device and inode."""


def file_id(path: Path) -> FileId | None:
    """Device and inode of what is at this path, or None."""
    try:
        status = os.stat(path)  # noqa: PTH116 - twice a commit: half the time of `Path.stat`
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def side_files(path: Path) -> tuple[FileId | None, FileId | None]:
    """The write-ahead file and its index, as SQLite names them."""
    wal, shm = _side_paths(path)
    return file_id(wal), file_id(shm)


def drop_side_files(path: Path, old: tuple[FileId | None, FileId | None]) -> None:
    """
    Remove side files that stayed behind when their log went: what is at its place now must not meet them.

    Args:
        path: the log's file, which is another one now.
        old: `side_files` of the one that went; others belong to the new one.
    """
    with _alone_in(path.parent):
        if file_id(path) is not None and old[0] is not None and side_files(path)[0] == old[0]:
            for side in _side_paths(path):
                side.unlink(missing_ok=True)


def connect(path: Path, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """
    A connection to a log that is there; never makes one.

    Raises:
        LogMissing: there is no log.
        LogMisconfigured: there is something else, or it is damaged.
        LogUnavailable: it cannot be opened now.
    """
    if file_id(path) is None:
        raise LogMissing(_missing(path))
    with named(path):
        db = _opened(path, busy_timeout_ms, "rw")
        try:
            if not _tables(db):
                raise LogMissing(_missing(path))
            _configure(path, db)
        except BaseException:
            db.close()
            raise
        return db


def make(path: Path) -> None:
    """
    Make the log where there is none.

    Raises:
        LogMisconfigured: there is something else, it is damaged, or its folder is missing.
        LogUnavailable: it cannot be made now.
    """
    with _alone_in(path.parent), named(path):
        if file_id(path) is None:
            # Of a log that was here before: a new one must not meet them.
            for side in _side_paths(path):
                side.unlink(missing_ok=True)
        with contextlib.closing(_opened(path, BUSY_TIMEOUT_MS, "rwc")) as db:
            if not _tables(db):
                _make_tables(path, db)


def log_id(db: sqlite3.Connection) -> str:
    """The id that was minted with the log."""
    (found,) = db.execute("SELECT id FROM log").fetchone()
    return str(found)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into the log's own."""
    try:
        yield
    except sqlite3.Error as error:
        if type(error) is sqlite3.DatabaseError:
            # All that is about locks, space or rights is one of its subclasses.
            raise LogMisconfigured(
                f"log file {path} is damaged, or no log ({error}): move it and its -wal and -shm files away, and keep "
                "them; the collector then begins a new one"
            ) from error
        raise LogUnavailable(f"log file {path}: {error}") from error


def _opened(path: Path, busy_timeout_ms: int, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        # Threads share the writer's connection under its lock; transactions are begun by hand.
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_timeout_ms / 1000
        )
    except sqlite3.OperationalError as error:
        raise LogMisconfigured(
            f"log file {path} cannot be opened: {error}; does its folder exist, and may this user write there?"
        ) from error


def _tables(db: sqlite3.Connection) -> bool:
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if names and not {"log", "batches"} <= names:
        raise sqlite3.DatabaseError("it holds other tables")
    return bool(names)


def _configure(path: Path, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    disk = os.statvfs(path.parent)
    few, many = _CHECKPOINT_PAGES
    pages = min(max(disk.f_blocks * disk.f_frsize // 64 // _PAGE_SIZE, few), many)
    db.execute(f"PRAGMA wal_autocheckpoint = {pages}")


def _make_tables(path: Path, db: sqlite3.Connection) -> None:
    # Large pages: a batch of 100 events is one long text (measured: a third less work a commit).
    db.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _configure(path, db)
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";\n"):
        db.execute(statement)
    db.execute("INSERT INTO log SELECT ?, 0 WHERE NOT EXISTS (SELECT 1 FROM log)", (uuid.uuid4().hex,))
    db.execute("COMMIT")


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    # Two processes may make the log at once. The folder is what they lock: no file is left behind.
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LogMisconfigured(f"folder {folder} of the log: {error.strerror}; does its folder exist?") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _side_paths(path: Path) -> tuple[Path, Path]:
    return Path(f"{path}-wal"), Path(f"{path}-shm")


def _missing(path: Path) -> str:
    return f"there is no log at {path}: `thumbline collect` or `thumbline up` makes it"
