"""
The event contract: what a client may say, as pydantic models, one per kind.

This module is the single source for the collector, the loader and the JSON Schema in `schemas/`.
Every event is a fact that is appended once; nothing ever updates one.

    >>> from thumbline.events import parse_event
    >>> parse_event(b'{"kind": "thumb", "event_id": "0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e11", '
    ...             b'"occurred_at": "2026-11-24T10:00:00Z", "target_id": "answer-1", '
    ...             b'"rater": {"id": "r-9c1f"}, "value": "up"}').value
    'up'

A field that this version does not know is kept (`model_extra`), never refused: a newer client may
talk to an older collector.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from . import limits

__all__ = [
    "EVENT_ADAPTER",
    "KINDS",
    "Comparison",
    "Completion",
    "Consent",
    "Edit",
    "Event",
    "EventBase",
    "Exposure",
    "Mark",
    "Message",
    "Pick",
    "Ranking",
    "Rater",
    "Rating",
    "Signal",
    "Thumb",
    "parse_event",
]

UUID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
# What both pydantic and DuckDB read as the same instant. A bare local time is not an instant.
INSTANT_PATTERN: Final = r"^(19[7-9]\d|2\d{3})-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$"
SIGNAL_PATTERN: Final = r"^[a-z][a-z0-9_]{0,63}$"


class _InstantType:
    """Pydantic hook for `Instant`: ISO 8601 text with an offset in JSON, an aware datetime in Python."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        aware = core_schema.datetime_schema(tz_constraint="aware")
        text = core_schema.chain_schema([core_schema.str_schema(pattern=INSTANT_PATTERN, strict=True), aware])
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema(
                [core_schema.datetime_schema(strict=True, tz_constraint="aware"), text]
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}


Instant: TypeAlias = Annotated[datetime, _InstantType]
EventId: TypeAlias = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Id: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=limits.MAX_ID_LENGTH)]
Label: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=limits.MAX_LABEL_LENGTH)]
Tag: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=limits.MAX_TAG_LENGTH)]
Tags: TypeAlias = Annotated[list[Tag], Field(max_length=limits.MAX_TAGS)]
Comment: TypeAlias = Annotated[str, StringConstraints(max_length=limits.MAX_COMMENT_LENGTH)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=limits.MAX_TEXT_LENGTH)]
# Strict: the loader would read "on" or true as something else than pydantic does.
Number: TypeAlias = Annotated[float, Field(strict=True)]
Properties: TypeAlias = Annotated[dict[str, JsonValue], Field(max_length=limits.MAX_PROPERTIES)]
ConsentValue: TypeAlias = Literal["granted", "denied", "unknown"]
RaterKind: TypeAlias = Literal["human", "model", "rule"]


class _Model(BaseModel):
    # `extra="allow"`: a field from a newer client is kept. `defer_build`: importing the module stays
    # cheap; the validators are built when the first event is checked.
    model_config = ConfigDict(extra="allow", defer_build=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Rater(_Model):
    """Who judged."""

    id: Id
    """Pseudonymous id. The client hashes raw user ids before they leave the process."""
    kind: RaterKind = "human"
    """`human`, `model` (a judge model) or `rule` (a programmatic check). Never mixed silently."""
    wrote_prompt: Annotated[bool, Field(strict=True)] | None = None
    """Whether the rater is the person whose prompt was answered; empty where the host cannot say."""


class ContentPart(_Model):
    """One part of a message that is not plain text only, as in the OpenAI chat format."""

    type: Label
    """`text`, `image_url`, `input_audio`, `file` ...; the part's own fields are kept unchanged."""


class Message(_Model):
    """
    One chat message in the OpenAI chat shape; fields beside these are kept unchanged.

        {"role": "user", "content": "Hi"}
        {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                                     {"type": "image_url", "image_url": {"url": "https://..."}}]}
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {...}}]}
        {"role": "tool", "tool_call_id": "c1", "content": "21 degrees"}
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[list[ContentPart], Field(max_length=limits.MAX_PARTS)] | None = None
    """Text, a list of parts, or null where the message is only tool calls."""


class EventBase(_Model):
    """What every event carries."""

    event_id: EventId
    """UUID, minted by the client (version 7); the key for de-duplication, without a time limit."""
    occurred_at: Instant
    """When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC."""
    sequence: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """The client's own counter; orders events of one client that share a time."""
    rater: Rater | None = None
    """Who judged; required on every opinion."""
    conversation_id: Id | None = None
    """The conversation that it belongs to."""
    app: Label | None = None
    """The product, e.g. `support-chat`."""
    surface: Label | None = None
    """Where in the product, e.g. `web`, `ios`, `slack`."""
    app_version: Label | None = None
    """The product's release."""
    sdk: Label | None = None
    """Client library and version, e.g. `thumbline-python/0.1.0`."""
    training_consent: ConsentValue = "unknown"
    """Whether this event may train a model; exports leave out what is not `granted` unless told otherwise."""
    properties: Properties = Field(default_factory=dict)
    """Anything else that the host wants to keep."""


class Completion(EventBase):
    """An answer was produced, with the full prefix as the model saw it."""

    kind: Literal["completion"] = "completion"
    completion_id: Id
    """The answer's id; a host may use its own."""
    messages: Annotated[list[Message], Field(max_length=limits.MAX_MESSAGES)]
    """Everything before the answer: system, tools' results, earlier turns."""
    response: Message
    """The answer: one assistant message."""
    model: Label
    """The model's name, e.g. `acme-7b`."""
    policy: Label | None = None
    """The exact checkpoint that wrote the answer, e.g. `acme-7b@step-1200`; decides what is on-policy."""
    tools: Annotated[list[dict[str, JsonValue]], Field(max_length=limits.MAX_TOOLS)] | None = None
    """Tool definitions that the model was given."""
    sampling: Properties | None = None
    """Sampling parameters, e.g. `{"temperature": 0.7}`."""
    latency_ms: Annotated[float, Field(ge=0, strict=True)] | None = None
    """Milliseconds until the answer was complete."""
    finish_reason: Label | None = None
    """Why the answer ended, in the API's own word, e.g. `stop` or `length`; exports leave out what was cut off."""
    turn: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """The answer's place in the conversation, from 0."""
    parent_id: Id | None = None
    """The answer that this one follows, or replaces where it was regenerated."""
    author: Id | None = None
    """Pseudonymous id of the person whose prompt it is; consent and erasure reach prompts by it."""

    @model_validator(mode="after")
    def _is_an_answer(self) -> Completion:
        if self.response.role != "assistant":
            raise _error("response.role", "must be 'assistant'", ["assistant"])
        return self


class Comparison(EventBase):
    """Two or more answers were put side by side."""

    kind: Literal["comparison"] = "comparison"
    comparison_id: Id
    completion_ids: Annotated[list[Id], Field(min_length=2, max_length=limits.MAX_ANSWERS)]
    """The answers in the order shown, first (left or top) to last."""
    probability: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    """Probability with which this order was drawn; empty where the host drew it and cannot say."""

    @model_validator(mode="after")
    def _answers_differ(self) -> Comparison:
        if len(set(self.completion_ids)) != len(self.completion_ids):
            raise _error("completion_ids", "must not name an answer twice")
        return self


class _Opinion(EventBase):
    """What one rater says of one thing; keyed by (target, rater, kind), the latest is the current one."""

    targets: ClassVar[tuple[str, ...]] = ("completion",)
    rater: Rater
    target_id: Id
    """Id of the answer, comparison or conversation that is judged."""


class Exposure(EventBase):
    """The rating control was shown, seen or dismissed: the denominator of a response rate."""

    kind: Literal["exposure"] = "exposure"
    rater: Rater
    target_type: Literal["completion", "comparison", "conversation"] = "completion"
    target_id: Id
    state: Literal["shown", "seen", "dismissed"] = "shown"


class Thumb(_Opinion):
    """Thumbs up or down on one answer, or the vote taken back."""

    kind: Literal["thumb"] = "thumb"
    target_type: Literal["completion"] = "completion"
    value: Literal["up", "down", "retracted"]
    """`retracted` takes the vote back: it is then neither a negative nor a row in an export."""
    tags: Tags = Field(default_factory=list)
    """Reasons, e.g. `["wrong", "too_long"]`."""
    comment: Comment | None = None


class Pick(_Opinion):
    """One of a comparison, or that none was better."""

    kind: Literal["pick"] = "pick"
    target_type: Literal["comparison"] = "comparison"
    outcome: Literal["winner", "tie", "both_bad", "skip", "retracted"]
    """`tie` and `both_bad` stay different to the end; `skip` is no opinion; `retracted` takes the pick back."""
    winner_id: Id | None = None
    """The answer picked; set if and only if the outcome is `winner`."""
    strength: Annotated[int, Field(ge=1, le=8)] | None = None
    """
    Point on the scale, counted towards the winner: 5 of 5 is much better, 4 of 5 slightly better, 3 of 5
    no difference. The 8-point scale has no middle: 5 (slightly) to 8 (much better).
    """
    scale: Literal[5, 8] | None = None
    """Number of points; set if and only if `strength` is."""
    tags: Tags = Field(default_factory=list)
    comment: Comment | None = None

    @model_validator(mode="after")
    def _is_coherent(self) -> Pick:
        if (self.outcome == "winner") != (self.winner_id is not None):
            raise _error("winner_id", "must be set if and only if outcome is 'winner'")
        if (self.strength is None) != (self.scale is None):
            raise _error("scale", "must be set if and only if strength is", [5, 8])
        if self.strength is not None and self.scale is not None:
            allowed = _strengths(self.outcome, self.scale)
            if self.strength not in allowed:
                raise _error(
                    "strength",
                    f"must be one of {allowed} for outcome '{self.outcome}' on {self.scale} points, "
                    "counted towards the winner",
                    allowed,
                )
        return self


class Rating(_Opinion):
    """A score on a stated scale, of an answer or of a whole conversation."""

    kind: Literal["rating"] = "rating"
    target_type: Literal["completion", "conversation"] = "completion"
    score: Number | None
    """The score; null takes the rating back."""
    scale_min: Number = 1
    scale_max: Number = 5
    tags: Tags = Field(default_factory=list)
    comment: Comment | None = None

    @model_validator(mode="after")
    def _is_on_scale(self) -> Rating:
        if self.scale_min >= self.scale_max:
            raise _error("scale_max", "must be above scale_min")
        if self.score is not None and not self.scale_min <= self.score <= self.scale_max:
            raise _error("score", f"must be between scale_min {self.scale_min:g} and scale_max {self.scale_max:g}")
        return self


class Ranking(_Opinion):
    """An order, with ties, of the answers of a comparison."""

    kind: Literal["ranking"] = "ranking"
    target_type: Literal["comparison"] = "comparison"
    ranks: Annotated[
        list[Annotated[list[Id], Field(min_length=1, max_length=limits.MAX_ANSWERS)]],
        Field(max_length=limits.MAX_ANSWERS),
    ]
    """Groups of answer ids, best first; answers in one group are tied. An empty list takes the ranking back."""
    comment: Comment | None = None

    @model_validator(mode="after")
    def _ranks_once(self) -> Ranking:
        ids = [answer for group in self.ranks for answer in group]
        if len(set(ids)) != len(ids):
            raise _error("ranks", "must not name an answer twice")
        if len(ids) == 1:
            raise _error("ranks", "must order at least 2 answers")
        return self


class Edit(_Opinion):
    """The rater's own version of the answer; gives a pair, edited over original."""

    kind: Literal["edit"] = "edit"
    target_type: Literal["completion"] = "completion"
    response: Message
    """The answer as the rater would have it: one assistant message."""
    comment: Comment | None = None

    @model_validator(mode="after")
    def _is_an_answer(self) -> Edit:
        if self.response.role != "assistant":
            raise _error("response.role", "must be 'assistant'", ["assistant"])
        return self


class Mark(_Opinion):
    """A span of the answer, with a reason."""

    kind: Literal["mark"] = "mark"
    target_type: Literal["completion"] = "completion"
    start: Annotated[int, Field(ge=0, le=limits.MAX_TEXT_LENGTH)]
    """First character of the span, counted in Unicode code points from 0."""
    end: Annotated[int, Field(ge=1, le=limits.MAX_TEXT_LENGTH)]
    """One past its last character."""
    text_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the answer's text in UTF-8: tells whether the offsets still fit."""
    tags: Tags = Field(default_factory=list)
    comment: Comment | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> Mark:
        if self.end <= self.start:
            raise _error("end", "must be above start")
        return self


class Signal(EventBase):
    """Something implicit: copy, regenerate, share, abandon ...; never summed with thumbs."""

    kind: Literal["signal"] = "signal"
    target_type: Literal["completion", "comparison", "conversation"] = "completion"
    target_id: Id
    name: Annotated[str, StringConstraints(pattern=SIGNAL_PATTERN)]
    """Lower case with underscores, e.g. `copy`, `regenerate`, `share`, `abandon`, `continue`."""
    value: Number | None = None
    """A number that goes with it, e.g. seconds of dwell."""


class Consent(EventBase):
    """A person grants or withdraws training use of what they wrote and said; the latest one wins."""

    kind: Literal["consent"] = "consent"
    rater: Rater
    training_consent: Literal["granted", "denied"]


Event: TypeAlias = Completion | Comparison | Exposure | Thumb | Pick | Rating | Ranking | Edit | Mark | Signal | Consent

KINDS: Final[tuple[str, ...]] = (
    "completion",
    "comparison",
    "exposure",
    "thumb",
    "pick",
    "rating",
    "ranking",
    "edit",
    "mark",
    "signal",
    "consent",
)

EVENT_ADAPTER: Final[TypeAdapter[Event]] = TypeAdapter(
    Annotated[Event, Field(discriminator="kind")], config=ConfigDict(defer_build=True)
)
"""Validator and serializer of any event; builds itself on first use."""


def parse_event(raw: bytes | str) -> Event:
    """
    The event in one JSON text.

    Args:
        raw: one event as UTF-8 JSON.

    Raises:
        pydantic.ValidationError: with the fields at fault; `thumbline.problems` turns it into sentences.
    """
    return EVENT_ADAPTER.validate_json(raw)


def fields_of(kind: str) -> frozenset[str]:
    """Names of the fields that events of a kind have, e.g. `value` and `comment` of a thumb."""
    models = {model.model_fields["kind"].default: model for model in get_args(Event)}
    return frozenset(models[kind].model_fields)


def routing_key(event: Event) -> str:
    """What the event is about: events with one key stay in order through the log."""
    # The fields themselves: `getattr` would find an unknown field of the same name too.
    fields = event.__dict__
    for name in ("conversation_id", "target_id", "completion_id", "comparison_id"):
        value = fields.get(name)
        if value is not None:
            return str(value)
    return event.rater.id if event.rater is not None else event.event_id


def unknown_fields(event: Event) -> dict[str, Any]:
    """
    Fields that this version does not know, to be kept beside the columns.

        {"kind": "thumb", ..., "mood": "good", "rater": {"id": "r", "team": 7}}
        ->  {"mood": "good", "rater": {"team": 7}}
    """
    extra = dict(event.model_extra or {})
    if event.rater is not None and event.rater.model_extra:
        extra["rater"] = dict(event.rater.model_extra)
    return extra


def _strengths(outcome: str, scale: int) -> list[int]:
    if outcome == "winner":
        return list(range(scale // 2 + 1 + scale % 2, scale + 1))
    return [3] if outcome == "tie" and scale == 5 else []


def _error(field: str, message: str, allowed: list[Any] | None = None) -> PydanticCustomError:
    # The field travels in the context: an error of a model validator has no location of its own.
    return PydanticCustomError("thumbline", "{message}", {"message": message, "field": field, "allowed": allowed})
