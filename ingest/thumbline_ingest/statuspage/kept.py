"""Looks that are shared: one at a time, reused by all who ask meanwhile, and never more often than they are cheap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from thumbline_ingest.log import LogMisconfigured, LogUnavailable
from thumbline_warehouse.errors import WarehouseError

_T = TypeVar("_T")

# Errors whose message is a sentence for people.
_SENTENCES = (LogUnavailable, LogMisconfigured, WarehouseError)


@dataclass(frozen=True)
class Look(Generic[_T]):
    """
    The outcome of a look.

    Attributes:
        value: what was seen; None where nothing has been yet.
        error: why the last look failed; empty where it did not.
        age_s: seconds since the look began that `value` is from.
        is_waiting: a look is under way that takes longer than the asker would wait.
    """

    value: _T | None
    error: str
    age_s: float
    is_waiting: bool


class Kept(Generic[_T]):
    """
    Calls something that takes its time, in a thread of its own, at most so often.

    Args:
        look: what to call.
        least_s: seconds between the beginnings of two looks at least.
        share: and so many times what the last one took of the processor: 20 keeps looks to a twentieth of it.
    """

    def __init__(self, look: Callable[[], _T], least_s: float = 2.0, share: float = 20.0) -> None:
        self._look = look
        self._least_s = least_s
        self._share = share
        self._changed = threading.Condition()
        self._busy = False
        self._due_at = 0.0
        self._value: _T | None = None
        self._seen_at = 0.0
        self._error = ""

    def get(self, wait_s: float) -> Look[_T]:
        """What was seen last, after a new look where one is due and done within `wait_s`."""
        with self._changed:
            if not self._busy and time.monotonic() >= self._due_at:
                self._busy = True
                threading.Thread(target=self._run, name="thumbline-look", daemon=True).start()
            self._changed.wait_for(lambda: not self._busy, wait_s)
            return Look(self._value, self._error, time.monotonic() - self._seen_at, self._busy)

    def _run(self) -> None:
        began, worked_s = time.monotonic(), time.thread_time()
        value, error = None, ""
        try:
            value = self._look()
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with what is looked at, the page goes on
            error = str(problem) if isinstance(problem, _SENTENCES) else f"{type(problem).__name__}: {problem}"
        with self._changed:
            self._due_at = began + max(self._least_s, self._share * (time.thread_time() - worked_s))
            self._error = error
            if not error:
                self._value, self._seen_at = value, began
            self._busy = False
            self._changed.notify_all()
