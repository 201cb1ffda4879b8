"""What the status page shows of the warehouse, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone


@dataclass(frozen=True)
class Count:
    """A number in the last hour and in the last 24 hours."""

    hour: int = 0
    day: int = 0


@dataclass(frozen=True)
class Source:
    """
    Where events come from.

    Attributes:
        project: whose they are.
        app: the product.
        surface: where in it.
        sdk: the client.
        a_minute: events a minute over the last ten minutes.
        hour: events in the last hour.
        last_at: when the last one was taken.
        minutes: events in each of the last 60 minutes, oldest first.
    """

    project: str
    app: str
    surface: str
    sdk: str
    a_minute: float
    hour: int
    last_at: datetime
    minutes: Sequence[int]


@dataclass(frozen=True)
class Last:
    """The last event of a project and kind, and how many there are."""

    project: str
    kind: str
    last_at: datetime
    count: int


@dataclass(frozen=True)
class Lag:
    """
    Seconds between acceptance and landing.

    Attributes:
        p50: half of the events took at most so long.
        p95: 95 of 100 did.
        count: events that were looked at.
        hours: within so many hours.
    """

    p50: float
    p95: float
    count: int
    hours: int


@dataclass(frozen=True)
class Quarantined:
    """A record in quarantine: what of it is an id, and why it is there."""

    at: datetime
    partition: int
    position: int
    reason: str
    project: str
    kind: str
    event_id: str


@dataclass(frozen=True)
class Orphan:
    """A vote that waits for what it is about."""

    event_id: str
    project: str
    kind: str
    target_type: str
    target_id: str
    missing: str
    age_s: float


@dataclass(frozen=True)
class Totals:
    """What became of all records that were ever read from the log."""

    landed: int = 0
    duplicate: int = 0
    conflict: int = 0
    quarantined: int = 0
    lost: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True)
class Figures:
    """
    The warehouse at one moment.

    Attributes:
        exists: there is a warehouse.
        totals: since ever.
        positions: log id and partition -> where the next load begins.
        landed: events taken in the window that are landed.
        votes: of them opinions.
        people: `shown`, `seen`, `dismissed`, `voted`, `answered` -> pairs of a thing and a person.
        duplicate: records of the window's loads that had landed before.
        conflict: records of the window's loads whose event's id another event had.
        lost: records of the window's loads that the log had dropped unread.
        quarantined: reason -> records set aside in the window.
        orphaned: votes taken in the window whose answer or comparison has not come.
        lag: from acceptance to landing; None where nothing landed in 24 hours.
        sources: the busiest first.
        more_sources: sources that are not shown.
        last: the last event of each project and kind.
        quarantine: newest first.
        orphans: the oldest.
        orphan_ages: age -> how many.
    """

    exists: bool = False
    totals: Totals = Totals()
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    landed: Count = Count()
    votes: Count = Count()
    people: dict[str, Count] = field(default_factory=dict)
    duplicate: Count = Count()
    conflict: Count = Count()
    lost: Count = Count()
    quarantined: dict[str, Count] = field(default_factory=dict)
    orphaned: Count = Count()
    lag: Lag | None = None
    sources: list[Source] = field(default_factory=list)
    more_sources: int = 0
    last: list[Last] = field(default_factory=list)
    quarantine: list[Quarantined] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    orphan_ages: dict[str, int] = field(default_factory=dict)


def utc(at: datetime) -> datetime:
    """A time of the warehouse, which comes without a zone."""
    return at.replace(tzinfo=timezone.utc)
