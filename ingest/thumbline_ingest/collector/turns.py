"""How many requests are in the collector, and how many of them work at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import busy


class Turns:
    """
    Lets in a bounded number of requests, and lets a few of them work at a time.

    Checking is all Python: threads that do it together only take the interpreter from each other. And
    a log that hangs must not hold every thread: those beyond `most` are left to the probes.

    Args:
        at_once: requests that work at the same time.
        most: requests inside, the waiting ones and those whose body still arrives included.
        patience_s: seconds to wait for a turn.
    """

    def __init__(self, at_once: int, most: int, patience_s: float) -> None:
        self._inside = threading.BoundedSemaphore(most)
        self._working = threading.BoundedSemaphore(at_once)
        self._patience_s = patience_s

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be in the collector; raises `RequestRefused` (503) where it is full."""
        if not self._inside.acquire(blocking=False):
            raise busy("too many requests at a time; send again later")
        try:
            yield
        finally:
            self._inside.release()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Work; raises `RequestRefused` (503) where no turn comes."""
        if not self._working.acquire(timeout=self._patience_s):
            raise busy("the log does not keep up; send again later")
        try:
            yield
        finally:
            self._working.release()
