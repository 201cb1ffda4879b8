"""Settings of the loader."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoaderSettings:
    """
    How the loader works.

    Attributes:
        member: stable name of this loader in the group; a restarted one with the same name gets its
            partitions back at once.
        max_batch_records: records in a load at most.
        max_batch_bytes: their bytes at most, or one poll's if that is more.
        max_batch_age_s: how long the first record of a load waits for others.
        compact_interval_s: seconds between compactions, while anything is landed.
        check_interval_s: seconds between looks at whether the log is still the one it was.
        stall_after_s: after how many seconds without progress, while the log grows, or without a sign of the
            reader, it is made anew. Above the 10 seconds in which a reader gives up on a log that is away.
        accept_new_log: go on with a log that was made anew (what the old one held is gone).
        accept_gap: go on where the log has dropped records that were not landed; they are counted as lost.
    """

    member: str = "loader-0"
    max_batch_records: int = 100_000
    max_batch_bytes: int = 64 * 1024 * 1024
    max_batch_age_s: float = 1.0
    compact_interval_s: float = 60.0
    check_interval_s: float = 5.0
    stall_after_s: float = 20.0
    accept_new_log: bool = False
    accept_gap: bool = False
