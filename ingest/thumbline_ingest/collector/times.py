"""
When a vote happened, by the clock of a page that nobody has set.

The latest vote is the one that counts, so a time from the future would win for ever, and a clock that is
an hour slow must not cost a vote. So nothing is refused for its time: it is corrected, then bounded.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Final, NamedTuple

import msgspec

from thumbline.events import INSTANT_PATTERN

_INSTANT: Final = re.compile(INSTANT_PATTERN)
_MINUTE_MS: Final = 60_000
# How far from the receipt's issue and from now an event may be: what a correction in whole minutes leaves.
_TOLERANCE_MS: Final = _MINUTE_MS


class PageClock(NamedTuple):
    """
    A page's clock against the collector's.

    Attributes:
        now_ms: Unix time in milliseconds, by the collector.
        shift_ms: what is to be added to the page's times.
    """

    now_ms: int
    shift_ms: int = 0

    @classmethod
    def of(cls, sent_at: str | None, now_ms: int) -> PageClock:
        """
        The clock of a page that says when it sent its request.

        In whole minutes: the time that the request took must not change the order of two votes.
        """
        sent_ms = None if sent_at is None else _read(sent_at)
        if sent_ms is None:
            return cls(now_ms)
        return cls(now_ms, round((now_ms - sent_ms) / _MINUTE_MS) * _MINUTE_MS)

    def corrected(self, occurred_at: str, issued_at_s: int) -> str:
        """
        A time of the page as it goes into the log.

        Args:
            occurred_at: by the page's clock; what is no time stays as it is, for the contract to refuse.
            issued_at_s: when the receipt was minted, Unix time in seconds.
        """
        said_ms = _read(occurred_at)
        if said_ms is None:
            return occurred_at
        earliest = min(issued_at_s * 1000, self.now_ms) - _TOLERANCE_MS
        kept_ms = max(earliest, min(said_ms + self.shift_ms, self.now_ms + _TOLERANCE_MS))
        if kept_ms == said_ms:
            return occurred_at
        return _written(kept_ms)


def _read(text: str) -> int | None:
    """Unix time in milliseconds; None where the contract would not take it."""
    if not _INSTANT.match(text):
        return None
    try:
        return int(msgspec.convert(text, datetime).timestamp() * 1000)
    except (msgspec.ValidationError, OverflowError):
        return None


def _written(ms: int) -> str:
    when = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
