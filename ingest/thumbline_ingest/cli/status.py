"""What became of everything that was sent: read from the log and the warehouse, never counted twice."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import duckdb

from thumbline_ingest.log import Bounds, LogMissing, open_log
from thumbline_warehouse.connect import ConnectionSettings, connect
from thumbline_warehouse.urls import WarehouseUrl

from .settings import Settings


@dataclass(frozen=True)
class Status:
    """
    Where the events are; `sent = landed + duplicate + conflict + quarantined + lost + lag`.

    Attributes:
        sent: records that the log has taken.
        landed: rows in the warehouse.
        duplicate: records whose event was there already.
        conflict: records whose event's id was there already, with other content; see the table `conflicts`.
        quarantined: records that could not be landed.
        lost: records that the log dropped before they were read.
        orphaned: landed votes whose answer or comparison has not come.
        lag: records in the log that are not landed yet.
        last_landed_at: time of the last load, ISO 8601 UTC; empty when there was none.
    """

    sent: int
    landed: int
    duplicate: int
    conflict: int
    quarantined: int
    lost: int
    orphaned: int
    lag: int
    last_landed_at: str


_COUNTS = """
SELECT coalesce(sum(landed), 0), coalesce(sum(duplicates), 0), coalesce(sum(conflicts), 0),
       coalesce(sum(quarantined), 0), coalesce(sum(lost), 0),
       coalesce(strftime(max(loaded_at), '%Y-%m-%dT%H:%M:%SZ'), ''), (SELECT count(DISTINCT event_key) FROM orphans)
FROM loads
"""


def read_status(settings: Settings) -> Status:
    """
    The status now.

    The warehouse is read before the log, so that what lands meanwhile can only make the lag too
    large for a moment, never negative.

    Raises:
        LogUnavailable: the log cannot be reached.
    """
    counts, positions = _read_warehouse(settings)
    bounds, log_id = _read_log(settings)
    landed, duplicate, conflict, quarantined, lost, last, orphaned = counts
    lag = sum(held.end - min(held.end, positions.get((log_id, p), 0)) for p, held in bounds.items())
    settled = landed + duplicate + conflict + quarantined + lost
    return Status(settled + lag, landed, duplicate, conflict, quarantined, lost, orphaned, lag, last)


def _read_warehouse(settings: Settings) -> tuple[tuple[int, int, int, int, int, str, int], dict[tuple[str, int], int]]:
    url = WarehouseUrl.parse(settings.warehouse_url)
    try:
        with closing(connect(url, read_only=True, settings=ConnectionSettings(memory_limit="256MB", threads=1))) as db:
            row = db.execute(_COUNTS).fetchone() or (0, 0, 0, 0, 0, "", 0)
            positions = db.execute("SELECT log_id, partition, max(next_position) FROM loads GROUP BY ALL").fetchall()
    except (FileNotFoundError, duckdb.CatalogException):
        # Nothing was ever landed: the loader makes the warehouse.
        return (0, 0, 0, 0, 0, "", 0), {}
    *counts, last, orphaned = row
    landed, duplicate, conflict, quarantined, lost = (int(count) for count in counts)
    return (landed, duplicate, conflict, quarantined, lost, last, orphaned), {
        (log_id, partition): position for log_id, partition, position in positions
    }


def _read_log(settings: Settings) -> tuple[dict[int, Bounds], str]:
    log = open_log(settings.log_url)
    try:
        return log.bounds(), log.identity().id
    except LogMissing:
        # Nothing was ever sent: the collector makes the log.
        return {}, ""
