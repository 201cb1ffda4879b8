"""What became of every event that was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .problems import Problem

__all__ = ["DROP_REASONS", "Drop", "DropReason", "Stats"]

DropReason: TypeAlias = Literal[
    "invalid",
    "too_large",
    "rejected",
    "queue_full",
    "spool_full",
    "spool_corrupt",
    "shutdown",
    "unauthorized",
    "internal",
]
"""
Why an event was given up:

- `invalid`: it breaks the contract; found before it was sent.
- `too_large`: above the contract's limit for one event, or refused as too large by the server.
- `rejected`: the server refused it (counted in `Stats.rejected`, not in `Stats.dropped`).
- `queue_full`: the memory queue was full and there is no spool.
- `spool_full`: the memory queue was full or the client closing, and the spool was at its cap.
- `spool_corrupt`: its line in the spool could not be read back.
- `shutdown`: recorded after `close`, or not delivered when it ended and there is no spool.
- `unauthorized`: as `shutdown`, while the server refused the key.
- `internal`: a defect of this package.
"""

DROP_REASONS: tuple[DropReason, ...] = get_args(DropReason)


@dataclass(frozen=True)
class Drop:
    """
    One event that was given up, as passed to `on_drop`.

    Attributes:
        reason: why.
        event_id: its id.
        problems: what was wrong with it, for `invalid` and `rejected`; else empty.
    """

    reason: DropReason
    event_id: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Stats:
    """
    Counts of events since the client was made (or since the fork, in a child process).

    At any moment, `created + recovered` equals
    `accepted + duplicate + rejected + sum(dropped.values()) + queued + spooled`.

    Attributes:
        created: recorded by this client.
        recovered: read back from the spool of a process that is gone.
        accepted: stored by the server.
        duplicate: stored by the server before.
        rejected: refused by the server, for good.
        dropped: given up, by reason.
        queued: in memory, on the way.
        spooled: on disk only, waiting.
        changed: events of which a field is not as it was given, by field: written in a plain form, cut, or left out.
            These are not lost, and are counted above as well.
    """

    created: int = 0
    recovered: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    queued: int = 0
    spooled: int = 0
    changed: Mapping[str, int] = field(default_factory=dict)

    @property
    def accounted(self) -> int:
        """Events whose whereabouts are known; equals `created + recovered`."""
        settled = self.accepted + self.duplicate + self.rejected + sum(self.dropped.values())
        return settled + self.queued + self.spooled


OnDrop: TypeAlias = "Callable[[Drop], object]"
