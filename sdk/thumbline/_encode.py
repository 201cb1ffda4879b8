"""Turns what the caller said into one checked event as JSON. Runs on the sender's thread, as a rule."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, get_args

from pydantic import ValidationError

from . import limits
from ._fork import in_one_piece
from ._people import People
from ._plain import LEFT_OUT, plain_text
from ._version import __version__
from .errors import InvalidEvent, invalid
from .events import EVENT_ADAPTER, Event
from .problems import Problem, problems_of
from .repair import repair

if TYPE_CHECKING:
    from .settings import ClientSettings


_NUL: Final = b"\\u0000"  # as JSON has it; no text in a database can hold one

# What the caller's thread leaves behind: size (estimate of the memory it takes, in bytes), sequence (the
# client's counter: unique, rising with the calls), event id, Unix time of the call in nanoseconds, and
# the event's other fields, in which raw ids of people are replaced before they go anywhere. A plain
# tuple: a NamedTuple costs a quarter of a microsecond, on the host's thread.
Draft: TypeAlias = tuple[int, int, str, int, dict[str, Any]]


class Item(NamedTuple):
    """
    An event ready to be sent. Begins like a `Draft`.

    Attributes:
        size: memory it takes, in bytes.
        sequence: unique in this process; of recovered events, drawn anew.
        event_id: its id.
        data: its JSON.
        receipt: where it is spooled; None when it is in memory only.
    """

    size: int
    sequence: int
    event_id: str
    data: bytes
    receipt: str | None = None


class Encoder:
    """Checks drafts against the contract and writes them as JSON."""

    def __init__(self, settings: ClientSettings) -> None:
        self._people = People(settings)
        # Built now, and not for twenty milliseconds in the middle of a request.
        EVENT_ADAPTER.rebuild()
        for model in get_args(Event):
            model.model_rebuild()
        constant = {
            "app": settings.app,
            "surface": settings.surface,
            "app_version": settings.app_version,
            "training_consent": settings.training_consent,
            "sdk": f"thumbline-python/{__version__}",
        }
        # From the environment they may hold bytes that are no text.
        self._constant = {name: plain_text(value) for name, value in constant.items() if value is not None}

    def __call__(self, draft: Draft) -> Encoded:
        """
        The event as JSON in one line, with the fields that were given and no others.

        What breaks the contract in a field that the event can do without is changed, and named.

        Raises:
            InvalidEvent: it breaks the contract in a field that it cannot do without.
            TooLarge: its JSON is above `limits.MAX_EVENT_BYTES`.
        """
        _, sequence, event_id, now_ns, fields = draft
        event: dict[str, Any] = {
            "event_id": event_id,
            "occurred_at": datetime.fromtimestamp(now_ns / 1e9, timezone.utc),
            "sequence": sequence,
            **self._constant,
            **fields,
        }
        self._hide_people(event)
        with in_one_piece():
            data = None if "occurred_at" in fields and not _is_instant(fields["occurred_at"]) else _to_json(event)
            if data is None or _NUL in data:
                encoded = _repaired(event, datetime.fromtimestamp(now_ns / 1e9, timezone.utc))
            else:
                encoded = Encoded(data)
        if len(encoded.data) > limits.MAX_EVENT_BYTES:
            raise TooLarge(Problem("", f"must be at most {limits.MAX_EVENT_BYTES} bytes of JSON"))
        return encoded

    def _hide_people(self, event: dict[str, Any]) -> None:
        if "rater" in event:
            try:
                event["rater"] = self._people.rater(event["rater"], "rater.id")
            except InvalidEvent:
                if event["kind"] != "signal":
                    raise
                event["rater"] = LEFT_OUT
        if "author" in event:
            try:
                event["author"] = self._people.rater(event["author"], "author")["id"]
            except InvalidEvent:
                event["author"] = LEFT_OUT


class Encoded(NamedTuple):
    """
    What became of a draft.

    Attributes:
        data: the event's JSON.
        changed: fields that are not as they were given.
    """

    data: bytes
    changed: frozenset[str] = frozenset()


class TooLarge(InvalidEvent):
    """The event's JSON is above the contract's limit."""

    def __init__(self, problem: Problem) -> None:
        super().__init__([problem])


def _to_json(event: dict[str, Any]) -> bytes | None:
    """The event's JSON; None where it is not as it must be."""
    try:
        model = EVENT_ADAPTER.validate_python(event)
        return _written(model)
    except (ValidationError, ValueError):
        return None


def _written(model: Event) -> bytes:
    # `exclude_unset`, not `exclude_none`: a null in a message is the host's, and a rating that is
    # taken back has the score null. On the model's own serializer: half the cost of the adapter's.
    return model.__pydantic_serializer__.to_json(model, exclude_unset=True, warnings=False)


def _is_instant(value: Any) -> bool:
    # What the contract asks of its text, asked of a datetime: its text is only looked at on the other side.
    if not isinstance(value, datetime):
        return True
    offset = value.utcoffset()
    return offset is not None and 1970 <= value.year <= 2999 and offset.total_seconds() % 60 == 0


def _repaired(event: dict[str, Any], now: datetime) -> Encoded:
    try:
        found = repair(event, EVENT_ADAPTER.validate_python, now)
        return Encoded(_written(EVENT_ADAPTER.validate_python(found.event)), found.changed)
    except ValidationError as error:
        raise InvalidEvent(problems_of(error)) from None  # its text would hold the values
    except ValueError:  # never seen: what `repair` returns is JSON
        raise invalid("", "must hold nothing but what JSON can hold") from None
