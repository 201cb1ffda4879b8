"""Ids of events that are known to be on disk, so that a client's repeat is not stored again."""

from __future__ import annotations

import threading
from collections.abc import Set as AbstractSet


class RecentIds:
    """
    A bounded memory of durable event ids, per project.

    Two generations of sets: when the young one holds half the capacity it becomes the old one, and the
    old one is forgotten. So the last `capacity / 2` ids are always known and never more than
    `capacity`, and a batch costs two set operations instead of a list operation per event.

    Args:
        capacity: ids at most.
    """

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._young: dict[str, set[str]] = {}
        self._old: dict[str, set[str]] = {}
        self._young_count = 0
        self._lock = threading.Lock()

    def known(self, project: str, ids: AbstractSet[str]) -> set[str]:
        """Those of `ids` that are durable in `project`."""
        with self._lock:
            found = self._young.get(project, set()) & ids
            return found | (self._old.get(project, set()) & ids)

    def add(self, project: str, ids: AbstractSet[str]) -> None:
        """Remember ids. Call it only once the log has them on disk."""
        with self._lock:
            self._young.setdefault(project, set()).update(ids)
            self._young_count += len(ids)
            if self._young_count >= self._half:
                self._old, self._young, self._young_count = self._young, {}, 0
