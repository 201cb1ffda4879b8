"""From a request's body to its verdicts: split, check, append, answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from thumbline.problems import Problem
from thumbline_ingest.log.base import Appended, LogWriter

from .batch import Batch, Made, read_batch, read_made
from .metrics import Metrics
from .recent import RecentIds
from .ring import RejectionRing
from .split import split
from .verdicts import Rejection, Verdict, Verdicts

# Unknown fields that are not kept but refused. With its write key a back end says itself what was judged, and by
# whom: where it passes a page's event on, receipt and all, nothing of that would have been checked.
_NOT_FROM_SERVERS: Final = {
    "receipt": "has no place here: a page sends its events, each with its receipt, to /v1/votes"
}


class Intake:
    """
    Takes batches of events into the log.

    Args:
        writer: the log's end; used from many threads.
        recent: ids known to be durable.
        metrics: counts what happens.
        ring: keeps the last rejections for the status page.
        now: Unix time in seconds.
    """

    def __init__(
        self,
        writer: LogWriter,
        recent: RecentIds,
        metrics: Metrics,
        ring: RejectionRing,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._recent = recent
        self._metrics = metrics
        self._ring = ring
        self._now = now

    def take(self, project: str, body: bytes) -> Verdicts:
        """
        Put the good events of a body into the log; returns when they are on disk.

        Raises:
            RequestRefused: the body is no batch.
            LogUnavailable: nothing is known to be stored.
        """
        events = split(body)
        batch = read_batch(body, events, project, self._now_ms(), _NOT_FROM_SERVERS)
        verdicts = self._settle(project, len(body), batch)
        if verdicts.rejections:
            self._ring.note_events("/v1/events", project, verdicts.rejections.values())
        return verdicts

    def put(self, project: str, events: list[Made]) -> Verdicts:
        """
        The same for events that the collector has made itself.

        Raises:
            LogUnavailable: nothing is known to be stored.
        """
        size = sum(len(made.event) for made in events)
        return self._settle(project, size, read_made(events, project, self._now_ms()))

    def _now_ms(self) -> int:
        return int(self._now() * 1000)

    def _settle(self, project: str, size: int, batch: Batch) -> Verdicts:
        verdicts: list[Verdict] = ["accepted"] * batch.size
        for index in batch.rejections:
            verdicts[index] = "rejected"
        twins = self._drop_duplicates(project, batch, verdicts)
        if batch.records:
            started = time.perf_counter()
            appended = self._writer.append(batch.records)
            self._metrics.count_append(time.perf_counter() - started)
            _apply(appended, batch, verdicts)
            self._recent.add(project, dict(zip(batch.ids, batch.prints, strict=True)))
        for index, first in twins.items():
            # A repeat is as durable as the event that it repeats; where that one was refused, it was
            # never tried itself.
            verdicts[index] = "duplicate" if verdicts[first] == "accepted" else "retry"
        self._metrics.count_events(size, verdicts, batch)
        return Verdicts(verdicts, batch.rejections)

    def _drop_duplicates(self, project: str, batch: Batch, verdicts: list[Verdict]) -> dict[int, int]:
        """Take repeats out of the batch; returns index of a repeat -> index of what it repeats here."""
        prints = dict(zip(batch.ids, batch.prints, strict=True))
        known = self._recent.known(project, prints)
        if not known and len(prints) == len(batch.ids):
            return {}
        first: dict[tuple[str, int], int] = {}
        twins: dict[int, int] = {}
        dropped: list[int] = []
        for place, event in enumerate(zip(batch.ids, batch.prints, strict=True)):
            index = batch.indexes[place]
            if event[0] in known and event[1] == prints[event[0]]:
                verdicts[index] = "duplicate"
            elif event in first:
                twins[index] = first[event]
            else:
                # Also another event of an id that is known: whoever reads the log decides about that.
                first[event] = index
                continue
            dropped.append(place)
        batch.drop(dropped)
        return twins


def _apply(appended: Appended, batch: Batch, verdicts: list[Verdict]) -> None:
    """Take out of the batch what the log did not take: what stays in it is on disk."""
    for place, reason in appended.refused.items():
        index = batch.indexes[place]
        verdicts[index] = "rejected"
        problem = Problem("", f"refused by the log: {reason}")
        batch.rejections[index] = Rejection([problem], batch.ids[place], batch.kinds[place])
    for place in appended.failed:
        verdicts[batch.indexes[place]] = "retry"
    if appended.refused or appended.failed:
        batch.drop(sorted({*appended.refused, *appended.failed}))
