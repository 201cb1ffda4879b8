"""What an export left out, step by step, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .options import ExportOptions

_CONSENT_STEPS: Final = ("vote_consent", "answer_consent")


@dataclass(frozen=True)
class Step:
    """
    One reason to leave an event out.

    Attributes:
        name: short name, as in the manifest.
        condition: SQL that is true for what is left out.
        why: one sentence.
    """

    name: str
    condition: str
    why: str


@dataclass(frozen=True)
class Funnel:
    """
    How many events left at each step.

    Attributes:
        seen: events looked at; `seen = sum of dropped + merged + rows`.
        dropped: step -> events that left there.
        merged: votes that went into the row of another vote on the same answer.
        rows: rows written.
    """

    seen: int
    dropped: dict[str, int]
    merged: int
    rows: int

    def as_dict(self) -> dict[str, object]:
        """The manifest's form."""
        return {"events_seen": self.seen, "dropped": self.dropped, "merged": self.merged, "rows": self.rows}

    def __str__(self) -> str:
        """One line a step that anything left at."""
        lines = [f"{self.seen:>10,}  votes seen"]
        lines += [f"{-count:>10,}  {name}" for name, count in self.dropped.items() if count]
        if self.merged:
            lines.append(f"{-self.merged:>10,}  merged into one row an answer")
        return "\n".join([*lines, f"{self.rows:>10,}  rows"])


def steps_in_force(steps: Sequence[Step], options: ExportOptions) -> list[Step]:
    """The steps that an export takes: without those about consent where any consent will do."""
    return [step for step in steps if options.consent == "granted" or step.name not in _CONSENT_STEPS]


def reason_case(steps: Sequence[Step]) -> str:
    """SQL: the name of the first step whose condition holds; NULL for what stays."""
    return "CASE " + " ".join(f"WHEN {step.condition} THEN '{step.name}'" for step in steps) + " END"
