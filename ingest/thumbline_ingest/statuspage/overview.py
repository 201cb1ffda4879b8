"""Everything that the page shows, from the places that know it, with what each of them cannot say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from thumbline_ingest.rejections import RejectedEvent, Rejections

from .collector import CollectorState
from .kept import Look
from .shapes import Count, Figures
from .tail import Tail


@dataclass(frozen=True)
class Overview:
    """
    One state of everything.

    Attributes:
        now: when it was put together, UTC.
        keys: write keys that are valid; None where their file cannot be read.
        collector_url: where the collector is asked.
        collector: what it says.
        log: the end of the log.
        log_name: what an operator calls it.
        warehouse: the figures.
        rejections: what this machine's collector has refused lately.
    """

    now: datetime
    keys: int | None
    collector_url: str
    collector: Look[CollectorState]
    log: Look[Tail]
    log_name: str
    warehouse: Look[Figures]
    rejections: Rejections

    @property
    def figures(self) -> Figures:
        """The figures; all zero where there is no warehouse."""
        return self.warehouse.value or Figures()

    @property
    def waiting(self) -> int | None:
        """Records in the log that are not landed; None where the log cannot be asked."""
        return None if self.log.value is None or self.log.error else self.log.value.waiting

    @property
    def waiting_then(self) -> int | None:
        """Records that were not landed when the figures were taken, so that they add up with these."""
        if self.log.value is None or self.waiting is None:
            return None
        read = self.figures.positions
        if not read:
            return self.waiting
        return sum(max(0, end - read.get(place, 0)) for place, end in self.log.value.ends.items())

    @property
    def oldest_waiting_s(self) -> float:
        """For how long the oldest of them waits, as far as was looked."""
        oldest = self.log.value.oldest() if self.log.value and self.waiting else None
        return (self.now - oldest).total_seconds() if oldest else 0.0

    def rejected(self) -> Count:
        """Events refused, of those that are known one by one."""
        return _within(self.rejections.events)

    @property
    def is_rejected_at_least(self) -> bool:
        """Whether the oldest known rejection is so young that there may have been more within the hour."""
        events = self.rejections.events
        return bool(self.rejections.not_kept and events and events[-1].at > time.time() - 3600)


@dataclass(frozen=True)
class Line:
    """
    A line of the funnel.

    Attributes:
        label: what is counted.
        count: how many in the last hour and day; None where that is not known.
        known: in words what is known instead; empty where `count` is.
        is_step: a step, not what left at one.
        note: whose count it is, where that is not said by the caption.
        at_least: there may be more.
    """

    label: str
    count: Count | None = None
    known: str = ""
    is_step: bool = False
    note: str = ""
    at_least: bool = False


def funnel(seen: Overview) -> list[Line]:
    """From what people were shown to what landed: steps, each followed by what left there and why."""
    return [*_people(seen.figures), *_accepted(seen), *_landed(seen)]


def _people(figures: Figures) -> list[Line]:
    shown, seen, dismissed, voted, answered = (
        figures.people.get(name, Count()) for name in ("shown", "seen", "dismissed", "voted", "answered")
    )
    return [
        Line("shown", shown, is_step=True, note="answers, or pairs of them, shown to a person with the control"),
        Line("not reported as seen", _less(shown, seen)),
        Line("seen", seen, is_step=True, note="the control came into view; only some clients report it"),
        Line("shown, and nothing said", _less(shown, answered)),
        *([Line("dismissed", dismissed)] if dismissed.day else []),
        Line("voted", voted, is_step=True, note="a person gave an opinion on an answer or a pair"),
        Line("without a control reported as shown", _less(voted, answered), note="counted in voted, not in shown"),
    ]


def _accepted(seen: Overview) -> list[Line]:
    waiting = seen.waiting_then or 0
    landed = seen.figures.landed
    lines = [
        Line(
            "accepted",
            Count(landed.hour + waiting, landed.day + waiting),
            is_step=True,
            note="events of all kinds that are on disk: landed, or waiting in the log",
            at_least=seen.waiting is None,
        )
    ]
    lines += _rejected(seen)
    collector = seen.collector.value
    if collector is not None:
        since = "since the collector started"
        for verdict, label in (("duplicate", "sent again, and answered so"), ("retry", "to be sent again")):
            lines.append(Line(label, known=f"{collector.verdicts[verdict]:,} {since}", note=f"verdict {verdict}"))
    return lines


def _rejected(seen: Overview) -> list[Line]:
    by_reason: dict[str, list[RejectedEvent]] = {}
    for event in seen.rejections.events:
        by_reason.setdefault(f"{event.field or 'event'}: {event.reason}", []).append(event)
    counted = sorted(((_within(events), reason) for reason, events in by_reason.items()), key=lambda c: -c[0].day)
    least = seen.is_rejected_at_least
    lines = [Line(f"rejected: {reason}", count, at_least=least) for count, reason in counted if count.day][:8]
    if not lines:
        lines = [Line("rejected", Count())]
    for request in seen.rejections.requests[:8]:
        times = "once" if request.count == 1 else f"{request.count:,} times"
        last = datetime.fromtimestamp(request.last_at, timezone.utc)
        lines.append(
            Line(
                f"request refused: {request.status} {request.code}",
                known=f"{times}, last {last:%Y-%m-%d %H:%M} UTC",
                note=request.route,
            )
        )
    return lines


def _landed(seen: Overview) -> list[Line]:
    figures = seen.figures
    waiting = "not known: the log does not answer" if seen.waiting is None else f"{seen.waiting:,} now"
    return [
        Line("landed", figures.landed, is_step=True, note="rows of the warehouse, by when they were accepted"),
        Line("waiting in the log", known=waiting),
        Line("duplicate: the event had landed before", figures.duplicate, note="by when it was read"),
        *([Line("conflict: another event has its id", figures.conflict)] if figures.totals.conflict else []),
        *(Line(f"quarantined: {reason}", count) for reason, count in figures.quarantined.items()),
        *([] if figures.quarantined else [Line("quarantined", Count())]),
        *([Line("lost: dropped by the log before it was read", figures.lost)] if figures.totals.lost else []),
        Line("orphaned: the answer or comparison has not come", figures.orphaned, note="landed; joins when it comes"),
    ]


def _less(whole: Count, part: Count) -> Count:
    return Count(max(0, whole.hour - part.hour), max(0, whole.day - part.day))


def _within(events: Sequence[RejectedEvent]) -> Count:
    now = time.time()
    return Count(sum(e.at > now - 3600 for e in events), sum(e.at > now - 86400 for e in events))


@dataclass(frozen=True)
class Headline:
    """
    All in a sentence.

    Attributes:
        mood: `good`, `quiet` where there is nothing to see, or `bad`.
        text: the sentence.
        todo: what to do, a command or sentence a line.
    """

    mood: str
    text: str
    todo: list[str] = field(default_factory=list)
