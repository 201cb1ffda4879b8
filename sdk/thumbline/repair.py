"""
Gives an event that breaks the contract in an optional field the nearest one that keeps it.

No optional field costs a vote. Every value gets its plain form (`_plain`), what is too long is cut and ends with
a mark, of what is too many the first are kept, and what still breaks the contract is left out. What an event cannot
do without is never guessed: an event without it stays wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NamedTuple, get_args

from pydantic import ValidationError

from . import limits
from ._plain import LEFT_OUT, Plainer, plain_text
from .events import Event
from .problems import problems_of

__all__ = ["CUT", "Repaired", "repair"]

CUT: Final = "…"
"""Ends text that was cut."""

_EARLIEST_YEAR, _LATEST_YEAR = 1970, 2999
# Fields without which an event says the same, or less, but nothing else.
_OPTIONAL: Final = frozenset(
    {
        *("sequence", "conversation_id", "app", "surface", "app_version", "sdk", "properties"),
        *("policy", "tools", "sampling", "latency_ms", "turn", "parent_id", "author", "finish_reason"),
        *("probability", "strength", "scale", "tags", "comment"),
    }
)
# What is optional in one kind and the heart of another.
_OPTIONAL_IN: Final = {"signal": frozenset({"value", "rater"})}
# Go together: half of them says nothing.
_TOGETHER: Final = frozenset({"strength", "scale"})
# Below the event and the field.
_DEPTH: Final = limits.MAX_DEPTH - 2
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    str(model.model_fields["kind"].default): frozenset(model.model_fields) for model in get_args(Event)
}


class Repaired(NamedTuple):
    """
    An event that the contract takes.

    Attributes:
        event: its fields, nothing but what JSON can hold.
        changed: names of the fields that are not as they were given.
    """

    event: dict[str, Any]
    changed: frozenset[str]


def repair(
    event: Mapping[str, Any], check: Callable[[dict[str, Any]], object], now: datetime | None = None
) -> Repaired:
    r"""
    The nearest event that the contract takes.

        {"kind": "thumb", ..., "properties": {"at": datetime(2026, 11, 24), "f": print}, "comment": "a\0b"}
        ->  {..., "properties": {"at": "2026-11-24T00:00:00"}, "comment": "a\ufffdb"}, {"properties", "comment"}

    Args:
        event: its fields.
        check: raises `pydantic.ValidationError` where the contract does not take an event.
        now: stands in for a time that is none; without it such an event stays wrong.

    Raises:
        pydantic.ValidationError: a field that the event cannot do without is missing or wrong.
    """
    kind = event.get("kind")
    known = _FIELDS.get(kind, frozenset()) if isinstance(kind, str) else frozenset()
    made: dict[str, Any] = {}
    changed: set[str] = set()
    for given, value in event.items():
        name = plain_text(given)
        is_time = name == "occurred_at" and isinstance(value, datetime)
        kept = _instant(value, now) if is_time else _plain(name, value, name in known, changed)
        if kept is not LEFT_OUT:
            made[name] = kept
        if is_time and kept != value.isoformat():
            changed.add(name)
    while True:
        try:
            check(made)
        except ValidationError as error:
            if not _give_way(made, error, changed, now):
                raise
        else:
            break
    if event.get("author") is not None and "author" not in made:
        # Nobody's withdrawal could reach this prompt any more.
        made["training_consent"] = "denied"
        changed.add("training_consent")
    return Repaired(made, frozenset(changed))


def _plain(name: str, value: Any, is_known: bool, changed: set[str]) -> Any:
    plainer = Plainer()
    if name == "latency_ms" and isinstance(value, timedelta):
        value, plainer.changed = value / timedelta(milliseconds=1), True
    made = plainer(value, _DEPTH)
    shape = _SHAPES.get(name) if is_known else None
    if shape is not None and made is not LEFT_OUT and made is not None:
        shaped = shape(made)
        plainer.changed |= shaped is LEFT_OUT or shaped != made
        made = shaped
    if plainer.changed:
        changed.add(name)
    return made


def _instant(value: datetime, now: datetime | None) -> str:
    offset = value.utcoffset()
    if offset is None or not _EARLIEST_YEAR <= value.year <= _LATEST_YEAR:
        return now.isoformat() if now is not None else value.isoformat()
    # Some places once were some seconds off, which ISO 8601 has no form for.
    return (value if offset.total_seconds() % 60 == 0 else value.astimezone(timezone.utc)).isoformat()


def _give_way(event: dict[str, Any], error: ValidationError, changed: set[str], now: datetime | None) -> bool:
    """Take out of an event what an error is about; False where it cannot do without."""
    optional = _OPTIONAL | _OPTIONAL_IN.get(str(event.get("kind")), frozenset())
    before = dict(event)
    for problem in problems_of(error):
        name, _, inside = problem.field.partition(".")
        if name in optional:
            for one in _TOGETHER if name in _TOGETHER else (name,):
                event.pop(one, None)
        elif name == "occurred_at" and now is not None:
            event[name] = now.isoformat()
        elif name == "training_consent" and event.get("kind") != "consent":
            # What was meant is not known, so that it trains nothing.
            event[name] = "denied"
        elif name == "rater" and inside == "wrote_prompt" and isinstance(event[name], dict):
            event[name] = {key: value for key, value in event[name].items() if key != inside}
        else:
            return False
    gave = {
        name for name in before.keys() | event.keys() if before.get(name, LEFT_OUT) is not event.get(name, LEFT_OUT)
    }
    changed |= gave
    return bool(gave)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return value if isinstance(value, str) else LEFT_OUT


def _label(value: Any) -> Any:
    text = _as_text(value)
    return LEFT_OUT if text in ("", LEFT_OUT) else _cut(text, limits.MAX_LABEL_LENGTH)


def _model(value: Any) -> Any:
    text = _label(value)
    return value if text is LEFT_OUT else text


def _comment(value: Any) -> Any:
    text = _as_text(value)
    return text if text is LEFT_OUT else _cut(text, limits.MAX_COMMENT_LENGTH)


def _tags(value: Any) -> Any:
    # One text is one reason: as a list it would be its letters.
    given = value if isinstance(value, list) else [value]
    texts = [_as_text(one) for one in given]
    kept = [_cut(text, limits.MAX_TAG_LENGTH) for text in texts if text not in ("", LEFT_OUT)]
    return kept[: limits.MAX_TAGS] if kept or not given else LEFT_OUT


def _properties(value: Any) -> Any:
    if not isinstance(value, dict):
        return LEFT_OUT
    return dict(list(value.items())[: limits.MAX_PROPERTIES])


def _tools(value: Any) -> Any:
    if not isinstance(value, list):
        return LEFT_OUT
    return [tool for tool in value if isinstance(tool, dict)][: limits.MAX_TOOLS]


def _number(value: Any) -> Any:
    return LEFT_OUT if isinstance(value, bool | str) else value


_SHAPES: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("app", "surface", "app_version", "sdk", "policy", "finish_reason"), _label),
    "model": _model,
    **dict.fromkeys(("latency_ms", "probability"), _number),
    "comment": _comment,
    "tags": _tags,
    "properties": _properties,
    "sampling": _properties,
    "tools": _tools,
}
