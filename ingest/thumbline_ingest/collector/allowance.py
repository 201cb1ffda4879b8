"""How much one sender may send: token buckets in the memory of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Allowance:
    """
    A number of events per sender and time; unused room is kept up to that number.

    Bounded like `RecentIds`: two generations, of which the old one is forgotten. Who is forgotten begins
    anew with a full bucket.

    Args:
        count: events in a window, and at once; 0 for no limit.
        window_s: seconds in which as many may be sent again.
        capacity: senders remembered at most.
        now: a clock in seconds.
    """

    def __init__(
        self, count: int, window_s: float, capacity: int = 100_000, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._per_second = count / window_s
        self._half = max(1, capacity // 2)
        self._now = now
        self._lock = threading.Lock()
        # Sender -> what was left, and when that was.
        self._young: dict[str, tuple[float, float]] = {}
        self._old: dict[str, tuple[float, float]] = {}

    def take(self, sender: str) -> float:
        """
        Take room for one event.

        Returns:
            0 where there was room, else the seconds until there is.
        """
        if not self._count:
            return 0.0
        with self._lock:
            left, now = self._left(sender)
            if left < 1:
                return (1 - left) / self._per_second
            self._keep(sender, left - 1, now)
        return 0.0

    def charge(self, sender: str, count: int) -> None:
        """
        Take room for `count` events, more than there is if need be; with a negative count, give it back.

        What is charged beyond the room has to come back before `take` finds some again.
        """
        if not self._count or not count:
            return
        with self._lock:
            left, now = self._left(sender)
            self._keep(sender, min(float(self._count), left - count), now)

    def _left(self, sender: str) -> tuple[float, float]:
        now = self._now()
        left, seen = self._young.get(sender) or self._old.get(sender) or (float(self._count), now)
        return min(float(self._count), left + (now - seen) * self._per_second), now

    def _keep(self, sender: str, left: float, now: float) -> None:
        self._young[sender] = left, now
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
