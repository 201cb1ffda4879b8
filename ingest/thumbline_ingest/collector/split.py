"""Cuts a request's JSON array into the bytes of its events, without reading the events."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from thumbline import limits

from . import strict
from .errors import RequestRefused

_RAW_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_WHITESPACE: Final = re.compile(r"[ \t\r\n]*")
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]+|[\]}]+', re.DOTALL)
# A large body of many commas may be an array of millions of numbers, each an object for the fast split.
_LARGE: Final = 1024 * 1024
_MANY_COMMAS: Final = 200_000


def split(body: bytes) -> list[bytes]:
    """
    The events of a body, each as it was sent.

        b'[{"kind":"thumb"}, {"value":NaN}]'  ->  [b'{"kind":"thumb"}', b'{"value":NaN}']

    What only a tolerant parser reads (NaN, lone surrogates, deep nesting) is split all the same, so
    that it costs one event and not its neighbours.

    Raises:
        RequestRefused: 400 where the body is no JSON array or is empty, 413 where it has too many events.
    """
    try:
        found: Sequence[bytes] = [] if _may_be_huge(body) else [bytes(raw) for raw in _RAW_ARRAY.decode(body)]
    except (msgspec.MsgspecError, RecursionError):
        found = []
    events = found or _split_tolerantly(strict.decode(body))
    if not events:
        raise RequestRefused(400, "empty_batch", "the array holds no event")
    if len(events) > limits.MAX_BATCH_EVENTS:
        raise _too_many()
    return list(events)


def _may_be_huge(body: bytes) -> bool:
    return len(body) > _LARGE and body.count(b",") > _MANY_COMMAS


def _split_tolerantly(text: str) -> list[bytes]:
    decoder = strict.tolerant_decoder()
    position = _skip(text, 0)
    if text[position : position + 1] != "[":
        raise _not_an_array(decoder, text)
    events: list[bytes] = []
    position = _skip(text, position + 1)
    if text[position : position + 1] == "]":
        return _ended(text, position, events)
    while len(events) <= limits.MAX_BATCH_EVENTS:
        end = _end_of_value(decoder, text, position)
        events.append(text[position:end].encode("utf-8", "surrogateescape"))
        position = _skip(text, end)
        if text[position : position + 1] == "]":
            return _ended(text, position, events)
        if text[position : position + 1] != ",":
            raise _not_json()
        position = _skip(text, position + 1)
    raise _too_many()


def _ended(text: str, position: int, events: list[bytes]) -> list[bytes]:
    if _skip(text, position + 1) != len(text):
        raise _not_json()
    return events


def _end_of_value(decoder: json.JSONDecoder, text: str, start: int) -> int:
    try:
        return decoder.raw_decode(text, start)[1]
    except RecursionError:
        return _end_of_brackets(text, start)
    except (ValueError, StopIteration) as error:
        raise _not_json() from error


def _end_of_brackets(text: str, start: int) -> int:
    # Counting needs no stack, so the depth does not matter.
    depth = 0
    for match in _TOKEN.finditer(text, start):
        first = text[match.start()]
        if first == '"':
            continue
        count = match.end() - match.start()
        if first in "[{":
            depth += count
        elif depth > count:
            depth -= count
        else:
            return match.start() + depth
    raise _not_json()


def _skip(text: str, position: int) -> int:
    match = _WHITESPACE.match(text, position)
    return match.end() if match else position


def _not_json() -> RequestRefused:
    return RequestRefused(400, "not_json", "the body is not JSON")


def _not_an_array(decoder: json.JSONDecoder, text: str) -> RequestRefused:
    try:
        decoder.decode(text)
    except (ValueError, RecursionError):
        return _not_json()
    return RequestRefused(400, "not_an_array", "the body must be a JSON array of events")


def _too_many() -> RequestRefused:
    return RequestRefused(413, "too_many_events", f"a request takes at most {limits.MAX_BATCH_EVENTS} events")
