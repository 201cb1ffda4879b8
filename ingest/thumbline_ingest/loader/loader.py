"""
The loader's loop: gather, land, tell the log.

Positions live in the warehouse, beside the rows. Whatever happens to this process, the next one
begins exactly where the last commit ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from thumbline_ingest.log import Bounds, Chunk, Log, LogMissing, LogUnavailable, Polled
from thumbline_warehouse.errors import Fenced, LogChanged, WarehouseBusy, WarehouseDamaged, WarehouseDenied
from thumbline_warehouse.landing import Records
from thumbline_warehouse.store import Landed, WarehouseStore

from .batch import Batch
from .poller import Poller
from .settings import LoaderSettings

_logger = logging.getLogger("thumbline.loader")

_EAGER_AGE_S: Final = 0.2
_RETRY_S: Final = 0.5
_SAY_EVERY_S: Final = 10.0
# How long what cannot be done now is tried where it is not known whether it ever can.
_PATIENCE_S: Final = 60.0
# What a person has to mend is looked at again less often.
_MENDED_RETRY_S: Final = 5.0

_T = TypeVar("_T")
_PASSES = (LogUnavailable, WarehouseBusy)
_IS_MENDED = (WarehouseDamaged, WarehouseDenied)


class Loader:
    """
    Lands one log in one warehouse.

    Args:
        log: where to read.
        store: where to land.
        settings: how to work.
        on_landed: called after each load.
    """

    def __init__(
        self,
        log: Log,
        store: WarehouseStore,
        settings: LoaderSettings | None = None,
        on_landed: Callable[[Landed], None] | None = None,
    ) -> None:
        self.settings = settings or LoaderSettings()
        self._log = log
        self._store = store
        self._on_landed = on_landed
        self._log_id = ""
        self._expected: dict[int, int] = {}
        self._assigned: frozenset[int] = frozenset()
        self._landed_by_others: dict[int, int] = {}
        self._stop = threading.Event()
        self._until_empty = False
        self._poller = self._new_poller()
        self._progress_at = self._checked_at = self._compacted_at = time.monotonic()
        self._loads_since_compaction = 0
        self._has_landed = False
        self._noted_at = 0.0

    def run(self, stop: threading.Event, until_empty: bool = False) -> None:
        """
        Land until `stop` is set.

        Args:
            stop: ends the loop after the load under way.
            until_empty: also end when everything that the log held at the start is landed.

        Raises:
            LogChanged: the log was made anew, lost partitions, or lost records that were not landed.
            LogMisconfigured: the log is damaged, or does not exist and is not made by who writes.
            LogMissing: `until_empty`, and there is no log.
        """
        self._stop, self._until_empty = stop, until_empty
        # Joining the group takes a moment: it goes on while the log is looked at.
        self._poller.start()
        try:
            ends = self._begin()
            while not stop.is_set():
                self._load(self._gather(self._age_s(until_empty)))
                self._maintain()
                if until_empty and self._has_reached(ends):
                    return
        finally:
            self._poller.close()

    def _new_poller(self) -> Poller:
        return Poller(lambda: self._log.reader(self.settings.member), self._note)

    def _begin(self) -> dict[int, Bounds]:
        def look() -> dict[int, Bounds]:
            identity = self._log.identity()
            self._log_id = identity.id
            self._store.register_log(
                identity.id, identity.name, identity.partitions, accept_new=self.settings.accept_new_log
            )
            return self._log.bounds()

        return self._ask(look) or {}

    def _ask(self, question: Callable[[], _T]) -> _T | None:
        """
        The answer of log or warehouse, waited for while they cannot give one; None when told to stop.

        Raises:
            Exception: it ends by itself when all is landed, and waits for what a person must mend, or for too long.
        """
        began = time.monotonic()
        while not self._stop.is_set():
            try:
                return question()
            except (*_PASSES, *_IS_MENDED) as error:
                in_vain = isinstance(error, (LogMissing, *_IS_MENDED)) or time.monotonic() - began > _PATIENCE_S
                if self._until_empty and in_vain:
                    raise
                self._note(error)
                self._stop.wait(_MENDED_RETRY_S if isinstance(error, _IS_MENDED) else _retry_after_s(error))
        return None

    def _age_s(self, until_empty: bool) -> float:
        # A loader that has just started, or that is to catch up and end, finds its records waiting:
        # there is no point in waiting for more to come.
        age_s = self.settings.max_batch_age_s
        return min(age_s, _EAGER_AGE_S) if until_empty or not self._has_landed else age_s

    def _gather(self, max_age_s: float) -> Batch:
        batch = Batch(self.settings, self._expected, max_age_s)
        while not self._stop.is_set() and not batch.is_full:
            wait_s = batch.waits_s
            if wait_s <= 0:
                break
            # In steps, so that a stop or a time for maintenance is not missed.
            polled = self._poller.get(min(wait_s, 0.2))
            if polled is None:
                if batch.is_empty:
                    break
                continue
            if polled.newly_assigned:
                self._place(polled)
                # What was gathered is landed first: its partitions may be others' by now.
                self._take(batch, polled)
                break
            self._take(batch, polled)
        return batch

    def _take(self, batch: Batch, polled: Polled) -> None:
        self._assigned = polled.assigned
        for chunk in polled.chunks:
            batch.add(chunk, self._expired(chunk))

    def _load(self, batch: Batch) -> None:
        self._land(batch.records())

    def _land(self, records: list[Records]) -> None:
        if not records:
            return
        try:
            landed = self._ask(lambda: self._store.land(self._log_id, records))
        except Fenced as fenced:
            _logger.warning("another loader has landed partitions %s", sorted(fenced.positions))
            self._expected |= fenced.positions
            self._poller.seek({p: n for p, n in fenced.positions.items() if p in self._assigned})
            return
        if landed is None:
            # Told to stop; nothing is lost: the log still has it.
            return
        moved = {r.partition: r.next for r in records}
        self._expected |= moved
        self._poller.landed(moved)
        self._progress_at = time.monotonic()
        self._loads_since_compaction += 1
        self._has_landed = True
        if self._on_landed is not None:
            self._on_landed(landed)

    def _place(self, polled: Polled) -> None:
        stored = self._ask(lambda: self._store.positions(self._log_id))
        bounds = self._ask(self._log.bounds)
        if stored is None or bounds is None:
            return
        positions: dict[int, int] = {}
        for partition in polled.newly_assigned:
            position, held = stored.get(partition, 0), bounds[partition]
            if position > held.end:
                raise LogChanged(
                    f"partition {partition} of the log ends at {held.end}, but {position} of it are landed: it was cut "
                    "short or restored from an older copy"
                )
            positions[partition] = max(position, held.start)
            if position < held.start:
                self._land_gap(partition, position, held.start)
        self._expected |= positions
        self._poller.seek(positions)
        self._progress_at = time.monotonic()

    def _land_gap(self, partition: int, position: int, start: int) -> None:
        # At once, and not with the next record: there may never be one.
        lost = self._allow_gap(partition, position, start)
        self._land([Records(partition, start, start, [], [], lost)])

    def _expired(self, chunk: Chunk) -> int:
        # A gap inside a chunk is Kafka's own (compaction); one that the log's start has moved into is
        # retention that has overtaken the loader.
        if not chunk.positions or chunk.positions[0] == chunk.first:
            return 0
        bounds = self._ask(self._log.bounds)
        if bounds is None:
            return 0
        start = bounds[chunk.partition].start
        return self._allow_gap(chunk.partition, chunk.first, start) if start > chunk.first else 0

    def _allow_gap(self, partition: int, position: int, start: int) -> int:
        lost = start - position
        if not self.settings.accept_gap:
            raise LogChanged(
                f"partition {partition} of the log begins at {start}, but only {position} of it are landed: {lost} "
                "records were dropped unread. To go on and count them as lost: thumbline load --accept-gap"
            )
        _logger.error("partition %d: %d records were dropped by the log before they were landed", partition, lost)
        return lost

    def _maintain(self) -> None:
        now = time.monotonic()
        if self._poller.silent_s > self.settings.stall_after_s:
            # A call into the log's library that never returns cannot be ended from outside. A new reader takes
            # over its partitions under the same name.
            _logger.error("the log's reader hangs: leaving it and making a new one")
            self._poller.abandon()
            self._poller = self._new_poller()
            self._poller.start()
        if now - self._checked_at >= self.settings.check_interval_s:
            self._checked_at = now
            self._check_log()
        if self._loads_since_compaction and now - self._compacted_at >= self.settings.compact_interval_s:
            self._store.compact()
            self._compacted_at = time.monotonic()
            self._loads_since_compaction = 0

    def _check_log(self) -> None:
        try:
            identity = self._log.identity()
            self._store.register_log(identity.id, identity.name, identity.partitions)
            self._look_for_stall(self._log.bounds())
        except LogChanged:
            self._land_the_rest()
            raise
        except (*_PASSES, *_IS_MENDED) as error:
            self._note(error)

    def _land_the_rest(self) -> None:
        """What the reader still brings of a log that was replaced: a deleted file can be read while it is open."""
        while True:
            batch = self._gather(_EAGER_AGE_S)
            if batch.is_empty:
                return
            self._load(batch)

    def _look_for_stall(self, bounds: dict[int, Bounds]) -> None:
        waiting = self._waiting(bounds)
        if not waiting:
            self._progress_at = time.monotonic()
        elif time.monotonic() - self._progress_at > self.settings.stall_after_s:
            _logger.error("partitions %s grow but bring no records: making the reader anew", waiting)
            self._progress_at = time.monotonic()
            self._poller.restart()

    def _waiting(self, bounds: dict[int, Bounds]) -> list[int]:
        """Partitions that hold records which nobody is known to be landing."""
        if self._assigned:
            return [p for p in self._assigned if p in bounds and bounds[p].end > self._expected.get(p, 0)]
        # A loader without partitions is a spare one, or one that was left out: it is spare while others land.
        landed, self._landed_by_others = self._landed_by_others, self._store.positions(self._log_id)
        if landed != self._landed_by_others:
            return []
        return [p for p, held in bounds.items() if held.end > landed.get(p, 0)]

    def _has_reached(self, ends: dict[int, Bounds]) -> bool:
        mine = (
            self._expected.get(partition, 0) >= ends[partition].end for partition in self._assigned if partition in ends
        )
        if not all(mine):
            return False
        stored = self._ask(lambda: self._store.positions(self._log_id))
        if stored is None:
            return False
        return all(stored.get(partition, 0) >= held.end for partition, held in ends.items() if held.end > held.start)

    def _note(self, error: Exception) -> None:
        now = time.monotonic()
        if self._until_empty and isinstance(error, LogMissing):
            # Raised, and said there.
            return
        if now - self._noted_at > _SAY_EVERY_S:
            self._noted_at = now
            _logger.warning("nothing lands now, and it is tried again: %s", error)


def _retry_after_s(error: Exception) -> float:
    return error.retry_after_s if isinstance(error, LogUnavailable) else _RETRY_S
