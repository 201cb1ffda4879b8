"""What a map makes of a record: events without id, time, project and person's pseudonym."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from thumbline import limits
from thumbline._plain import LEFT_OUT, Plainer

from .chat import ChatMessage
from .refused import Refused

_ID_DIGITS: Final = 32  # 128 bits


@dataclass(frozen=True)
class Person:
    """
    Who judged.

    Attributes:
        id: as the source has it: a user's id, or the name of a model or rule.
        kind: `human`, `model` or `rule`; None for what the command was told.
        wrote_prompt: whether it is the person whose prompt was answered; None where unknown.
    """

    id: str
    kind: str | None = None
    wrote_prompt: bool | None = None


@dataclass(frozen=True)
class Draft:
    """
    One event to be.

    Attributes:
        kind: the event's kind.
        fields: what only this kind has, e.g. `{"target_id": ..., "value": "up"}`.
        at: when it happened, ISO 8601; None where the source does not say.
        rater: who judged, of an opinion; None where the source does not say.
        author: raw id of the person whose prompt it is.
        conversation_id: the conversation.
        properties: what else to keep.
    """

    kind: str
    fields: dict[str, Any]
    at: str | None = None
    rater: Person | None = None
    author: str | None = None
    conversation_id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Drafts:
    """
    All that one record says.

    Attributes:
        events: in the order in which they happened.
        own_id: the source's id of the record; None where it has none.
    """

    events: tuple[Draft, ...] = ()
    own_id: str | None = None


def fingerprint(*parts: Any) -> str:
    """
    A short, repeatable name of what is equal: 128 bits of SHA-256 in hexadecimal.

        fingerprint("Hi", {"b": 1, "a": 2}) == fingerprint("Hi", {"a": 2, "b": 1})
    """
    # ASCII escapes: half a character has no UTF-8, and is to be found by the contract's check.
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=no_json)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_ID_DIGITS]


def no_json(value: Any) -> Any:
    """
    For `json.dumps`: Parquet has types that JSON has not.

        Decimal("1.50")  ->  1.5

    Raises:
        Refused: it has no plain form.
    """
    made = Plainer()(value, limits.MAX_DEPTH)
    if made is LEFT_OUT:
        raise Refused("", f"holds a value of type {type(value).__name__}, which JSON has not")
    return made


def completion_id_of(prompt: list[ChatMessage], response: ChatMessage, model: str) -> str:
    """The id of an answer that has none of its own: the same wherever the same model says the same to the same."""
    return f"a-{fingerprint(prompt, response, model)}"


def comparison(first_id: str, second_id: str, is_order_known: bool = False) -> tuple[str, list[str]]:
    """
    Id and order of a comparison of two answers.

    Where the order of showing is unknown, it must not follow the outcome: that would look as if the
    winner were always shown first. So their hashes decide.
    """
    order = [first_id, second_id]
    if not is_order_known:
        order.sort(key=fingerprint)
    return f"c-{fingerprint(order)}", order
