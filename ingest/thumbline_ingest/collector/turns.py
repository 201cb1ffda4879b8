"""How many requests are in the collector, and how many of them work at the same time."""

from __future__ import annotations

import copy
import queue
import threading

from .errors import busy


class Turns:
    """
    Lets in a bounded number of requests, and lets a few of them work at a time.

    Checking is all Python: threads that do it together only take the interpreter from each other. And
    a log that hangs must not hold every thread: those beyond `most` are left to the probes.

    Both attributes are context managers; entering them raises `RequestRefused` (503).

    Args:
        at_once: requests that work at the same time.
        most: requests inside, the waiting ones and those whose body still arrives included.
        patience_s: seconds to wait for a turn.

    Attributes:
        inside: be in the collector; refused at once where it is full.
        turn: work; refused where no turn comes in time.
    """

    def __init__(self, at_once: int, most: int, patience_s: float) -> None:
        self.inside = _Inside(most)
        self.turn = _Turn(at_once, patience_s)

    def beside(self, most: int) -> Turns:
        """The same turns, with room of their own for those who wait for them."""
        others = copy.copy(self)
        others.inside = _Inside(most)
        return others


class _Inside:
    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._count >= self._most:
                raise busy("too many requests at a time; send again later")
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1


class _Turn:
    # Tokens in a queue, which is C; `threading.Semaphore` is Python.
    def __init__(self, at_once: int, patience_s: float) -> None:
        self._patience_s = patience_s
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(at_once):
            self._tokens.put(None)

    def __enter__(self) -> None:
        try:
            self._tokens.get(timeout=self._patience_s)
        except queue.Empty:
            raise busy("the log does not keep up; send again later") from None

    def __exit__(self, *_: object) -> None:
        self._tokens.put(None)
