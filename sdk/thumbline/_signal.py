"""A wake-up call between threads that may be given from anywhere."""

from __future__ import annotations

from ._native import allocate_lock


class Signal:
    """
    Like `threading.Event`, made of one bare lock.

    `Event.set` takes a lock in Python code: a finalizer that runs in the middle of it and records an
    event would wait for itself. Releasing a bare lock cannot be interrupted.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake the waiting thread, or let its next wait end at once."""
        try:
            self._lock.release()
        except RuntimeError:  # set already
            return

    def wait(self, timeout_s: float) -> None:
        """Wait until set, at most `timeout_s` seconds; then it is unset."""
        self._lock.acquire(timeout=max(0.0, timeout_s))
