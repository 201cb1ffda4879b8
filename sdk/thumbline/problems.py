"""Validation errors as sentences that name the field and what is allowed; never the value that was sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from .events import INSTANT_PATTERN, KINDS, SIGNAL_PATTERN, UUID_PATTERN

__all__ = ["Problem", "problems_of"]

# A value that was sent may be private or huge, so pydantic's message is used only without its input.
_MAX_PROBLEMS = 10

# What a regular expression asks for, in words.
_PATTERNS = {
    UUID_PATTERN: "must be a UUID in lower case, e.g. 0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e11",
    INSTANT_PATTERN: "must be ISO 8601 with an offset, from 1970 to 2999, e.g. 2026-11-24T10:00:00Z",
    SIGNAL_PATTERN: "must be lower case with underscores, at most 64 characters, e.g. copy",
}


@dataclass(frozen=True)
class Problem:
    """
    One thing that is wrong with an event.

    Attributes:
        field: path of the field, e.g. `rater.kind` or `messages.3.role`; empty when it is the event itself.
        message: what is wrong, in one sentence.
        allowed: the allowed values, where they can be listed.
    """

    field: str
    message: str
    allowed: list[Any] | None = None

    def __str__(self) -> str:
        """`field: message`."""
        return f"{self.field or 'event'}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        """JSON form, without empty entries."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def problems_of(error: ValidationError) -> list[Problem]:
    """
    What a validation error says, at most ten problems.

        thumb with value "maybe"  ->  [Problem("value", "Input should be 'up', 'down' or 'retracted'",
                                               ["up", "down", "retracted"])]
    """
    found = [_problem(dict(item)) for item in error.errors(include_url=False, include_input=False)]
    return _distinct(found)[:_MAX_PROBLEMS]


def _distinct(found: list[Problem]) -> list[Problem]:
    # A union (text or parts) reports each of its branches; the first per field is enough.
    return list({problem.field: problem for problem in reversed(found)}.values())[::-1]


def _problem(item: dict[str, Any]) -> Problem:
    context = item.get("ctx") or {}
    kind = item["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return Problem("kind", "must be one of " + ", ".join(KINDS), list(KINDS))
    if kind == "thumbline":
        return Problem(context["field"], context["message"], context["allowed"])
    field = ".".join(str(step) for step in _path(item["loc"]))
    message = _PATTERNS.get(context.get("pattern", ""), item["msg"])
    return Problem(field, str(message), _allowed(kind, context))


def _path(location: tuple[Any, ...]) -> tuple[Any, ...]:
    # The first step of a discriminated union's location is the kind, not a field. Steps that name a
    # validator (`constrained-str`, `list[...]`) are pydantic's, not the sender's.
    steps = location[1:] if location and location[0] in KINDS else location
    return tuple(s for s in steps if not isinstance(s, str) or not ("[" in s or "-" in s or s.startswith("chain")))


def _allowed(kind: str, context: dict[str, Any]) -> list[Any] | None:
    if kind != "literal_error":
        return None
    # pydantic gives the list only as text: "'up', 'down' or 'retracted'".
    words = str(context.get("expected", "")).replace(" or ", ", ").split(", ")
    return [w.strip("'") if w.startswith("'") else int(w) for w in words if w.startswith("'") or w.isdigit()]
