"""What a map is, and what maps share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final, Protocol

from .. import chat, values
from ..drafts import Draft, Drafts, Person, completion_id_of
from ..record import Record
from ..refused import Refused

UNKNOWN_MODEL: Final = "unknown"


@dataclass(frozen=True)
class MapOptions:
    """
    What the command and the map file say about a source.

    Attributes:
        columns: name in the map -> column in the source.
        labels: word -> `up` or `down`, beside the words that are known.
        scale: lowest and highest score, where the source does not say.
        model: model of answers whose record names none.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    model: str = UNKNOWN_MODEL


class Source(Protocol):
    """A map: makes drafts of events out of one record."""

    name: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    """What a record has, as a rule."""
    optional: ClassVar[tuple[str, ...]]
    """Columns that it may have; empty where the source's form is fixed."""
    options: MapOptions

    def needed(self, columns: Collection[str]) -> tuple[str, ...]:
        """What a table with these columns must have: of what is required, all as a rule."""
        ...

    def split(self, value: Any) -> Iterable[Any]:
        """The records in one value of a file: itself, as a rule."""
        ...

    def drafts(self, record: Record) -> Drafts:
        """
        What a record says; no events where there is no opinion in it.

        Raises:
            Refused: it does not say what it should.
        """
        ...


class OneByOne:
    """A source whose values are its records."""

    required: ClassVar[tuple[str, ...]]

    def __init__(self, options: MapOptions) -> None:
        self.options = options

    def needed(self, columns: Collection[str]) -> tuple[str, ...]:
        """All that is required."""
        return self.required

    def split(self, value: Any) -> Iterable[Any]:
        """The value itself."""
        return (value,)


@dataclass(frozen=True)
class Answer:
    """
    One answer of a source.

    Attributes:
        prompt: what came before.
        response: the answer.
        model: who wrote it.
        id: the source's id of the answer; None where it has none.
        policy: the exact checkpoint.
        at: when it was written.
        finish_reason: why it ended, as its API said.
    """

    prompt: list[chat.ChatMessage]
    response: chat.ChatMessage
    model: str
    id: str | None = None
    policy: str | None = None
    at: str | None = None
    finish_reason: str | None = None

    @cached_property
    def completion_id(self) -> str:
        """Its id as an event has it."""
        return self.id or completion_id_of(self.prompt, self.response, self.model)

    def draft(self, author: str | None = None, conversation_id: str | None = None) -> Draft:
        """The event that it was produced."""
        fields: dict[str, Any] = {
            "completion_id": self.completion_id,
            "messages": self.prompt,
            "response": self.response,
            "model": self.model,
        }
        if self.policy is not None:
            fields["policy"] = self.policy
        if self.finish_reason is not None:
            fields["finish_reason"] = self.finish_reason
        return Draft("completion", fields, self.at, author=author, conversation_id=conversation_id)


def vote_of(label: Any, column: str, words: Mapping[str, str]) -> str:
    """
    `up` or `down`.

        True, 1, "up", "good"  ->  "up";  False, 0, -1, "down", "bad"  ->  "down"
    """
    word = values.label_word(label, column)
    if word in words:
        return words[word]
    if word in values.UP:
        return "up"
    if word in values.DOWN:
        return "down"
    raise Refused(
        column, "is no label: true or false, 1 or 0, up or down, or a word that the map file lists under [labels]"
    )


def remark_of(record: Record) -> dict[str, Any]:
    """Comment and tags of an opinion, where there are any."""
    fields: dict[str, Any] = {}
    comment, tags = record.text("comment"), record.get("tags")
    if comment:
        fields["comment"] = comment
    if tags is not None and (found := values.tags(tags, record.column("tags"))):
        fields["tags"] = found
    return fields


def person_of(raw: str | None, kind: str | None = None, wrote_prompt: bool | None = None) -> Person | None:
    """The person of an id; None where there is no id."""
    return None if raw is None else Person(raw, kind, wrote_prompt)
