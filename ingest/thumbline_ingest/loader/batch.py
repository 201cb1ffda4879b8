"""Gathers polled chunks into one load, and drops what does not follow on what is landed."""

from __future__ import annotations

import time
from collections.abc import Mapping

from thumbline_ingest.log import Chunk
from thumbline_warehouse.landing import Records

from .settings import LoaderSettings


class Batch:
    """
    The load that is being gathered.

    Args:
        settings: its limits.
        expected: by partition, the position that the next chunk must begin with.
        max_age_s: how long its first record waits for others.
    """

    def __init__(self, settings: LoaderSettings, expected: Mapping[int, int], max_age_s: float) -> None:
        self._settings = settings
        self._max_age_s = max_age_s
        self._expected = dict(expected)
        self._first: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._positions: dict[int, list[int]] = {}
        self._values: dict[int, list[bytes]] = {}
        self._count = 0
        self._bytes = 0
        self._began = 0.0

    def add(self, chunk: Chunk, lost: int = 0) -> bool:
        """Take a chunk; `False` when it does not follow (it was read before a seek)."""
        if self._expected.get(chunk.partition) != chunk.first:
            return False
        if not self._count:
            self._began = time.monotonic()
        self._first.setdefault(chunk.partition, chunk.first + lost)
        self._lost[chunk.partition] = self._lost.get(chunk.partition, 0) + lost
        self._positions.setdefault(chunk.partition, []).extend(chunk.positions)
        self._values.setdefault(chunk.partition, []).extend(chunk.values)
        self._expected[chunk.partition] = chunk.next
        self._count += len(chunk.values)
        self._bytes += sum(map(len, chunk.values))
        return True

    @property
    def is_full(self) -> bool:
        """Whether it has reached its size."""
        return self._count >= self._settings.max_batch_records or self._bytes >= self._settings.max_batch_bytes

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return self._count == 0

    @property
    def waits_s(self) -> float:
        """Seconds until it is old enough to be landed."""
        return self._max_age_s if self.is_empty else self._began + self._max_age_s - time.monotonic()

    def records(self) -> list[Records]:
        """What was gathered, by partition."""
        return [
            Records(p, first, self._expected[p], self._positions[p], self._values[p], self._lost.get(p, 0))
            for p, first in self._first.items()
        ]
