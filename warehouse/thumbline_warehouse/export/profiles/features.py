"""
What `datasets` is told of the columns, in the card's YAML, so that it does not guess them.

    {"prompt": "STRUCT(role VARCHAR, content VARCHAR)[]", "label": "BOOLEAN"}
    ->  [{"name": "prompt", "list": [{"name": "role", "dtype": "string"}, {"name": "content", "dtype": "string"}]},
         {"name": "label", "dtype": "bool"}]

Guessing goes wrong with JSON Lines: what is absent or null in the first 10 MB cannot come later, as tool calls
do. (Texts that all look like dates are rewritten all the same, to "2026-11-24 00:00:00"; Parquet keeps them.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from .base import Row
from .chat import IMAGES

_DTYPES: Final = {"VARCHAR": "string", "BIGINT": "int64", "DOUBLE": "float64", "BOOLEAN": "bool"}
_STRUCT: Final = re.compile(r"STRUCT\((?P<fields>.*)\)")


def features_of_types(types: Mapping[str, str]) -> list[Row] | None:
    """
    The features of columns, to go under `features` of the card's configuration (JSON is YAML).

    Args:
        types: field -> DuckDB type, of all fields of the rows in their order.

    Returns:
        The features; None where a field is free JSON, of which `datasets` has to make what it can.
    """
    if any("JSON" in type_ for type_ in types.values()):
        return None
    return [{"name": name, **_feature(type_)} for name, type_ in types.items()]


def _feature(type_: str) -> Row:
    if type_ == IMAGES:
        return {"list": "image"}
    if type_.endswith("[]"):
        return {"list": _item(_feature(type_[:-2]))}
    if struct := _STRUCT.fullmatch(type_):
        return {"struct": [{"name": name, **_feature(field)} for name, field in _fields(struct["fields"])]}
    return {"dtype": _DTYPES[type_]}


def _item(feature: Row) -> Any:
    # The YAML of `datasets` leaves out what a list's item must be.
    return feature.get("struct") or feature.get("dtype") or feature


def _fields(text: str) -> list[tuple[str, str]]:
    """`role VARCHAR, "type" STRUCT(a BIGINT, b BIGINT)[]` -> [("role", "VARCHAR"), ("type", "STRUCT(...)[]")]."""
    found, depth, start = [], 0, 0
    for place, letter in enumerate(f"{text},"):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            name, _, type_ = text[start:place].strip().partition(" ")
            found.append((name.strip('"'), type_))
            start = place + 1
    return found
