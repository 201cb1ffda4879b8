"""
The warehouse store seam, and its implementation on DuckLake.

A load is one transaction: rows, quarantine, positions and the load's number become visible together
or not at all. The number is moved on by a compare-and-swap of the one row of `head`, so that of two
loads at the same time one fails and is tried again on what the other has written; that is what
fences a loader that was paused, and what keeps an event single across loaders.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import duckdb

from .compaction import compact
from .connect import ConnectionSettings, connect
from .errors import Fenced, LogChanged, MemoryExceeded, WarehouseBusy, WarehouseDamaged, WarehouseError
from .faults import damaged_files, is_conflict, named, translated
from .landing import Counts, Records, insert, stage
from .migrate import migrate
from .urls import WarehouseUrl

_log = logging.getLogger("thumbline.warehouse")

_MAX_TRIES: Final = 30
_LOOK_DEEP_EVERY_S: Final = 600.0

# Errors that what is landed can be the cause of. All others (a full disk, a lost file) are of the
# warehouse, and no reason to set a record aside.
_DATA_ERRORS: Final = (duckdb.DataError, duckdb.InvalidInputException, duckdb.ConstraintException)
_BATCH_ERRORS: Final = (*_DATA_ERRORS, duckdb.OutOfMemoryException)


@dataclass(frozen=True)
class Landed:
    """
    One load.

    Attributes:
        load_id: its number; 0 when nothing was to be landed.
        counts: by partition, what became of the records.
    """

    load_id: int
    counts: Mapping[int, Counts]

    def total(self, field: str) -> int:
        """Sum of `records`, `landed`, `duplicates`, `conflicts` or `quarantined` over the partitions."""
        return sum(getattr(count, field) for count in self.counts.values())


class WarehouseStore(Protocol):
    """Where a loader puts batches. Used from one thread."""

    def register_log(self, log_id: str, name: str, partitions: int, *, accept_new: bool = False) -> None:
        """
        Say which log is going to be landed.

        Raises:
            LogChanged: under this name another log, or one with more partitions, was landed before.
        """
        ...

    def positions(self, log_id: str) -> dict[int, int]:
        """Where to read on, by partition; partitions that were never landed are not in it."""
        ...

    def land(self, log_id: str, batch: Sequence[Records]) -> Landed:
        """
        Land a batch together with its positions, in one transaction.

        Raises:
            Fenced: the batch does not begin where the warehouse stands.
            WarehouseBusy: the catalog was locked for too long.
        """
        ...

    def compact(self) -> None:
        """Merge small files, forget old snapshots, and remove files that nothing refers to any more."""
        ...

    def close(self) -> None:
        """Let go of the catalog."""
        ...


@dataclass(frozen=True)
class StoreSettings:
    """
    How a store works.

    Attributes:
        loader: name of this loader, written beside each load.
        keep_files_s: for how long a file that was merged away stays for readers that still use it.
        connection: what DuckDB may use.
    """

    loader: str = "loader"
    keep_files_s: int = 600
    connection: ConnectionSettings = field(default_factory=ConnectionSettings)


class DuckLakeStore:
    """
    A `WarehouseStore` on DuckLake; makes tables and views that are not there yet.

    Args:
        url: where the warehouse is.
        settings: how to work.
    """

    def __init__(self, url: WarehouseUrl, settings: StoreSettings | None = None) -> None:
        self.settings = settings or StoreSettings()
        self._url = url
        with translated(url):
            self._db = _retried(lambda: connect(url, settings=self.settings.connection), "open the warehouse")
        with translated(url, self._db):
            _retried(lambda: migrate(self._db), "make tables and views")
        # When all files were last read to find out what an error is of: that takes its time.
        self._looked_deep_at = -_LOOK_DEEP_EVERY_S
        # What is known of a log as of a load: read again only when somebody else has landed since.
        self._known: tuple[str, int] | None = None
        self._positions: dict[int, int] = {}

    def register_log(self, log_id: str, name: str, partitions: int, *, accept_new: bool = False) -> None:
        known = "SELECT log_id, partitions FROM logs WHERE name = ? ORDER BY seen_at DESC, partitions DESC LIMIT 1"
        with translated(self._url, self._db):
            rows = self._db.execute(known, [name]).fetchall()
        if rows and rows[0] == (log_id, partitions):
            return
        if rows and not accept_new:
            _refuse_changed(name, log_id, partitions, rows[0])
        statement = "INSERT INTO logs VALUES (?, ?, ?, make_timestamp(epoch_us(now())))"
        with translated(self._url, self._db):
            _retried(lambda: self._db.execute(statement, [log_id, name, partitions]), "register the log")

    def positions(self, log_id: str) -> dict[int, int]:
        with translated(self._url, self._db):
            return self._stored_positions(log_id)

    def _stored_positions(self, log_id: str) -> dict[int, int]:
        rows = self._db.execute(
            "SELECT partition, max(next_position) FROM loads WHERE log_id = ? GROUP BY partition", [log_id]
        ).fetchall()
        return dict(rows)

    def land(self, log_id: str, batch: Sequence[Records]) -> Landed:
        batch = [records for records in batch if records.next > records.first or records.lost]
        if not batch:
            return Landed(0, {})
        try:
            stage(self._db, batch)
        except _BATCH_ERRORS:
            # Nothing was read but the batch.
            return self._land_in_parts(log_id, batch)
        except duckdb.Error as error:
            raise self._fault(error) from error
        try:
            return self._retry_land(log_id, batch)
        except duckdb.Error as error:
            # A damaged file raises what a bad record would: it is looked for before a record is set aside.
            fault = self._fault(error)
            if fault is not error and not isinstance(fault, MemoryExceeded):
                raise fault from error
            if not isinstance(error, _BATCH_ERRORS):
                raise
            return self._land_in_parts(log_id, batch)

    def compact(self) -> None:
        try:
            compact(self._db, self.settings.keep_files_s, damaged_files(self._db, self._url))
        except duckdb.Error as error:
            # What is not merged now is only slower to read.
            _log.warning("compaction is left for the next time: %s", self._fault(error))

    def close(self) -> None:
        self._db.close()

    def _retry_land(self, log_id: str, batch: Sequence[Records]) -> Landed:
        for attempt in range(_MAX_TRIES):
            try:
                return self._land_once(log_id, batch)
            except duckdb.Error as error:
                self._rollback()
                self._known = None
                if not is_conflict(error) or attempt == _MAX_TRIES - 1:
                    raise
                _pause(attempt)
            except BaseException:
                self._rollback()
                raise
        raise AssertionError("unreachable")

    def _land_once(self, log_id: str, batch: Sequence[Records]) -> Landed:
        db = self._db
        db.execute("BEGIN")
        (head,) = db.execute("SELECT load_id FROM head").fetchone() or (0,)
        if self._known != (log_id, head):
            self._positions = self._stored_positions(log_id)
            self._known = (log_id, head)
        self._check_positions(batch)
        load_id = int(head) + 1
        counts = insert(db, log_id, load_id)
        self._write_loads(log_id, load_id, batch, counts)
        db.execute("UPDATE head SET load_id = ? WHERE load_id = ?", [load_id, head])
        db.execute("COMMIT")
        self._known = (log_id, load_id)
        self._positions |= {records.partition: records.next for records in batch}
        return Landed(load_id, counts)

    def _check_positions(self, batch: Sequence[Records]) -> None:
        for records in batch:
            expected = self._positions.get(records.partition, 0)
            if records.first - records.lost != expected:
                self._known = None
                raise Fenced({r.partition: self._positions.get(r.partition, 0) for r in batch})

    def _write_loads(self, log_id: str, load_id: int, batch: Sequence[Records], counts: Mapping[int, Counts]) -> None:
        rows = []
        for records in batch:
            count = counts.get(records.partition, Counts(0, 0, 0, 0))
            rows.append(
                [
                    load_id,
                    log_id,
                    records.partition,
                    records.first,
                    records.next,
                    count.records,
                    count.landed,
                    count.duplicates,
                    count.conflicts,
                    count.quarantined,
                    records.lost,
                    self.settings.loader,
                ]
            )
        values = ", ".join(f"({', '.join('?' * len(row))}, make_timestamp(epoch_us(now())))" for row in rows)
        self._db.execute(
            "INSERT INTO loads (load_id, log_id, partition, first_position, next_position, records, landed, duplicates, "
            f"conflicts, quarantined, lost, loader, loaded_at) VALUES {values}",
            [value for row in rows for value in row],
        )

    def _land_in_parts(self, log_id: str, batch: Sequence[Records]) -> Landed:
        # DuckDB refuses the batch as a whole for a reason that no check foresaw: halve until the record
        # at fault is alone, and quarantine that one. Each half is a load of its own.
        halves = _halved(batch)
        if len(halves) < 2:
            return self._land_last(log_id, batch)
        landed = [self.land(log_id, half) for half in halves]
        merged: dict[int, Counts] = {}
        for part in landed:
            for partition, count in part.counts.items():
                merged[partition] = _sum(merged.get(partition), count)
        return Landed(landed[-1].load_id, merged)

    def _land_last(self, log_id: str, batch: Sequence[Records]) -> Landed:
        # Once more by itself before it is given up.
        try:
            stage(self._db, batch)
            return self._retry_land(log_id, batch)
        except _DATA_ERRORS as again:
            if not any(records.values for records in batch):
                raise
            return self._land_unlandable(log_id, batch, again)

    def _land_unlandable(self, log_id: str, batch: Sequence[Records], error: duckdb.Error) -> Landed:
        _log.error("a record could not be landed and goes to quarantine: %s", type(error).__name__)
        stage(
            self._db, [Records(r.partition, r.first, r.next, r.positions, [b""] * len(r.values), r.lost) for r in batch]
        )
        bytes_, position = next((r.values[0], r.positions[0]) for r in batch if r.values)
        self._db.execute(
            "UPDATE rejects SET bytes = ?, reason = ? WHERE position = ?", [bytes_, str(error)[:500], position]
        )
        return self._retry_land(log_id, batch)

    def _fault(self, error: duckdb.Error) -> WarehouseError | duckdb.Error:
        """The error as the warehouse names it; itself where it has no name."""
        deep = time.monotonic() - self._looked_deep_at > _LOOK_DEEP_EVERY_S
        fault = named(error, self._url, self._db, deep=deep)
        if isinstance(fault, WarehouseDamaged):
            self._forget_files()
        if fault is None and deep:
            self._looked_deep_at = time.monotonic()
        if fault is None and isinstance(error, duckdb.IOException):
            # Of the disk or the network, whatever it is: not of a record.
            return WarehouseBusy(str(error))
        return fault or error

    def _forget_files(self) -> None:
        # DuckDB remembers what it has read of a file: one that was restored is to be read anew.
        for value in ("false", "true"):
            self._db.execute(f"SET enable_external_file_cache = {value}")

    def _rollback(self) -> None:
        with contextlib.suppress(duckdb.Error):
            self._db.execute("ROLLBACK")


def _refuse_changed(name: str, log_id: str, partitions: int, known: tuple[str, int]) -> None:
    if known[0] != log_id:
        raise LogChanged(
            f"{name} is not the log that was landed before: it was deleted and made anew (id {known[0]} is now {log_id}). "
            "What the old one held and was not landed is gone. To go on with the new one: thumbline load --accept-new-log"
        )
    if partitions < known[1]:
        raise LogChanged(f"{name} has {partitions} partitions, and had {known[1]} before")


def _retried(action: Callable[[], object], what: str) -> duckdb.DuckDBPyConnection:
    for attempt in range(_MAX_TRIES):
        try:
            return action()  # type: ignore[return-value]
        except duckdb.Error as error:
            if not is_conflict(error) or attempt == _MAX_TRIES - 1:
                raise
            _pause(attempt)
    raise WarehouseBusy(f"could not {what}")


def _pause(attempt: int) -> None:
    # Random, so that two loaders that met do not meet again at once.
    time.sleep(random.uniform(0.005, 0.05) * min(attempt + 1, 10))


def _halved(batch: Sequence[Records]) -> list[list[Records]]:
    if len(batch) > 1:
        return [[records] for records in batch]
    (records,) = batch
    if len(records.values) < 2:
        return [list(batch)]
    middle = len(records.values) // 2
    cut = records.positions[middle]
    return [
        [
            Records(
                records.partition, records.first, cut, records.positions[:middle], records.values[:middle], records.lost
            )
        ],
        [Records(records.partition, cut, records.next, records.positions[middle:], records.values[middle:])],
    ]


def _sum(one: Counts | None, other: Counts) -> Counts:
    if one is None:
        return other
    return Counts(
        one.records + other.records,
        one.landed + other.landed,
        one.duplicates + other.duplicates,
        one.quarantined + other.quarantined,
        one.conflicts + other.conflicts,
    )
