"""Connections to the warehouse that only look: small, read-only, made anew when the warehouse is."""

from __future__ import annotations

import contextlib
import threading

import duckdb

from thumbline_warehouse.connect import NAME, ConnectionSettings, connect
from thumbline_warehouse.faults import named
from thumbline_warehouse.urls import WarehouseUrl


class Lake:
    """
    One DuckDB for the page; each part of the page has a connection of its own in it.

    Args:
        url: where the warehouse is.
        memory_limit: what DuckDB may use, over all connections.
    """

    def __init__(self, url: str, memory_limit: str) -> None:
        self._url = WarehouseUrl.parse(url)
        self._settings = ConnectionSettings(memory_limit=memory_limit, threads=1)
        self._lock = threading.Lock()
        self._db: duckdb.DuckDBPyConnection | None = None
        self._made_of: tuple[int, int] | None = None
        self._number = 0

    def connection(self) -> duckdb.DuckDBPyConnection:
        """
        A new connection.

        Raises:
            FileNotFoundError: there is no warehouse yet.
            duckdb.Error: it cannot be opened.
        """
        with self._lock:
            now = self._file()
            if self._db is None or now != self._made_of:
                self._close()
                self._db = connect(self._url, read_only=True, settings=self._settings)
                self._made_of = now
                self._number += 1
            cursor = self._db.cursor()
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(f"USE {NAME}")
            return cursor

    @property
    def number(self) -> int:
        """
        Changes when connections made before lead nowhere any more.

        Raises:
            FileNotFoundError: there is no warehouse yet.
            duckdb.Error: it cannot be opened.
        """
        if self._db is None or self._file() != self._made_of:
            self.connection().close()
        return self._number

    def fault(self, error: duckdb.Error) -> Exception:
        """What an error means, as a sentence where there is one."""
        with self._lock:
            # Files are not read for it: the page looks every few seconds.
            return named(error, self._url, self._db, deep=False) or error

    def forget(self) -> None:
        """Open the warehouse anew next time: what went wrong may be the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._db is not None:
            with contextlib.suppress(duckdb.Error):
                self._db.close()
            self._db = None

    def _file(self) -> tuple[int, int] | None:
        file = self._url.catalog_file
        if file is None:
            return None
        status = file.stat() if file.exists() else None
        return (status.st_dev, status.st_ino) if status else None
