"""
When a vote happened, by the clock of a page that nobody has set.

The latest vote is the one that counts, so a time from the future would win for ever, and a clock that is
an hour slow must not cost a vote. So nothing is refused for its time: it is corrected, then bounded. One page's
votes keep the order in which they were made: all are shifted alike, also in requests that took longer or shorter,
and those that meet at a bound are told apart by the page's own time.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from thumbline.events import INSTANT_PATTERN

_INSTANT: Final = re.compile(INSTANT_PATTERN)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE_MS: Final = 60_000
# How far from the receipt's issue and from now an event may be; as far may a clock be off without being corrected.
_TOLERANCE_MS: Final = _MINUTE_MS

_SLOTS: Final = 65_536
_SLOT: Final = struct.Struct("<Qq")  # whose clock it is, and by how many milliseconds it is put right


class Corrected(NamedTuple):
    """
    A page's time as it goes into the log.

    Attributes:
        text: ISO 8601.
        order: tells those apart that were bounded, in the order of the page's own times; None for the others.
    """

    text: str
    order: int | None = None


class PageClock(NamedTuple):
    """
    A page's clock against the collector's.

    Attributes:
        now_ms: Unix time in milliseconds, by the collector.
        off_ms: by how much the page's clock seems to be behind, the way of its request included.
    """

    now_ms: int
    off_ms: int = 0

    @classmethod
    def of(cls, sent_at: str | None, now_ms: int) -> PageClock:
        """The clock of a page that says when it sent its request."""
        sent_us = None if sent_at is None else _read(sent_at)
        return cls(now_ms, 0 if sent_us is None else now_ms - sent_us // 1000)

    @property
    def shift_ms(self) -> int:
        """
        What is to be added to the page's times, as far as one request shows.

        Nothing where the clock is about right: the time that a request takes must not change the order of two
        votes. In whole minutes otherwise.
        """
        return 0 if abs(self.off_ms) <= _TOLERANCE_MS else round(self.off_ms / _MINUTE_MS) * _MINUTE_MS

    def corrected(self, occurred_at: str, issued_at_s: int, shift_ms: int) -> Corrected:
        """
        A time of the page as it goes into the log.

        Args:
            occurred_at: by the page's clock; what is no time stays as it is, for the contract to refuse.
            issued_at_s: when the receipt was minted, Unix time in seconds.
            shift_ms: what is to be added.
        """
        said_us = _read(occurred_at)
        if said_us is None:
            return Corrected(occurred_at)
        earliest_ms = min(issued_at_s * 1000, self.now_ms) - _TOLERANCE_MS
        shifted_us = said_us + shift_ms * 1000
        kept_us = max(earliest_ms * 1000, min(shifted_us, (self.now_ms + _TOLERANCE_MS) * 1000))
        if kept_us == said_us:
            return Corrected(occurred_at)
        return Corrected(_written(kept_us), None if kept_us == shifted_us else max(0, said_us))


class PageClocks:
    """
    Remembers by how much each person's page is put right, for all workers of a collector.

    What two requests of a page show of its clock differs by the time that they took: at the edge of a minute that
    would be a minute between two votes, in either order. So the first request decides for those that follow, as
    long as they show about the same. What is forgotten, or overwritten by another person's, is decided anew.

    Args:
        file: shared by the workers; None where there is one.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._table = mmap.mmap(-1, _SLOTS * _SLOT.size) if file is None else _shared(file)

    def shift_ms(self, person: str, clock: PageClock) -> int:
        """
        What is to be added to the times of a person's page.

        Args:
            person: names project and rater.
            clock: as this request shows it.
        """
        own = int.from_bytes(hashlib.blake2b(person.encode(), digest_size=8).digest(), "little") | 1
        place = own % _SLOTS * _SLOT.size
        with self._lock:
            known, shift_ms = _SLOT.unpack_from(self._table, place)
            if known == own and abs(clock.off_ms - shift_ms) <= _TOLERANCE_MS:
                return int(shift_ms)
            _SLOT.pack_into(self._table, place, own, clock.shift_ms)
            return clock.shift_ms


def _shared(file: Path) -> mmap.mmap:
    size = _SLOTS * _SLOT.size
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # With room for all of it: to write where the disk has none would end the process.
            os.posix_fallocate(descriptor, 0, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError:
        return mmap.mmap(-1, size)  # a memory of this worker's own


def _read(text: str) -> int | None:
    """Unix time in microseconds; None where the contract would not take it."""
    if not _INSTANT.match(text):
        return None
    try:
        return (msgspec.convert(text, datetime) - _EPOCH) // _MICROSECOND
    except (msgspec.ValidationError, OverflowError):
        return None


def _written(us: int) -> str:
    when = _EPOCH + us * _MICROSECOND
    return when.isoformat(timespec="microseconds" if us % 1000 else "milliseconds").replace("+00:00", "Z")
