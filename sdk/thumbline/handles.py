"""
What the client hands out and takes: answers, comparisons, conversations and raters.

A plain id is accepted wherever a handle is; a handle knows more (its conversation, its text, its kind).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .errors import invalid

if TYPE_CHECKING:
    from uuid import UUID

    from .events import RaterKind

__all__ = ["Answer", "Conversation", "Pair", "Rater"]


@dataclass(frozen=True)
class Answer:
    """
    One answer.

    Attributes:
        completion_id: its id.
        conversation_id: the conversation that it belongs to; None where the host did not say.
        text: its text, kept so that `Client.mark` can hash it; None where it is unknown or not text.
    """

    completion_id: str
    conversation_id: str | None = None
    text: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Pair:
    """
    Two or more answers side by side.

    Attributes:
        comparison_id: its id.
        order: ids of the answers in the order to show; empty where it is unknown.
        probability: with which this order was drawn; None where the host drew it and cannot say.
        conversation_id: the conversation that it belongs to; None where the host did not say.
    """

    comparison_id: str
    order: tuple[str, ...] = ()
    probability: float | None = None
    conversation_id: str | None = None


@dataclass(frozen=True)
class Conversation:
    """
    A whole conversation, as the target of a rating, an exposure or a signal.

    Attributes:
        conversation_id: its id.
    """

    conversation_id: str


@dataclass(frozen=True)
class Rater:
    """
    Who judges, where a plain user id does not say enough.

        Rater("user-42", wrote_prompt=True)               a person: the id is hashed
        Rater("h1:9c1f...", pseudonymous=True)            a person whose id is hashed already
        Rater("gpt-judge@3", kind="model")                a judge model: the id is sent as it is

    Attributes:
        id: user id, or name of the model or rule.
        kind: `human`, `model` or `rule`; only ids of humans are hashed.
        wrote_prompt: whether the rater is the person whose prompt was answered; None where unknown.
        pseudonymous: the id of this human is a pseudonym already and is sent as it is.
    """

    id: str
    kind: RaterKind = "human"
    wrote_prompt: bool | None = None
    pseudonymous: bool = False


PlainId: TypeAlias = "str | int | UUID"
AnswerLike: TypeAlias = "Answer | PlainId"
PairLike: TypeAlias = "Pair | PlainId"
TargetLike: TypeAlias = "Answer | Pair | Conversation | PlainId"
RaterLike: TypeAlias = "Rater | PlainId"


def target_of(target: object, field_name: str = "target_id") -> tuple[str, str, str | None]:
    """Kind, id and conversation of what is judged; a plain id is an answer's."""
    if isinstance(target, Answer):
        return "completion", target.completion_id, target.conversation_id
    if isinstance(target, Pair):
        return "comparison", target.comparison_id, target.conversation_id
    if isinstance(target, Conversation):
        return "conversation", target.conversation_id, target.conversation_id
    return "completion", plain_id(target, field_name), None


def answer_of(answer: object, field_name: str = "target_id") -> tuple[str, str | None]:
    """Id and conversation of an answer."""
    kind, own_id, conversation_id = target_of(answer, field_name)
    if kind != "completion":
        raise invalid(field_name, f"must be an answer or its id, not a {kind}")
    return own_id, conversation_id


def pair_of(pair: object) -> tuple[str, str | None]:
    """Id and conversation of a comparison; a plain id is a comparison's here."""
    if isinstance(pair, Pair):
        return pair.comparison_id, pair.conversation_id
    if isinstance(pair, Answer | Conversation):
        raise invalid("target_id", "must be a comparison or its id")
    return plain_id(pair, "target_id"), None


def plain_id(value: object, field_name: str) -> str:
    """A host's own id as text: numbers and UUIDs are common primary keys."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if type(value).__name__ == "UUID":  # not worth importing `uuid` for
        return str(value)
    raise invalid(field_name, "must be an id: text, a whole number or a UUID")
