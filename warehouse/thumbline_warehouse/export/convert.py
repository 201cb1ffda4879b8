"""
From canonical rows to a profile's: in Python, row by row, checked against the reader's own rules.

Text-only rows for TRL are canonical already and skip this; SQL has put them together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from .errors import ExportError
from .profiles import Profile, ProfileError, Row, Settings

_ROWS_PER_BATCH: Final = 2_048


def read_lines(path: Path) -> Iterator[Row]:
    """The rows of a JSON Lines file, one after the other."""
    # newline: only "\n" ends a row; texts hold U+2028 and others unescaped.
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)


def convert_lines(source: Path, target: Path, profile: Profile, settings: Settings) -> None:
    """
    Rewrite canonical rows as a profile's, as JSON Lines or as one JSON array.

    Raises:
        ExportError: a row is not what the reader takes; each was checked when it was chosen.
    """
    begin, between, end = ("[\n", ",\n", "\n]\n") if settings.format == "json" else ("", "\n", "\n")
    with target.open("w", encoding="utf-8", newline="\n") as out:
        out.write(begin)
        for number, example in enumerate(read_lines(source)):
            row = profile.convert(example, settings)
            problems = profile.problems(row, settings)
            if problems:
                raise ExportError(f"row {number} is not what {profile.name} reads: {problems[0]}")
            out.write((between if number else "") + json.dumps(row, ensure_ascii=False, separators=(",", ":")))
        out.write(end)


def find_refused(
    db: duckdb.DuckDBPyConnection, lines: str, profile: Profile, settings: Settings
) -> dict[str, list[int]]:
    """
    Rows that the profile cannot carry or its reader would mangle.

    Args:
        db: where to read.
        lines: SQL that gives `row` and `line`.
        profile: the reader.
        settings: how rows will be written.

    Returns:
        Problem -> numbers of the rows that have it.
    """
    refused: dict[str, list[int]] = {}
    for batch in db.execute(f"SELECT row, line FROM ({lines})").to_arrow_reader(_ROWS_PER_BATCH):
        for number, line in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            problem = _problem(json.loads(line), profile, settings)
            if problem:
                refused.setdefault(problem, []).append(number)
    return refused


def refuse(db: duckdb.DuckDBPyConnection, refused: dict[str, list[int]]) -> None:
    """Leave refused rows of `plan` out."""
    numbers = pa.table({"row": pa.array([n for rows in refused.values() for n in rows], pa.int64())})
    db.register("refused", numbers)
    try:
        db.execute(
            "UPDATE rows SET reason = 'reader' WHERE row_key IN (SELECT row_key FROM plan SEMI JOIN refused USING (row))"
        )
    finally:
        db.unregister("refused")


def for_split(settings: Settings, split: str) -> Settings:
    """Settings for the rows of one split."""
    return replace(settings, split=split)


def _problem(example: Row, profile: Profile, settings: Settings) -> str:
    try:
        problems = profile.problems(profile.convert(example, settings), settings)
    except ProfileError as error:
        return str(error)
    return problems[0] if problems else ""
