"""
The log seam: where acknowledged events live until they are landed.

A log is a set of partitions; in each, records have consecutive positions from 0. Two
implementations pass one suite (`tests/log/`): `SqliteLog` (one partition, one file) and `KafkaLog`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """
    One event on its way into the log.

    Attributes:
        key: what the event is about (UTF-8); records of one key stay in order.
        value: one line of UTF-8 JSON without a raw line break, the envelope of `thumbline_ingest.envelope`.
    """

    key: bytes
    value: bytes


@dataclass(frozen=True)
class LogIdentity:
    """
    Which log this is, so that a recreated one is not taken for the old.

    Attributes:
        id: changes whenever the log is created anew (Kafka: the topic's id; SQLite: minted with the file).
        name: what an operator calls it, e.g. `kafka://host:9092/thumbline` or the file's path.
        partitions: number of partitions.
    """

    id: str
    name: str
    partitions: int


@dataclass(frozen=True)
class Bounds:
    """
    What a partition holds: positions `start <= p < end`.

    Attributes:
        start: the first position still there; what lies before was trimmed or expired.
        end: one past the last position.
    """

    start: int
    end: int


@dataclass(frozen=True)
class Chunk:
    """
    Consecutive records of one partition.

    Attributes:
        partition: the partition.
        first: position from which was read; equals the last chunk's `next` unless a seek came between.
        next: position to read from afterwards. `next - first` may exceed `len(values)`: Kafka's compaction
            and transaction markers leave gaps.
        positions: position of each value; ascending.
        values: the records' values.
    """

    partition: int
    first: int
    next: int
    positions: Sequence[int]
    values: Sequence[bytes]


@dataclass(frozen=True)
class Polled:
    """
    What one poll brought.

    Attributes:
        chunks: the records, partition by partition; may be empty.
        assigned: the partitions that this reader owns now.
        newly_assigned: those of them that came with this poll; each must be placed with `seek`
            before anything is read from it.
    """

    chunks: Sequence[Chunk] = ()
    assigned: frozenset[int] = frozenset()
    newly_assigned: frozenset[int] = frozenset()


class LogUnavailable(Exception):
    """
    The log did not take or give records now; the same call may work later.

    Attributes:
        retry_after_s: how many seconds to wait before the next try.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LogMissing(LogUnavailable):
    """There is no log, and who writes makes it: a reader waits for it, and an onlooker sees nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 0.2)


class LogMisconfigured(Exception):
    """The log is missing, or is not the one it was; an operator has to act. The message says how."""


@dataclass(frozen=True)
class Appended:
    """
    What became of the records of one `append`.

    Attributes:
        refused: index of a record -> why the log will never take it (e.g. too large).
        failed: index of a record -> why it was not taken now; sending it again may work.
            Every other record is on disk.
    """

    refused: Mapping[int, str] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)


class LogWriter(Protocol):
    """The collector's end. Safe to use from many threads."""

    def append(self, records: Sequence[Record]) -> Appended:
        """
        Put records into the log and return when they are on disk.

        Raises:
            LogUnavailable: none of the records was taken, or it is not known whether they were.
        """
        ...

    def check(self) -> None:
        """
        Return within 2 seconds if the log takes records now.

        Raises:
            LogUnavailable: it does not.
        """
        ...

    def close(self) -> None:
        """Finish what is under way and let go of files, threads and connections."""
        ...


class LogReader(Protocol):
    """The loader's end. Used from one thread."""

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        """
        Wait up to `timeout_s` for records of the assigned partitions.

        Raises:
            LogUnavailable: the log cannot be read now.
        """
        ...

    def seek(self, positions: Mapping[int, int]) -> None:
        """Read the partitions from these positions next."""
        ...

    def landed(self, positions: Mapping[int, int]) -> None:
        """
        What lies before these positions is in the warehouse.

        SQLite drops it; Kafka commits it so that lag tools work. It is never read back.
        """
        ...

    def close(self) -> None:
        """Give up the partitions."""
        ...

    def leave(self) -> None:
        """Close, and keep nothing for the next reader of this name: partitions are dealt out anew."""
        ...


class Log(Protocol):
    """A log by its URL; opens writers and readers."""

    def identity(self) -> LogIdentity:
        """
        Which log this is.

        Raises:
            LogUnavailable: it cannot be reached now.
            LogMisconfigured: it does not exist.
        """
        ...

    def bounds(self) -> dict[int, Bounds]:
        """What each partition holds now; raises as `identity` does."""
        ...

    def peek(self, positions: Mapping[int, int], max_records: int) -> Sequence[Chunk]:
        """
        Records from these positions on, for onlookers: takes part in nothing and moves nothing.

        Args:
            positions: by partition, where to begin; what lies before the log's start is passed over.
            max_records: of a partition at most; where there are more, the newest.

        Raises:
            LogUnavailable: the log cannot be read now.
            LogMisconfigured: it does not exist.
        """
        ...

    def writer(self) -> LogWriter:
        """A writer of its own; raises as `identity` does."""
        ...

    def reader(self, member: str) -> LogReader:
        """
        A reader in the group of loaders, which share the partitions.

        Args:
            member: stable name of this loader; a restarted one gets its partitions back at once.
        """
        ...
