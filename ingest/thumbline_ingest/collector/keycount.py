"""
Finds duplicate object keys without parsing twice: keys as written against keys as understood.

Of two equal keys pydantic takes the last, DuckDB the first: the collector would check one value and
the warehouse hold the other. No fast parser reports them. But every key is written as `"` and `:`,
and a parsed event holds each key once: where the text has as many keys as the events, none is there
twice. Text may look like a key without being one, so more keys in the text prove nothing; the exact
look of `strict` decides then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import numpy as np

from thumbline import limits
from thumbline.events import Event, Message

# `\":` inside a string is no key. The quote that follows two backslashes may be one.
# The quote comes first, so that the engine leaps from one to the next.
_KEY: Final = re.compile(rb'"(?<![^\\]\\")[ \t\r\n]*:')
NUL_ESCAPE: Final = b"\\u0000"
_QUOTE, _BACKSLASH, _COLON, _SPACE, _U = 0x22, 0x5C, 0x3A, 0x20, 0x75
# Below this, starting numpy costs more than the regular expression.
_SMALL: Final = 12 * 1024
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


class Suspicious(Exception):
    """Something in the event's free fields asks for the exact look."""


def written_keys(text: bytes) -> int:
    """The object keys in JSON text: never fewer than there are, and seldom more."""
    if len(text) < _SMALL:
        return len(_KEY.findall(text))
    data = np.frombuffer(text, np.uint8)
    colons = np.flatnonzero(data == _COLON)
    before = data[colons - 1]
    if (before <= _SPACE).any():
        return len(_KEY.findall(text))
    quotes = colons[before == _QUOTE] - 1
    escaped = (data[quotes - 1] == _BACKSLASH) & (data[quotes - 2] != _BACKSLASH)
    return len(quotes) - int(np.count_nonzero(escaped))


def may_have_nul(text: bytes) -> bool:
    """Whether the NUL escape stands in JSON text; it may still be a backslash and plain letters."""
    if len(text) >= _SMALL:
        # Most bodies have no escape that begins with `u` at all, and numpy sees that soonest.
        data = np.frombuffer(text, np.uint8)[:-1]
        if not (np.frombuffer(text, np.uint8)[np.flatnonzero(data == _BACKSLASH) + 1] == _U).any():
            return False
    return NUL_ESCAPE in text


def understood_keys(event: Event) -> int:
    """
    The object keys that the parsed event holds.

    Raises:
        Suspicious: a free field holds an infinite number, an integer beyond 64 bits, or is nested too deep.
    """
    fields = event.__dict__
    count = len(event.__pydantic_fields_set__)
    if event.__pydantic_extra__:
        count += _inside(event.__pydantic_extra__, 1)
    if fields["properties"]:
        count += _free_keys(fields["properties"], 2)
    rater = fields["rater"]
    if rater is not None:
        count += len(rater.__pydantic_fields_set__)
        if rater.__pydantic_extra__:
            count += _inside(rater.__pydantic_extra__, 2)
    if "response" in fields:
        count += _answer_keys(fields)
    return count


def keys_in(value: dict[str, Any]) -> int:
    """
    The object keys in a parsed object.

    Raises:
        Suspicious: as `understood_keys` does, and where it is no object.
    """
    if type(value) is not dict:
        raise Suspicious
    return _free_keys(value, 1)


def _answer_keys(fields: dict[str, Any]) -> int:
    # Completions and edits: the models inside.
    count = _message_keys((fields["response"],), 2)
    if "messages" in fields:
        count += _message_keys(fields["messages"], 3)
        if fields["sampling"]:
            count += _free_keys(fields["sampling"], 2)
        if fields["tools"]:
            count += _free_keys(fields["tools"], 2)
    return count


def _message_keys(messages: Sequence[Message], depth: int) -> int:
    count = 0
    for message in messages:
        count += len(message.__pydantic_fields_set__)
        if message.__pydantic_extra__:
            count += _inside(message.__pydantic_extra__, depth)
        if type(message.content) is list:
            for part in message.content:
                count += len(part.__pydantic_fields_set__)
                count += _inside(part.__pydantic_extra__ or {}, depth + 2)
    return count


def _inside(extra: dict[str, Any], depth: int) -> int:
    # The names of a model's unknown fields are in its set of fields already.
    return _free_keys(extra, depth) - len(extra)


def _free_keys(value: Any, depth: int) -> int:
    if depth > limits.MAX_DEPTH:
        raise Suspicious
    count = 0
    items = value
    if type(value) is dict:
        count = len(value)
        items = value.values()
    for item in items:
        kind = type(item)
        if kind is dict or kind is list:
            count += _free_keys(item, depth + 1)
        elif (kind is int and not _MIN_INT <= item <= _MAX_INT) or (kind is float and not isfinite(item)):
            raise Suspicious
    return count
