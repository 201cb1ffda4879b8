"""
Columns that `datasets` would turn into times: it does so where all texts of a block of JSON Lines look like one.

    {"prompt": [{"role": "user", "content": "2026-11-24"}], ...} alone in a file  ->  "prompt.content"

Measured with datasets 5.2.0: the content becomes a datetime; with features in the card the text
"2026-11-24 00:00:00". Parquet keeps what was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

# What `datasets` reads at a time before it goes on to the end of the line.
_BLOCK: Final = 10 << 20
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}(:?\d{2}(:?\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?")


def dated_columns(path: Path, block: int = _BLOCK) -> set[str]:
    """
    Columns, also inside of messages, whose texts in some block of a JSON Lines file all look like times.

    Args:
        path: the file.
        block: bytes of a block.
    """
    found: set[str] = set()
    with path.open("rb") as file:
        start, size = 0, path.stat().st_size
        while start < size:
            found |= _dated(file, start, start + block)
            # As `datasets` does: so many bytes, and on to the end of the line.
            file.seek(start + block)
            file.readline()
            start = file.tell()
    return found


def _dated(file: BinaryIO, start: int, end: int) -> set[str]:
    file.seek(start)
    dated: set[str] = set()
    plain: set[str] = set()
    while file.tell() < end and (line := file.readline()):
        for name, text in _texts("", json.loads(line)):
            (dated if _DATE.fullmatch(text) else plain).add(name)
        if not dated - plain:
            # One text that is no time settles a column: nearly always the first line does.
            break
    return dated - plain


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(f"{name}.{key}".lstrip("."), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(name, inner)
