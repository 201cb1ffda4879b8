"""Ids of events that are known to be on disk, so that a client's repeat is not stored again."""

from __future__ import annotations

import threading
from collections.abc import Mapping


class RecentIds:
    """
    A bounded memory of durable events, per project: their ids, each with a fingerprint of what was sent.

    Only what is the same in both is a repeat. The same id with other content is another event, and whoever
    reads the log decides about it. An id keeps its first fingerprint.

    Two generations: when the young one holds half the capacity it becomes the old one, and the old one is
    forgotten. So the last `capacity / 2` ids are always known and never more than `capacity`, and a batch
    costs two set operations instead of a list operation per event.

    Args:
        capacity: ids at most.
    """

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._young: dict[str, dict[str, int]] = {}
        self._old: dict[str, dict[str, int]] = {}
        self._young_count = 0
        self._lock = threading.Lock()

    def known(self, project: str, events: Mapping[str, int]) -> set[str]:
        """Ids of those events, given as id -> fingerprint, that are durable in `project` just like this."""
        with self._lock:
            found: set[str] = set()
            for generation in (self._young, self._old):
                kept = generation.get(project)
                if kept:
                    found.update(own for own in kept.keys() & events.keys() if kept[own] == events[own])
            return found

    def add(self, project: str, events: Mapping[str, int]) -> None:
        """Remember events, given as id -> fingerprint. Call it only once the log has them on disk."""
        with self._lock:
            kept = self._young.setdefault(project, {})
            for own, fingerprint in events.items():
                kept.setdefault(own, fingerprint)
            self._young_count += len(events)
            if self._young_count >= self._half:
                self._old, self._young, self._young_count = self._young, {}, 0
