"""
From DuckDB's errors to the warehouse's own: the one place that decides what an error means.

DuckDB gives classes to most of its errors, and they decide where there is one. What its extensions pass on
of the catalog (a SQLite file or PostgreSQL) comes as a bare `duckdb.Error` with the other library's sentence
at its end: there, and nowhere else, words have to be looked at.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb

from .connect import NAME
from .errors import MemoryExceeded, WarehouseBusy, WarehouseDamaged, WarehouseDenied, WarehouseError, WarehouseFull
from .schema import TABLES
from .urls import WarehouseUrl

# SQLite's own sentences (sqlite3_errstr); all that follows them is a query's rest.
_BUSY: Final = ("database is locked", "database table is locked")
_FULL: Final = ("database or disk is full", "no space left on device")
_DAMAGED: Final = ("file is not a database", "database disk image is malformed")
_DENIED: Final = ("attempt to write a readonly database", "unable to open database file", "permission denied")
# Said of a full disk, and of a broken one.
_IO: Final = ("disk i/o error",)
# A disk with less than this is full for a catalog, whose smallest step is a page or two.
_FULL_BELOW: Final = 256 * 1024

_MAGIC: Final = b"PAR1"


def is_conflict(error: duckdb.Error) -> bool:
    """Whether the same transaction may work when it is tried again at once."""
    return isinstance(error, duckdb.TransactionException) or _ends_with(error, _BUSY)


@contextlib.contextmanager
def translated(url: WarehouseUrl, db: duckdb.DuckDBPyConnection | None = None) -> Iterator[None]:
    """Raises the warehouse's own errors instead of DuckDB's, where they have a name."""
    try:
        yield
    except duckdb.Error as error:
        if (fault := named(error, url, db)) is None:
            raise
        raise fault from error


def named(
    error: duckdb.Error, url: WarehouseUrl, db: duckdb.DuckDBPyConnection | None = None, *, deep: bool = True
) -> WarehouseError | None:
    """
    What an error means, as a sentence that says what to do.

    Args:
        error: what DuckDB has raised.
        url: the warehouse.
        db: a connection to it, outside of a transaction, where there is one.
        deep: also read the files, where none is missing and the error does not say what it is of.

    Returns:
        None where the error is none that a person or time can mend.
    """
    error = _first(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return MemoryExceeded(
            "DuckDB may use too little memory for this: set THUMBLINE_MEMORY_LIMIT (e.g. 2GB) higher, or ask for less"
        )
    catalog, files = _folders(url)
    for folder in (catalog, files):
        if folder is not None and _free(folder) < _FULL_BELOW and _is_io(error):
            return WarehouseFull(f"the disk of {folder} is full: free some room; what the log holds lands then")
    if is_conflict(error):
        return WarehouseBusy(f"another process holds the catalog of the warehouse: {_last_line(error)}")
    if isinstance(error, duckdb.HTTPException):
        return WarehouseBusy(f"the files of the warehouse cannot be reached: {_last_line(error)}")
    return _of_catalog(error, url) or _of_files(url, db, deep)


def damaged_files(db: duckdb.DuckDBPyConnection, url: WarehouseUrl, *, deep: bool = False) -> list[str]:
    """
    Data files that are missing or damaged, where they are files of this machine.

    Args:
        db: a connection to the warehouse, outside of a transaction.
        url: where it is.
        deep: also read all that is in them.
    """
    if "://" in url.data_path:
        return []
    found = []
    for table in TABLES:
        with contextlib.suppress(duckdb.Error):
            # Of the catalog alone: nothing is opened.
            statement = f"SELECT data_file, data_file_size_bytes FROM ducklake_list_files('{NAME}', '{table.name}')"
            for path, size in db.execute(statement).fetchall():
                if not is_whole(Path(path), size) or (deep and not _is_readable(db, path)):
                    found.append(path)
    return found


def is_whole(path: Path, size: int) -> bool:
    """Whether a data file is there, of its size, and begins and ends as a Parquet file does."""
    try:
        with path.open("rb") as file:
            if file.read(4) != _MAGIC or os.fstat(file.fileno()).st_size != size:
                return False
            file.seek(-4, os.SEEK_END)
            return file.read(4) == _MAGIC
    except OSError:
        return False


def _is_readable(db: duckdb.DuckDBPyConnection, path: str) -> bool:
    try:
        db.execute("SELECT sum(hash(r)) FROM read_parquet($path) r", {"path": path}).fetchall()
    except duckdb.Error:
        return False
    return True


def _of_catalog(error: duckdb.Error, url: WarehouseUrl) -> WarehouseError | None:
    if _ends_with(error, _DAMAGED):
        return WarehouseDamaged(
            f"the catalog {url.catalog} is damaged, or no catalog: restore it from a copy, or move the warehouse's folder "
            "away and load what the log still holds"
        )
    if _ends_with(error, (*_DENIED, *_IO)):
        return WarehouseDenied(
            f"the catalog {url.catalog} cannot be opened: may this user read and write it and its folder? "
            f"({_last_line(error)})"
        )
    return None


def _of_files(url: WarehouseUrl, db: duckdb.DuckDBPyConnection | None, deep: bool) -> WarehouseError | None:
    if db is None:
        return None
    # First what costs next to nothing.
    found = damaged_files(db, url) or (damaged_files(db, url, deep=True) if deep else [])
    if not found:
        return None
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return WarehouseDamaged(
        f"the data file {found[0]}{more} of the warehouse is missing or damaged: restore it from a copy; what does not "
        "need it goes on"
    )


def _first(error: duckdb.Error) -> duckdb.Error:
    # Who tidies up after an error meets a transaction that was aborted by it: that says nothing of the cause.
    while isinstance(error, duckdb.TransactionException) and isinstance(error.__context__, duckdb.Error):
        error = error.__context__
    return error


def _is_io(error: duckdb.Error) -> bool:
    # DuckLake passes on what went wrong in the catalog as a bare error.
    return isinstance(error, duckdb.IOException) or type(error) is duckdb.Error or _ends_with(error, (*_FULL, *_IO))


def _ends_with(error: duckdb.Error, sentences: tuple[str, ...]) -> bool:
    # At its end: what comes before may quote a query, a file's name or a record.
    return str(error).strip().lower().endswith(sentences)


def _last_line(error: duckdb.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _folders(url: WarehouseUrl) -> tuple[Path | None, Path | None]:
    file = url.catalog_file
    return file.parent if file is not None else None, None if "://" in url.data_path else Path(url.data_path)


def _free(folder: Path) -> float:
    for there in (folder, *folder.parents):
        try:
            disk = os.statvfs(there)
        except OSError:
            continue
        return disk.f_bavail * disk.f_frsize
    return float("inf")
