"""A DuckDB connection with the warehouse attached as `thumbline`."""

from __future__ import annotations

import importlib.util
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import duckdb

from .errors import WarehouseOutdated
from .urls import WarehouseUrl

NAME = "thumbline"
_EXTENSIONS = ("sqlite_scanner", "ducklake")
# Times are stored in UTC and shown in it: a machine's own zone must not change a result. Both: a cursor of the
# connection begins with the global one, and what a session has set for itself goes before that.
_UTC = ("SET GLOBAL TimeZone = 'UTC'", "SET TimeZone = 'UTC'")


@dataclass(frozen=True)
class ConnectionSettings:
    """
    What DuckDB may use.

    Attributes:
        memory_limit: DuckDB's own limit, e.g. `2GB`; what does not fit is spilled to `temp_directory`.
        threads: DuckDB's threads; 0 leaves it to DuckDB (one a core).
        temp_directory: where to spill; a folder of its own in the system's one for temporary files when empty.
    """

    memory_limit: str = "2GB"
    threads: int = 0
    temp_directory: str = ""


def connect(
    url: WarehouseUrl, *, read_only: bool = False, settings: ConnectionSettings | None = None
) -> duckdb.DuckDBPyConnection:
    """
    A new connection whose default database is the warehouse.

    Any number of processes may read while others load.

    Args:
        url: where the warehouse is.
        read_only: refuse to change anything, and do not make a warehouse that is not there.
        settings: what DuckDB may use.

    Raises:
        FileNotFoundError: `read_only`, and there is no warehouse yet.
        WarehouseOutdated: `read_only`, and an older version has made it.
        duckdb.Error: the catalog cannot be opened.
    """
    file = url.catalog_file
    if read_only and file is not None and not file.exists():
        raise FileNotFoundError(f"no warehouse at {file} yet: it is made when the first event is landed")
    if not read_only and file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    connection = _configured(settings or ConnectionSettings())
    for statement in attach_statements(url, read_only=read_only):
        connection.execute(statement)
    if read_only:
        _check_version(connection)
    return connection


def attach_statements(url: WarehouseUrl, *, read_only: bool = True) -> list[str]:
    """
    The statements with which any DuckDB of the same version opens the warehouse.

        LOAD '...';  LOAD '...';  SET GLOBAL TimeZone = 'UTC';  SET TimeZone = 'UTC';
        ATTACH 'ducklake:sqlite:...' AS thumbline (...);  USE thumbline;
    """
    loads = [f"LOAD '{_quoted(str(extension_path(name)))}'" for name in _EXTENSIONS]
    # DuckLake keeps the folder's path as it was when the catalog was made, and refuses another one. Where the
    # folder is now is what the URL says: it may have been moved, copied, restored or reached through a link.
    options = [f"DATA_PATH '{_quoted(url.data_path)}'", "OVERRIDE_DATA_PATH true"]
    # Rows inlined in the catalog would have to be flushed, which readers must not meet (see compaction.py).
    options.append("READ_ONLY" if read_only else "DATA_INLINING_ROW_LIMIT 0")
    if url.catalog.startswith("sqlite:"):
        # Without WAL two overlapping transactions deadlock and both fail.
        options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 10000"]
    return [*loads, *_UTC, f"ATTACH 'ducklake:{_quoted(url.catalog)}' AS {NAME} ({', '.join(options)})", f"USE {NAME}"]


def extension_path(name: str) -> Path:
    """
    Where pip has put a DuckDB extension: loaded by path, it needs neither network nor unsigned extensions.

    Raises:
        ImportError: the wheel is not installed; names the command that installs it.
    """
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"DuckDB extension '{name}' is not installed: pip install 'thumbline[server]'")
    folder = Path(next(iter(spec.submodule_search_locations)))
    found = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not found.exists():
        raise ImportError(
            f"DuckDB extension '{name}' does not fit duckdb {duckdb.__version__}: pip install 'thumbline[server]'"
        )
    return found


def _check_version(connection: duckdb.DuckDBPyConnection) -> None:
    # What everything here is joined by. Who may write adds it: `migrate`.
    try:
        columns = {row[0] for row in connection.execute("DESCRIBE events").fetchall()}
    except duckdb.CatalogException:
        return
    if "event_key" not in columns:
        connection.close()
        raise WarehouseOutdated(
            "an older version of thumbline has made this warehouse; to bring it up to date: thumbline load --until-empty"
        )


def _configured(settings: ConnectionSettings) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory_limit,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
    }
    if settings.threads:
        config["threads"] = settings.threads
    # Made when something is spilled, and gone with the connection. DuckDB's own choice is the working folder, which
    # may not be writable, and where two processes would write the same files.
    spill = Path(tempfile.gettempdir()) / f"thumbline-{uuid.uuid4().hex}"
    config["temp_directory"] = settings.temp_directory or str(spill)
    connection = duckdb.connect(config=config)
    for statement in _UTC:
        connection.execute(statement)
    # A table's name must never find a Python variable of the caller's.
    connection.execute("SET python_enable_replacements = false")
    return connection


def _quoted(text: str) -> str:
    return text.replace("'", "''")
