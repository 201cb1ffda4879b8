"""What an export left out, step by step, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Step:
    """
    One reason to leave an event, or a row, out.

    Attributes:
        name: short name, as in the manifest.
        why: one sentence.
        condition: SQL that is true for what is left out; empty where the rule itself says so.
    """

    name: str
    why: str
    condition: str = ""


# Reasons that a rule gives, and those that concern whole rows; filters add theirs (filters.py).
RULE_STEPS: Final = (
    Step("retracted", "the vote was taken back"),
    Step("tie", "no answer was better, both were good"),
    Step("both_bad", "no answer was better, both were bad"),
    Step("skip", "the comparison was skipped"),
    Step("relative", "a pick says which answer is better, not whether it is good (see unpair_picks)"),
    Step("middle", "a rating between the thresholds"),
    Step("not_liked", "people did not like the answer"),
    Step("conversation", "a rating of a whole conversation, not of an answer"),
)
MATCH_STEPS: Final = (
    Step("no_sibling", "no other answer to the prompt has the opposite thumb"),
    Step("no_counterpart", "the rater has not rated another answer to the prompt differently enough"),
    Step("no_evidence", "nobody said that the regenerated answer is better (see implicit_regenerate)"),
    Step("contradicted", "people liked the first answer, or disliked the regenerated one"),
    Step("not_regenerated", "no later answer to the same prompt has come"),
)
ROW_STEPS: Final = (
    Step("same_rater", "a later vote of another kind by the same rater on the same answer took its place"),
    Step("rater_cap", "the rater's votes beyond max_per_rater"),
    Step("no_majority", "not more than half of the votes say the same"),
    Step("conflict", "not all votes agree, and conflicts are dropped"),
    Step("min_votes", "too few votes"),
    Step("min_agreement", "too few of the votes agree"),
    Step("duplicate", "the same row as another"),
    Step("conversation_cap", "rows of the conversation beyond max_per_conversation"),
    Step("prompt_cap", "rows with the prompt beyond max_per_prompt"),
    Step("balance", "rows of the more frequent label beyond what balance allows"),
)


@dataclass(frozen=True)
class Funnel:
    """
    How many events left at each step, and how many rows the others became.

    Attributes:
        seen: events looked at; `seen = used + sum of dropped`, each event is in one place.
        dropped: step -> events that left there.
        used: events that are in a row.
        by_source: kind of event -> {"seen", "used"}.
        rows: rows written.
    """

    seen: int
    dropped: dict[str, int]
    used: int
    by_source: dict[str, dict[str, int]]
    rows: int

    def as_dict(self) -> dict[str, object]:
        """The manifest's form."""
        return {
            "events_seen": self.seen,
            "dropped": self.dropped,
            "events_used": self.used,
            "by_source": self.by_source,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Funnel:
        """A funnel from the manifest's form."""
        return cls(found["events_seen"], found["dropped"], found["events_used"], found["by_source"], found["rows"])

    def __str__(self) -> str:
        """One line a step that anything left at."""
        sources = ", ".join(f"{count['seen']:,} {name}" for name, count in self.by_source.items() if count["seen"])
        lines = [f"{self.seen:>12,}  seen" + (f" ({sources})" if sources else "")]
        lines += [f"{-count:>12,}  {name}" for name, count in self.dropped.items() if count]
        return "\n".join([*lines, f"{self.used:>12,}  used, in {self.rows:,} rows"])


def reason_case(before: Sequence[Step], after: Sequence[Step]) -> str:
    """
    SQL: the name of the first step whose condition holds; NULL for what stays.

    What the rule itself says (`vote.undecided`) comes between the two.
    """

    def whens(steps: Sequence[Step]) -> str:
        return " ".join(f"WHEN {step.condition} THEN '{step.name}'" for step in steps)

    return f"CASE {whens(before)} WHEN vote.undecided IS NOT NULL THEN vote.undecided {whens(after)} END"
