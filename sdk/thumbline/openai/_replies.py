"""What a call asked and what came back, in terms of the contract: both of OpenAI's ways to ask end here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

# Why an answer ends before the model was done: its reader stopped, it broke off, or it ended without a reason.
Cut: TypeAlias = Literal["closed", "error", "unfinished"]


@dataclass(frozen=True)
class Prompt:
    """
    What the model sees before its answer.

    Attributes:
        messages: as the contract has them.
        left_out: kinds of items that no message can hold.
        unknown: why it is not known; None where it is.
    """

    messages: list[Any]
    left_out: frozenset[str] = frozenset()
    unknown: str | None = None


@dataclass
class Answered:
    """
    One answer, ready to be recorded.

    Attributes:
        index: its place among the answers of the call.
        message: the assistant message.
        finish_reason: why the model stopped; None where it did not.
        is_refused: whether it is a refusal.
    """

    index: int
    message: dict[str, Any]
    finish_reason: str | None
    is_refused: bool = False


@dataclass
class Reply:
    """
    What came back of one call, so far.

    Attributes:
        id: the API's.
        model: as the API names it.
        answers: by index.
        usage: numbers of tokens, by the property that holds them.
        fingerprint: of the configuration that answered.
        cut: why an answer has no finish reason, where the API says so.
        left_out: kinds of items among the output that no message can hold.
    """

    id: str | None = None
    model: str | None = None
    answers: list[Answered] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    fingerprint: str | None = None
    cut: Cut | None = None
    left_out: frozenset[str] = frozenset()


def usage_of(reply: Any) -> dict[str, int]:
    """Numbers of tokens, where they are told: `prompt_tokens`, `completion_tokens`."""
    usage = getattr(reply, "usage", None)
    names = {
        "prompt_tokens": ("prompt_tokens", "input_tokens"),
        "completion_tokens": ("completion_tokens", "output_tokens"),
    }
    found = {}
    for own, theirs in names.items():
        for name in theirs:
            count = getattr(usage, name, None)
            if isinstance(count, int):
                found[own] = count
    return found
