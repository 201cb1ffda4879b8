"""From a cell as it stands in a file to the value that an event needs, or a sentence that names the column."""

from __future__ import annotations

import math
from typing import Any, Final

from .refused import Refused

UP: Final = frozenset({"1", "+1", "up", "true", "yes", "good", "like", "liked", "positive", "thumbs_up", "👍"})
DOWN: Final = frozenset(
    {"0", "-1", "down", "false", "no", "bad", "dislike", "disliked", "negative", "thumbs_down", "👎"}
)


def identifier(value: Any, field: str) -> str:
    """
    An id as text.

        17  ->  "17"
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    # A number column with gaps reaches us as floats from some tools.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise Refused(field, "must be an id: text or a whole number")


def text(value: Any, field: str) -> str:
    """The value, which must be text."""
    if not isinstance(value, str):
        raise Refused(field, "must be text")
    return value


def number(value: Any, field: str) -> float:
    """
    A number, also where it stands as text.

        "4.5"  ->  4.5
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            raise Refused(field, "must be a finite number") from None
    elif isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            raise Refused(field, "must be a number") from None
    else:
        raise Refused(field, "must be a number")
    if not math.isfinite(found):
        raise Refused(field, "must be a finite number")
    return found


def whole(value: Any, field: str) -> int:
    """
    A whole number, also where it stands as text.

        "4"  ->  4
    """
    found = number(value, field)
    if not found.is_integer():
        raise Refused(field, "must be a whole number")
    return int(found)


def flag(value: Any, field: str) -> bool:
    """
    Yes or no.

        "true"  ->  True
    """
    word = label_word(value, field)
    if word in UP:
        return True
    if word in DOWN:
        return False
    raise Refused(field, "must be true or false")


def label_word(value: Any, field: str) -> str:
    """
    A label as one lower-case word.

        True  ->  "true";  -1.0  ->  "-1";  " Thumbs up "  ->  "thumbs_up"
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return value.strip().lower().replace(" ", "_")
    raise Refused(field, "must be a label: true or false, 1 or 0, or a word such as up or down")


def tags(value: Any, field: str) -> list[str]:
    """
    Reasons: a list of texts, or one text.

        "wrong"  ->  ["wrong"]
    """
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list):
        return [text(tag, field) for tag in value if tag not in (None, "")]
    raise Refused(field, "must be a list of texts")
