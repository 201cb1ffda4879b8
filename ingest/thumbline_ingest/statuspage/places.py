"""The places that know something, and how often each of them is looked at."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import Final

import duckdb

from thumbline_ingest.keys import KeyStore
from thumbline_ingest.rejections import FOLDER, Rejections, read_folder

from .collector import CollectorState, read_collector, url_of
from .figures import read_figures, read_positions
from .find import Finder
from .kept import Kept, Look
from .lake import Lake
from .overview import Overview
from .settings import StatusPageSettings
from .shapes import Figures
from .tail import Tail, read_tail

# How long a page waits for each of them; it says so where that was not enough.
_PATIENCE_S: Final = 1.5
_WAREHOUSE_PATIENCE_S: Final = 5.0


class Places:
    """
    Collector, log, warehouse and the home folder, each looked at for all who ask.

    Args:
        settings: where they are.
    """

    def __init__(self, settings: StatusPageSettings) -> None:
        self._settings = settings
        self._lake = Lake(settings.warehouse_url, settings.memory_limit)
        self._warehouse = Kept(self._look_at_warehouse)
        self._positions = Kept(self._look_at_positions, 1.0)
        is_file = settings.log_url.startswith("sqlite:")
        # A file is looked at in a millisecond; a cluster is not asked more often than the rest.
        self._log = Kept(self._look_at_log, 0.0 if is_file else 2.0, 5.0 if is_file else 10.0)
        self._collector = Kept(self._look_at_collector, 1.0)
        # Opening the warehouse takes longer than reading it: it is done when the first reader comes.
        self._positions.get(0.0)
        self.finder = Finder(self._lake, self._tail, self._rejections, settings.texts)

    def overview(self) -> Overview:
        """Everything, as far as it is known in time."""
        settings = self._settings
        return Overview(
            now=datetime.now(timezone.utc),
            keys=self._keys(),
            collector_url=url_of(settings.collector_host, settings.collector_port),
            collector=self._collector.get(_PATIENCE_S),
            log=self._tail(),
            log_name=settings.log_url.partition("?")[0],
            warehouse=self._warehouse.get(_WAREHOUSE_PATIENCE_S),
            rejections=self._rejections(),
        )

    def _tail(self) -> Look[Tail]:
        return self._log.get(_PATIENCE_S)

    def _keys(self) -> int | None:
        try:
            return sum(key.is_valid() for key in KeyStore(self._settings.home / "keys.json").list())
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _rejections(self) -> Rejections:
        return read_folder(self._settings.home / FOLDER)

    def _look_at_collector(self) -> CollectorState:
        return read_collector(self._settings.collector_host, self._settings.collector_port)

    def _look_at_log(self) -> Tail:
        return read_tail(self._settings.log_url, self._positions.get(_PATIENCE_S).value or {})

    def _look_at_positions(self) -> dict[tuple[str, int], int]:
        try:
            with contextlib.closing(self._lake.connection()) as db:
                return read_positions(db)
        except (FileNotFoundError, duckdb.CatalogException):
            return {}
        except duckdb.Error as error:
            raise self._fault(error) from error

    def _look_at_warehouse(self) -> Figures:
        try:
            with contextlib.closing(self._lake.connection()) as db:
                # In one transaction, so that all figures are of the same loads.
                db.execute("BEGIN")
                return read_figures(db, datetime.now(timezone.utc))
        except (FileNotFoundError, duckdb.CatalogException):
            # The loader makes it.
            return Figures()
        except duckdb.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: duckdb.Error) -> Exception:
        fault = self._lake.fault(error)
        self._lake.forget()
        return fault
