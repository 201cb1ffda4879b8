"""Cuts a page's request into its events: `{"events": [{...}, ...], "sent_at": "..."}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from thumbline import limits
from thumbline.problems import Problem
from thumbline.repair import repair

from . import strict
from .errors import RequestRefused
from .keycount import Suspicious, keys_in, written_keys
from .split import split
from .verdicts import Rejection

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_NAMES: Final = ("events", "sent_at")
_SHAPE: Final = 'the body must be {"events": [...]}, with "sent_at" beside it or not'


_NONE: Final[Mapping[int, frozenset[str]]] = MappingProxyType({})


class VoteBody(NamedTuple):
    """
    A page's request.

    Attributes:
        events: each as it was read; what is no JSON at all is rejected already.
        sent_at: when, by the page's clock, as it was sent; None where it does not say.
        changed: index of an event that is read other than it was written -> its fields that are.
    """

    events: list[dict[str, Any] | Rejection]
    sent_at: str | None = None
    changed: Mapping[int, frozenset[str]] = _NONE


class _Outer(msgspec.Struct, forbid_unknown_fields=True):
    events: list[Any]
    sent_at: str | None = None


_OUTER: Final = msgspec.json.Decoder(_Outer)
_decode: Final = msgspec.json.Decoder().decode


def split_votes(body: bytes) -> VoteBody:
    """
    The events of a body.

    What is no JSON inside an event costs that event and not its neighbours, as in `/v1/events`.

    Raises:
        RequestRefused: 400 where the body has another form, 413 where it has too many events.
    """
    try:
        outer = _OUTER.decode(body)
        # As many keys in the text as were understood: none stands there twice, inside an event or around it.
        keys = (1 if outer.sent_at is None else 2) + sum(map(keys_in, outer.events))
        if 0 < len(outer.events) <= limits.MAX_VOTES and keys == written_keys(body):
            return VoteBody(outer.events, outer.sent_at)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, Suspicious):
        pass
    raw, sent_at = _look_closely(strict.decode(body))
    events = split(raw)
    if len(events) > limits.MAX_VOTES:
        raise RequestRefused(413, "too_many_events", f"a request takes at most {limits.MAX_VOTES} votes")
    found = [_read(event) for event in events]
    changed = {index: fields for index, (_, fields) in enumerate(found) if fields}
    return VoteBody([event for event, _ in found], sent_at, changed)


def _read(raw: bytes) -> tuple[dict[str, Any] | Rejection, frozenset[str]]:
    """One event, and the fields that are not as they were written."""
    try:
        value = _decode(raw)
        if not isinstance(value, dict):
            return Rejection([Problem("", "must be an object")]), frozenset()
        # More keys in the text than were understood: perhaps one stands there twice. The look at the text decides.
        is_plain = keys_in(value) == written_keys(raw) or not strict.problems_in(raw)[0]
    except (msgspec.MsgspecError, ValueError, RecursionError, Suspicious):
        is_plain = False
    return (value, frozenset()) if is_plain else _plain(raw)


def _plain(raw: bytes) -> tuple[dict[str, Any] | Rejection, frozenset[str]]:
    value = strict.readable(raw)
    if value is None:
        problems, event_id = strict.problems_in(raw)
        return Rejection(problems or [Problem("", "is not plain JSON")], event_id), frozenset()
    # What the contract asks for beyond that is looked at when the event is whole.
    found = repair(value, lambda event: None)
    return found.event, found.changed


def _look_closely(text: str) -> tuple[bytes, str | None]:
    """The same by hand, of text that need not be JSON all through."""
    decoder = strict.tolerant_decoder()
    found: dict[str, tuple[int, int, Any]] = {}
    position = _expect(text, _skip(text, 0), "{")
    while True:
        name, position = _value(decoder, text, position)
        if name not in _NAMES or name in found:
            raise _refusal(text)
        begin = _skip(text, _expect(text, position, ":"))
        value, position = _value(decoder, text, begin)
        found[name] = begin, position, value
        if text[position : position + 1] == "}":
            break
        position = _skip(text, _expect(text, position, ","))
    if _skip(text, position + 1) != len(text) or "events" not in found:
        raise _refusal(text)
    begin, end, _ = found["events"]
    sent_at = found.get("sent_at", (0, 0, None))[2]
    if sent_at is not None and not isinstance(sent_at, str):
        raise _refusal(text)
    return text[begin:end].encode("utf-8", "surrogateescape"), sent_at


def _value(decoder: json.JSONDecoder, text: str, position: int) -> tuple[Any, int]:
    try:
        value, end = decoder.raw_decode(text, position)
    except (ValueError, StopIteration, RecursionError):
        raise _refusal(text) from None
    return value, _skip(text, end)


def _expect(text: str, position: int, character: str) -> int:
    if text[position : position + 1] != character:
        raise _refusal(text)
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _WHITESPACE.match(text, position)
    return match.end() if match else position


def _refusal(text: str) -> RequestRefused:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return RequestRefused(400, "not_json", "the body is not JSON")
    return RequestRefused(400, "not_votes", _SHAPE)
