"""What can go wrong outside of the command, each as one sentence and an exit status of its own."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

import click
import duckdb

from thumbline_ingest.log import LogMisconfigured, LogMissing, LogUnavailable
from thumbline_warehouse.errors import (
    LogChanged,
    MemoryExceeded,
    WarehouseBusy,
    WarehouseDamaged,
    WarehouseDenied,
    WarehouseError,
    WarehouseFull,
    WarehouseOutdated,
)

if TYPE_CHECKING:
    from .settings import Settings

# The first that fits counts: what is a kind of another comes before it. 1 to 6 are the commands' own.
STATUSES: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (LogMissing, 11, "there is no log yet, or no more"),
    (LogUnavailable, 10, "the log takes or gives nothing now: Kafka is away, its disk is full, its file is locked"),
    (LogMisconfigured, 12, "the log is damaged, is something else, or its topic or folder must be made"),
    (LogChanged, 13, "the log is not the one that was landed before, or has dropped records unread"),
    (WarehouseFull, 21, "a disk is full"),
    (WarehouseBusy, 20, "another process holds the warehouse's catalog, or its files cannot be reached"),
    (WarehouseDamaged, 22, "the catalog or a data file is missing or damaged"),
    (WarehouseDenied, 23, "a file or folder may not be read or written by this user"),
    (MemoryExceeded, 24, "the memory limit is too low for what was asked"),
    (WarehouseOutdated, 25, "an older version has made the warehouse, and no loader of this one has opened it"),
)
# A process that ends with one of these is not helped by starting it again. A damaged warehouse is none of them: it may
# be restored, and events are taken meanwhile.
HOPELESS: Final = frozenset({2, 12, 13, 23})


def outcome(error: Exception, settings: Settings | None) -> tuple[str, int] | None:
    """
    The sentence for an error, and the exit status.

    Args:
        error: what a command has raised.
        settings: what the command went by, as far as it came.

    Returns:
        None for what has no name: that is a fault of ours, and shown as it is.
    """
    if isinstance(error, duckdb.Error):
        error = _of_warehouse(error, settings) or error
    for kind, status, _ in STATUSES:
        if isinstance(error, kind):
            return _one_line(error), status
    if isinstance(error, (WarehouseError, FileNotFoundError, ValueError)):
        # Of the options or the data; exports have statuses of their own.
        return str(error), int(getattr(error, "exit_code", 2))
    if isinstance(error, OSError):
        return _of_system(error)
    return None


def _of_system(error: OSError) -> tuple[str, int] | None:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full", 21
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}{os.strerror(error.errno)}; this user must be able to read and write there", 23
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG):
        return f"{where}{os.strerror(error.errno)}", 2
    return None


def _of_warehouse(error: duckdb.Error, settings: Settings | None) -> WarehouseError | None:
    from thumbline_warehouse.connect import ConnectionSettings, connect
    from thumbline_warehouse.faults import named
    from thumbline_warehouse.urls import WarehouseUrl

    if settings is None:
        return None
    url = WarehouseUrl.parse(settings.warehouse_url)
    try:
        db = connect(url, read_only=True, settings=ConnectionSettings(memory_limit="256MB", threads=1))
    except (duckdb.Error, OSError):
        return named(error, url)
    try:
        return named(error, url, db)
    finally:
        db.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def table() -> str:
    """The exit statuses as a table of Markdown."""
    rows = [f"| {status} | {what} |" for _, status, what in sorted(STATUSES, key=lambda row: row[1])]
    return "\n".join(["| status | what it means |", "| --- | --- |", *rows])


def say(sentence: str) -> None:
    """Print a fault's sentence."""
    click.echo(f"thumbline: {sentence}", err=True)
