"""
The exact look at one event: what JSON parsers disagree about, with the field named.

The collector, the loader's DuckDB and a training script's `json.loads` must understand the same
event. So what they read differently is found here: NaN and infinities, lone surrogates, NUL, integers
beyond 64 bits, duplicate keys, deep nesting. `mend` writes it so that all read the same, where there is a
way. Both cost several times what the fast look does and are taken only where that one (`keycount`, pydantic)
finds something.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import ValidationError

from thumbline import limits
from thumbline._plain import LEFT_OUT, Plain
from thumbline.events import EVENT_ADAPTER, UUID_PATTERN, Event
from thumbline.problems import Problem, problems_of
from thumbline.repair import repair

_MAX_PROBLEMS: Final = 10
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1
_UUID: Final = re.compile(UUID_PATTERN)
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
# What Python's decoder makes of a byte that is no UTF-8.
_STRAY_BYTE: Final = re.compile(r"[\udc80-\udcff]")
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:]', re.DOTALL)

_REPEATED: Final = "appears more than once in its object"
# Digits of a number that is kept as text.
_MAX_DIGITS: Final = 1_000
_TOO_DEEP: Final = f"is nested deeper than {limits.MAX_DEPTH} levels"
_NOT_FINITE: Final = "must be a finite number"
_TOO_BIG: Final = "must be an integer within 64 bits"


class _Repeating(dict[str, Any]):
    """An object in which keys stood more than once."""

    repeated: frozenset[str] = frozenset()


def _digits(digits: str) -> Any:
    return int(digits) if len(digits) <= 20 else Plain(digits) if len(digits) <= _MAX_DIGITS else LEFT_OUT


_mending_decoder: Final = json.JSONDecoder(parse_int=_digits, strict=False)
_write: Final = msgspec.json.Encoder().encode


def decode(raw: bytes) -> str:
    """JSON text from bytes; bytes that are no UTF-8 become surrogates, which `problems_in` finds."""
    return raw.decode("utf-8", "surrogateescape")


def tolerant_decoder() -> json.JSONDecoder:
    """Python's decoder, made to read more than JSON allows, and to keep what must be refused."""
    return json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, strict=False)


def problems_in(raw: bytes) -> tuple[list[Problem], str | None]:
    """
    What JSON parsers would disagree about in one event, at most ten problems, and the event's id.

        {"event_id": "0192...", "properties": {"score": NaN}}
        ->  [Problem("properties.score", "must be a finite number")], "0192..."

    Args:
        raw: one event as it was sent; need not be valid JSON.
    """
    if len(raw) > limits.MAX_EVENT_BYTES:
        return [Problem("", f"is larger than {limits.MAX_EVENT_BYTES} bytes")], None
    text = decode(raw)
    try:
        value = tolerant_decoder().decode(text)
    except RecursionError:
        return [Problem(_deep_field(text), _TOO_DEEP)], None
    except ValueError:
        return [], None
    found: list[Problem] = []
    for problem in _walk(value):
        found.append(problem)
        if len(found) == _MAX_PROBLEMS:
            break
    return found, _id_of(value)


def readable(raw: bytes) -> dict[str, Any] | None:
    """
    An object of JSON that is not quite JSON, as `thumbline.repair` takes it; None where it cannot be read.

    Of two equal keys nobody knows which was meant: that cannot be mended.
    """
    if len(raw) > limits.MAX_EVENT_BYTES or any(problem.message == _REPEATED for problem in problems_in(raw)[0]):
        return None
    try:
        value = _mending_decoder.decode(decode(raw))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Mended(NamedTuple):
    """
    An event as the contract takes it.

    Attributes:
        written: its JSON.
        event: the same, read.
        changed: the fields that are not as they were sent.
    """

    written: bytes
    event: Event
    changed: frozenset[str]


def mend(raw: bytes) -> Mended | list[Problem]:
    r"""
    One event as the contract takes it, where only what it can do without must be changed for that.

        {"kind": "thumb", ..., "comment": "a\u0000b"}  ->  {..., "comment": "a\ufffdb"}, {"comment"}

    Args:
        raw: the event as it was sent; need not be valid JSON.

    Returns:
        The event, or what is wrong with it beyond that; nothing where it cannot be read at all.
    """
    value = readable(raw)
    if value is None:
        return []
    try:
        found = repair(value, lambda event: _validate(_write(event)))
    except ValidationError as error:
        return problems_of(error)
    written = _write(found.event)
    return Mended(written, _validate(written), found.changed)


def _validate(written: bytes) -> Event:
    return EVENT_ADAPTER.validate_json(written)


def _id_of(value: Any) -> str | None:
    event_id = value.get("event_id") if isinstance(value, dict) else None
    return event_id if isinstance(event_id, str) and _UUID.match(event_id) else None


def _walk(value: Any) -> Iterator[Problem]:
    # A stack instead of recursion: the depth is the sender's choice.
    stack: list[tuple[Any, tuple[str, ...]]] = [(value, ())]
    while stack:
        item, path = stack.pop()
        if isinstance(item, (dict, list)):
            if len(path) >= limits.MAX_DEPTH:
                yield Problem(_field(path[:1]), _TOO_DEEP)
                continue
            if isinstance(item, dict):
                yield from _key_problems(item, path)
            children = item.items() if isinstance(item, dict) else enumerate(item)
            stack.extend([(child, (*path, plain_name(key))) for key, child in children][::-1])
        elif (message := _scalar_problem(item)) is not None:
            yield Problem(_field(path), message)


def _key_problems(item: dict[str, Any], path: tuple[str, ...]) -> Iterator[Problem]:
    if isinstance(item, _Repeating):
        for key in sorted(item.repeated):
            yield Problem(_field((*path, plain_name(key))), _REPEATED)
    for key in item:
        message = _scalar_problem(key)
        if message is not None:
            yield Problem(_field(path), f"has a key that {message}")


def _scalar_problem(item: Any) -> str | None:
    if isinstance(item, str):
        return _text_problem(item)
    if isinstance(item, float) and not isfinite(item):
        return _NOT_FINITE
    if isinstance(item, int) and not _MIN_INT <= item <= _MAX_INT:
        return _TOO_BIG
    return None


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return "contains a NUL character"
    if _SURROGATE.search(text) is None:
        return None
    return "is not valid UTF-8" if _STRAY_BYTE.search(text) else "contains a lone surrogate (half a character)"


def plain_name(key: object) -> str:
    """A key, which is the sender's own words, where it looks like a name; else `?`."""
    text = str(key)
    return text if _PLAIN_NAME.fullmatch(text) else "?"


def _field(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeating = _Repeating(made)
    # Counted in one pass: looking each name up among the others takes the square of their number.
    counts = Counter(name for name, _ in pairs)
    repeating.repeated = frozenset(name for name, count in counts.items() if count > 1)
    return repeating


def _integer(digits: str) -> int:
    # Python refuses to read some thousands of digits, and takes the square of their number in time.
    return int(digits) if len(digits) <= 20 else _MAX_INT + 1


def _deep_field(text: str) -> str:
    """The top-level field at which nesting passes the limit."""
    depth = 0
    last = field = ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "[{":
            depth += 1
            if depth > limits.MAX_DEPTH:
                break
        elif token in "]}":
            depth -= 1
        elif depth == 1:
            field, last = (last, last) if token == ":" else (field, token[1:-1])
    return plain_name(field) if field else ""
