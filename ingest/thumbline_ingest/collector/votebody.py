"""Cuts a page's request into its events: `{"events": [{...}, ...], "sent_at": "..."}`."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

import msgspec

from thumbline import limits
from thumbline.problems import Problem

from . import strict
from .errors import RequestRefused
from .keycount import Suspicious, keys_in, written_keys
from .split import split
from .verdicts import Rejection

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_NAMES: Final = ("events", "sent_at")
_SHAPE: Final = 'the body must be {"events": [...]}, with "sent_at" beside it or not'


class VoteBody(NamedTuple):
    """
    A page's request.

    Attributes:
        events: each as it was read; what is no plain JSON is rejected already.
        sent_at: when, by the page's clock, as it was sent; None where it does not say.
    """

    events: list[dict[str, Any] | Rejection]
    sent_at: str | None = None


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
    return VoteBody([_read(event) for event in events], sent_at)


def _read(raw: bytes) -> dict[str, Any] | Rejection:
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _no_plain_json(raw)
    if not isinstance(value, dict):
        return Rejection([Problem("", "must be an object")])
    try:
        is_plain = keys_in(value) == written_keys(raw)
    except Suspicious:
        return _no_plain_json(raw)
    # More keys in the text than were understood: perhaps one stands there twice. The look at the text decides.
    return value if is_plain or not strict.problems_in(raw)[0] else _no_plain_json(raw)


def _no_plain_json(raw: bytes) -> Rejection:
    problems, event_id = strict.problems_in(raw)
    return Rejection(problems or [Problem("", "is not plain JSON")], event_id)


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
