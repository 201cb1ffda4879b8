"""The memory queue and the books: every event is counted in exactly one place at any moment."""

from __future__ import annotations

import sys
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ._native import RLock
from .stats import Stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._encode import Draft, Item
    from .stats import DropReason

Verdict = Literal["accepted", "duplicate", "rejected"]
Entry: TypeAlias = "Draft | Item"
NEVER: Final = sys.maxsize


class Buffer:
    """
    Holds events between the callers' threads and the sender's, bounded in bytes, and counts them.

    Attributes:
        lock: held for a few operations at a time, never while waiting or doing I/O. Reentrant, because a
            signal handler or a finalizer that records an event may interrupt its own thread in here.
        wake_at: number of queued events at which the sender wants to be woken.
        closed: takes no more events.
    """

    def __init__(self, max_bytes: int) -> None:
        self.lock = RLock()
        self.wake_at = 1
        self.closed = False
        self._max_bytes = max_bytes
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._sequence = 0
        self._created = 0
        self._recovered = 0
        self._in_flight = 0
        self._spooled = 0
        self._settled: Counter[Verdict] = Counter()
        self._dropped: Counter[DropReason] = Counter()
        self._changed: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, size: int, event_id: str, now_ns: int, fields: dict[str, Any]) -> bool:
        """
        Queue a draft; the one method on the host's fast path.

        Returns:
            False when it does not fit: nothing was counted then.
        """
        with self.lock:
            if self._bytes + size > self._max_bytes or self.closed:
                return False
            self._sequence = sequence = self._sequence + 1
            self._created += 1
            self._bytes += size
            self._queue.append((size, sequence, event_id, now_ns, fields))
        return True

    def begin(self) -> int:
        """Count an event that is in the caller's hands, as on its way; returns its sequence."""
        with self.lock:
            self._sequence += 1
            self._created += 1
            self._in_flight += 1
            return self._sequence

    def fits(self, size: int) -> bool:
        """Whether there is room; only an event above the whole cap is refused by an empty queue."""
        return self._bytes + size <= self._max_bytes

    def push(self, item: Item) -> bool:
        """Queue an event that was counted as on its way; False when nobody will take it any more."""
        with self.lock:
            if self.closed:
                return False
            self._in_flight -= 1
            self._bytes += item.size
            self._queue.append(item)
        return True

    def take(self, max_events: int, max_bytes: int) -> list[Entry]:
        """The oldest events, at least one if there is one, now counted as on their way."""
        taken: list[Entry] = []
        with self.lock:
            queue = self._queue
            while queue and len(taken) < max_events and (not taken or max_bytes >= queue[0][0]):
                entry = queue.popleft()
                max_bytes -= entry[0]
                self._bytes -= entry[0]
                taken.append(entry)
            self._in_flight += len(taken)
        return taken

    def settle(self, verdicts: Mapping[Verdict, int]) -> None:
        """Events on their way have verdicts."""
        with self.lock:
            self._in_flight -= sum(verdicts.values())
            self._settled.update(verdicts)

    def drop(self, reason: DropReason, *, in_flight: bool) -> None:
        """An event is given up: one on its way, or one that was never queued."""
        with self.lock:
            if in_flight:
                self._in_flight -= 1
            else:
                self._created += 1
            self._dropped[reason] += 1

    def change(self, fields: Iterable[str]) -> None:
        """An event is kept with these fields other than they were given."""
        with self.lock:
            self._changed.update(fields)

    def spool(self) -> None:
        """An event on its way is on disk only, from here on."""
        with self.lock:
            self._in_flight -= 1
            self._spooled += 1

    def unspool(self, count: int, *, foreign: bool, corrupt: int) -> range:
        """Events are back from disk, `corrupt` more could not be read; returns sequences for the first."""
        with self.lock:
            if foreign:
                self._recovered += count + corrupt
            else:
                self._spooled -= count + corrupt
            self._dropped["spool_corrupt"] += corrupt
            self._in_flight += count
            first = self._sequence + 1
            self._sequence += count
            return range(first, first + count)

    @property
    def last_sequence(self) -> int:
        """The highest sequence given out."""
        return self._sequence

    @property
    def oldest_sequence(self) -> int:
        """Sequence at the head of the queue, `NEVER` when it is empty."""
        with self.lock:
            return self._queue[0][1] if self._queue else NEVER

    @property
    def queued_bytes(self) -> int:
        """Size of what is queued."""
        return self._bytes

    @property
    def spooled(self) -> int:
        """Events on disk only."""
        return self._spooled

    def stats(self) -> Stats:
        """All counts at one moment."""
        with self.lock:
            return Stats(
                created=self._created,
                recovered=self._recovered,
                accepted=self._settled["accepted"],
                duplicate=self._settled["duplicate"],
                rejected=self._settled["rejected"],
                dropped={reason: count for reason, count in self._dropped.items() if count},
                queued=len(self._queue) + self._in_flight,
                spooled=self._spooled,
                changed=dict(self._changed),
            )
