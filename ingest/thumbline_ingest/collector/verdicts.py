"""What the collector answers: one verdict per event."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

from thumbline.problems import Problem

Verdict: TypeAlias = Literal["accepted", "duplicate", "rejected", "retry"]
VERDICTS: Final[tuple[Verdict, ...]] = ("accepted", "duplicate", "rejected", "retry")


@dataclass(frozen=True)
class Rejection:
    """
    Why one event is rejected.

    Attributes:
        problems: what is wrong, at least one.
        event_id: the event's id, where it has a valid one.
        kind: its kind, where it has a valid one and that is known.
        project: what its receipt writes to, where that differs from event to event.
    """

    problems: list[Problem]
    event_id: str | None = None
    kind: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class Verdicts:
    """
    The answer to a batch.

    Attributes:
        each: a verdict for every event, in the order sent.
        rejections: index of a rejected event -> why.
    """

    each: list[Verdict]
    rejections: dict[int, Rejection]

    def count(self, verdict: Verdict) -> int:
        """How many events have this verdict."""
        return self.each.count(verdict)

    def to_json(self) -> bytes:
        """
        The response's body.

            {"accepted":1,"duplicate":0,"rejected":1,"retry":0,"verdicts":["accepted","rejected"],
             "errors":[{"index":1,"event_id":null,"problems":[{"field":"kind","message":"..."}]}]}
        """
        if self.count("accepted") == len(self.each):
            return _all_accepted(len(self.each))
        counts: dict[str, Any] = {verdict: self.count(verdict) for verdict in VERDICTS}
        errors = [
            {
                "index": index,
                "event_id": why.event_id,
                "problems": [problem.as_dict() for problem in why.problems],
            }
            for index, why in sorted(self.rejections.items())
        ]
        return msgspec.json.encode(counts | {"verdicts": self.each, "errors": errors})


def accepted(count: int) -> Verdicts:
    """The verdicts of a batch that was taken as a whole."""
    return Verdicts(["accepted"] * count, {})


@lru_cache(maxsize=64)
def _all_accepted(count: int) -> bytes:
    counts = {"accepted": count, "duplicate": 0, "rejected": 0, "retry": 0}
    return msgspec.json.encode(counts | {"verdicts": ["accepted"] * count, "errors": []})
