"""A log in memory: for tests, and to see how small a log is. Loses everything with its process."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence

from .base import Appended, Bounds, Chunk, LogIdentity, Polled, Record


class MemoryLog:
    """
    A `Log` of one partition in this process.

    Attributes:
        records: what was appended, in order.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.changed = threading.Condition()
        self._start = 0
        self._id = uuid.uuid4().hex
        self._owner: str | None = None

    def identity(self) -> LogIdentity:
        return LogIdentity(id=self._id, name="memory:", partitions=1)

    def bounds(self) -> dict[int, Bounds]:
        return {0: Bounds(self._start, len(self.records))}

    def peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        end = len(self.records)
        first = max(positions.get(0, end), self._start, end - max_records)
        values = [record.value for record in self.records[first:end]]
        return [Chunk(0, first, end, range(first, end), values)] if values else []

    def writer(self) -> MemoryWriter:
        return MemoryWriter(self)

    def reader(self, member: str) -> MemoryReader:
        return MemoryReader(self, member)

    def claim(self, member: str) -> bool:
        """Whether `member` owns the one partition; the first to ask gets it."""
        if self._owner is None:
            self._owner = member
        return self._owner == member

    def release(self, member: str) -> None:
        """Give the partition up."""
        if self._owner == member:
            self._owner = None

    def trim(self, position: int) -> None:
        """Forget what lies before `position`."""
        self._start = max(self._start, position)


class MemoryWriter:
    """The collector's end of a `MemoryLog`."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def append(self, records: Sequence[Record]) -> Appended:
        with self._log.changed:
            self._log.records.extend(records)
            self._log.changed.notify_all()
        return Appended()

    def check(self) -> None:
        """It always takes records."""

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryReader:
    """The loader's end of a `MemoryLog`."""

    def __init__(self, log: MemoryLog, member: str) -> None:
        self._log = log
        self._member = member
        self._next: int | None = None
        self._announced = False

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        if not self._log.claim(self._member):
            return Polled()
        fresh = frozenset() if self._announced else frozenset({0})
        self._announced = True
        if self._next is None:
            return Polled(assigned=frozenset({0}), newly_assigned=fresh)
        first = self._next
        with self._log.changed:
            self._log.changed.wait_for(lambda: len(self._log.records) > first, timeout_s)
            values = [record.value for record in self._log.records[first : first + max_records]]
        if not values:
            return Polled(assigned=frozenset({0}), newly_assigned=fresh)
        self._next = first + len(values)
        chunk = Chunk(0, first, self._next, range(first, self._next), values)
        return Polled([chunk], frozenset({0}), fresh)

    def seek(self, positions: Mapping[int, int]) -> None:
        self._next = positions[0]

    def landed(self, positions: Mapping[int, int]) -> None:
        self._log.trim(positions[0])

    def close(self) -> None:
        self._log.release(self._member)

    def leave(self) -> None:
        self.close()
