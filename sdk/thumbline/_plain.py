"""
Values as JSON can hold them: each gets the nearest plain form, and what has none is left out.

    datetime, date, time       ISO 8601 text               UUID, path, IP address     their text
    timedelta                  seconds                     bytes                      UTF-8 text, else base64
    Decimal                    a number where it is exact  Enum                       its value
    dataclass, attrs, pydantic an object                   set, tuple, array          a list
    NUL, half a character      U+FFFD in their place       integers beyond 64 bits    their digits as text
    NaN, infinity, functions, other objects                left out
"""

from __future__ import annotations

import base64
import math
import os
import sys
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1
"""What collector, loader and warehouse hold as an integer."""

# Python takes the square of the digits' number to write them, and refuses beyond some thousands.
_MAX_BITS: Final = 4_096
# Values in one field: above what fits into an event, and low enough to end soon for what refers to itself.
_MAX_VALUES: Final = 500_000
# Classes of the standard library whose text says all that they are.
_SAID_BY_TEXT: Final = frozenset({"ipaddress", "zoneinfo", "fractions"})


class LeftOut:
    """In place of a value that has no plain form."""

    def __repr__(self) -> str:
        return "LEFT_OUT"


LEFT_OUT: Final = LeftOut()


class Plain:
    """A value that was made plain already: what was there could have changed until the event is written."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def plain_text(text: str) -> str:
    r"""
    Text that UTF-8 and every database can hold: U+FFFD in place of NUL and of half a character.

    Two halves that belong together become the character that they are.

        "a\0b"           ->  "a\ufffdb"
        "\ud83d\ude00"   ->  "\U0001f600"
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


class Plainer:
    """
    Makes one field's value plain.

    Attributes:
        changed: whether something is not as it was given. A tuple that becomes a list, and any other mapping that
            becomes a dict, are as they were.
    """

    def __init__(self) -> None:
        self.changed = False
        self._left = _MAX_VALUES

    def __call__(self, value: Any, depth: int) -> Any:
        """
        The value as JSON can hold it; `LEFT_OUT` where it cannot.

        Args:
            value: anything.
            depth: levels of nesting that there is room for.
        """
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._text(value)
        if kind is Plain:
            self.changed = True
            return value.value
        try:
            made = self._number(value) if kind is int or kind is float else self._other(value, depth)
        except Exception:  # noqa: BLE001 - an object of the host's; whatever it raises, it has no plain form
            made = LEFT_OUT
        if made is LEFT_OUT:
            self.changed = True
        return made

    def _text(self, value: str) -> str:
        made = plain_text(value)
        self.changed |= made != value
        return made

    def _number(self, value: int | float) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else LEFT_OUT
        if MIN_INT <= value <= MAX_INT:
            return value
        self.changed = True
        return str(value) if value.bit_length() <= _MAX_BITS else LEFT_OUT

    def _other(self, value: Any, depth: int) -> Any:
        if depth == 0 or self._left < 0:
            return LEFT_OUT
        if isinstance(value, Mapping):
            return self._dict(value, depth)
        if isinstance(value, tuple | list):
            return self._list(value, depth)
        scalar = _scalar(value)
        if scalar is not LEFT_OUT:
            self.changed = True
            return self(scalar, depth)
        made = _fields(value)
        if made is not LEFT_OUT:
            self.changed = True
            return self(made, depth)
        if isinstance(value, Collection):
            self.changed = True
            return self._list(_in_order(value) if isinstance(value, AbstractSet) else value, depth)
        return LEFT_OUT

    def _dict(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for given, item in value.items():
            key = plain_key(given)
            self.changed |= key is not given and key != given
            inner = self(item, depth - 1) if key is not None and key not in made else LEFT_OUT
            if key is None or inner is LEFT_OUT:
                self.changed = True
            else:
                made[key] = inner
        return made

    def _list(self, value: Collection[Any], depth: int) -> list[Any]:
        made = [self(item, depth - 1) for item in value]
        # A null in its place: the others keep theirs.
        return [None if item is LEFT_OUT else item for item in made]


def plain_key(key: Any) -> str | None:
    """
    An object's key as text; None where it has none.

        17  ->  "17";  None  ->  "null";  (1, "a")  ->  "1,a"
    """
    if isinstance(key, tuple):
        parts = [plain_key(part) for part in key]
        return None if None in parts else ",".join(str(part) for part in parts)
    made = Plainer()(key, 1)
    if made is None or isinstance(made, bool):
        return {None: "null", True: "true", False: "false"}[made]
    if isinstance(made, int | float):
        return repr(made)
    return made if isinstance(made, str) else None


def _scalar(value: Any) -> Any:
    """What is one value to Python: as text or a number."""
    if isinstance(value, str) and not _is_a(value, "enum", "Enum"):
        return "".join(value)  # of a class of its own: its characters
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if _is_a(value, "enum", "Enum"):
        return value.value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if _is_a(value, "datetime", "timedelta"):
        return value.total_seconds()
    if _is_a(value, "datetime", "date") or _is_a(value, "datetime", "time"):
        # Pandas' NaT is a datetime that equals nothing.
        return value.isoformat() if value == value else LEFT_OUT
    if _is_a(value, "decimal", "Decimal"):
        return _decimal(value)
    if _is_a(value, "uuid", "UUID"):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if type(value).__module__.partition(".")[0] in _SAID_BY_TEXT:
        return str(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy, torch and their like
        return value.tolist()
    return LEFT_OUT


def _is_a(value: Any, module: str, name: str) -> bool:
    # Not imported for it: whoever has such a value has the module, and an import on the way of an event would be slow.
    known = sys.modules.get(module)
    return known is not None and isinstance(value, getattr(known, name))


def _fields(value: Any) -> Any:
    """What is made of named fields, as a dict."""
    if isinstance(value, type):
        return LEFT_OUT
    if hasattr(value, "model_dump"):
        return value.model_dump()
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is None:
        names = [field.name for field in getattr(type(value), "__attrs_attrs__", ())]
    return {name: getattr(value, name) for name in names} if names else LEFT_OUT


def _bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _decimal(value: Any) -> Any:
    if not value.is_finite():
        return LEFT_OUT
    number = float(value)
    is_exact = math.isfinite(number) and type(value)(repr(number)) == value
    return number if is_exact else str(value)


def _in_order(value: AbstractSet[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return list(value)
