"""Bytes held at one time, over all requests: the bound on the collector's memory."""

from __future__ import annotations

import threading
from types import TracebackType

from .errors import busy


class InflightBytes:
    """
    A budget of bytes that requests take from and give back.

    Args:
        limit: bytes that may be held at one time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def take(self, count: int) -> None:
        """
        Hold `count` bytes more.

        Raises:
            RequestRefused: 503, it would pass the limit.
        """
        with self._lock:
            if self._held + count > self.limit:
                raise busy("too many bytes in flight; send again later")
            self._held += count

    def give_back(self, count: int) -> None:
        """Let go of `count` bytes."""
        with self._lock:
            self._held -= count

    def lease(self) -> Lease:
        """What one request holds; everything is given back when the `with` block ends."""
        return Lease(self)

    def __repr__(self) -> str:
        return f"<InflightBytes {self._held} of {self.limit}>"


class Lease:
    """The bytes that one request holds."""

    def __init__(self, budget: InflightBytes) -> None:
        self._budget = budget
        self._count = 0

    def add(self, count: int) -> None:
        """Hold `count` bytes more; raises as `InflightBytes.take` does."""
        self._budget.take(count)
        self._count += count

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._count)
