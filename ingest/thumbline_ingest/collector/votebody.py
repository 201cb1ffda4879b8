"""Cuts a page's request into its events: `{"events": [{...}, ...], "sent_at": "..."}`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from thumbline import limits

from . import strict
from .errors import RequestRefused
from .keycount import written_keys
from .split import split

_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_NAMES: Final = ("events", "sent_at")
_SHAPE: Final = 'the body must be {"events": [...]}, with "sent_at" beside it or not'


@dataclass(frozen=True)
class VoteBody:
    """
    A page's request.

    Attributes:
        events: each as it was sent.
        sent_at: when, by the page's clock, as it was sent; None where it does not say.
    """

    events: list[bytes]
    sent_at: str | None = None


class _Outer(msgspec.Struct, forbid_unknown_fields=True):
    events: msgspec.Raw
    sent_at: str | None = None


_OUTER: Final = msgspec.json.Decoder(_Outer)


def split_votes(body: bytes) -> VoteBody:
    """
    The events of a body, each as it was sent.

    What is no JSON inside an event costs that event and not its neighbours, as in `/v1/events`.

    Raises:
        RequestRefused: 400 where the body has another form, 413 where it has too many events.
    """
    try:
        outer = _OUTER.decode(body)
        raw, sent_at = bytes(outer.events), outer.sent_at
        # As many keys outside as there are fields: none of them stands there twice.
        is_plain = written_keys(body) - written_keys(raw) == (1 if sent_at is None else 2)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        is_plain = False
    if not is_plain:
        raw, sent_at = _look_closely(strict.decode(body))
    events = split(raw)
    if len(events) > limits.MAX_VOTES:
        raise RequestRefused(413, "too_many_events", f"a request takes at most {limits.MAX_VOTES} votes")
    return VoteBody(events, sent_at)


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
