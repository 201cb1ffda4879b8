"""Logging that cannot flood its host: one line per subject in a while, with what was left out."""

from __future__ import annotations

import logging
import time

_INTERVAL_S = 30.0


class QuietLog:
    """
    A logger of `thumbline.*` that says each thing at most once in 30 seconds.

    What is logged must never hold a payload, a raw user id or a key: the callers pass counts, statuses,
    fields and class names only.
    """

    def __init__(self, area: str) -> None:
        self._logger = logging.getLogger(f"thumbline.{area}")
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, subject: str, message: str, *args: object) -> None:
        """Log `message % args`, unless `subject` was logged a moment ago."""
        now = time.monotonic()
        if now < self._next.get(subject, 0.0):
            self._left_out[subject] = self._left_out.get(subject, 0) + 1
            return
        self._next[subject] = now + _INTERVAL_S
        left_out = self._left_out.pop(subject, 0)
        suffix = f" ({left_out} more like it since)" if left_out else ""
        try:
            self._logger.warning(f"{message}{suffix}", *args)  # noqa: G004 - the suffix holds a number only
        except Exception:  # noqa: BLE001 - a broken handler of the host must not reach the host
            return
