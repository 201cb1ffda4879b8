"""What became of the records, and why some could not be taken."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_EXAMPLES: Final = 3
# A file of nothing but different faults must not fill the memory.
_MAX_REASONS: Final = 200
_OTHER: Final = "other reasons"
_INDEX: Final = re.compile(r"(?<=\.)\d+(?=[.:])")


@dataclass
class Reason:
    """
    Why records could not be taken.

    Attributes:
        count: how many.
        examples: where the first of them stand.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Report:
    """
    An import's counts; `records = taken + empty + refused`.

    Attributes:
        taken: records whose events are in the log, or were already met in this import.
        empty: records in which nobody said anything of an answer.
        refused: records that could not be taken.
        events: kind -> events written to the log.
        changed: kind and field -> events of which that field had to be changed to be kept: cut, or without what no
            text can hold.
        again: events that other records of the import had brought already, such as the same answer.
        reasons: why -> how many and where.
    """

    taken: int = 0
    empty: int = 0
    refused: int = 0
    events: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    again: int = 0
    reasons: dict[str, Reason] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """All records that were read."""
        return self.taken + self.empty + self.refused

    def refuse(self, why: str, place: str) -> None:
        """
        Count a record that cannot be taken.

            "completion messages.3.role: ..." and "completion messages.5.role: ..."  ->  one reason
        """
        self.refused += 1
        key = _INDEX.sub("*", why)
        if key not in self.reasons and len(self.reasons) >= _MAX_REASONS:
            key = _OTHER
        reason = self.reasons.setdefault(key, Reason())
        reason.count += 1
        if len(reason.examples) < _EXAMPLES:
            reason.examples.append(place)

    def __str__(self) -> str:
        """The counts, then a table of reasons, most frequent first."""
        events = sum(self.events.values())
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.events.items())
        lines = [
            f"{self.records:>11,}  records",
            f"{self.taken:>11,}  taken: {events:,} events" + (f" ({kinds})" if kinds else ""),
        ]
        if self.changed:
            fields = ", ".join(f"{name} {count:,}" for name, count in self.changed.most_common())
            lines.append(f"{'':>11}  of which fields were changed so that they could be kept: {fields}")
        if self.again:
            lines.append(
                f"{'':>11}  {self.again:,} events more were in earlier records already, such as the same answer"
            )
        if self.empty:
            lines.append(f"{self.empty:>11,}  without an opinion on an answer: nothing to take")
        if self.refused:
            lines.append(f"{self.refused:>11,}  could not be taken:")
        ordered = sorted(self.reasons.items(), key=lambda entry: -entry[1].count)
        lines += [f"{reason.count:>11,}  {why}  [{', '.join(reason.examples)}]" for why, reason in ordered]
        return "\n".join(lines)
