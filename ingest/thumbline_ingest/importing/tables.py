"""CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from .refused import NotImportable, Refused
from .rows import Row

if TYPE_CHECKING:
    from _csv import Reader as _CsvReader

_MAX_CELL_CHARS: Final = 16 * 1024 * 1024
# Rows that are made into Python objects at a time.
_ROWS: Final = 1_000


def csv_columns(file: IO[bytes]) -> list[str]:
    """The header of a CSV file; empty where the file is."""
    with _opened(file) as reader:
        return next(reader, [])


def read_csv(file: IO[bytes], name: str) -> Iterator[Row]:
    r"""
    The rows of a CSV file with a header; `,`, `;` or a tab between cells, whichever the header has most of.

    An empty cell is a missing value. A cell that holds a JSON list of messages is read as one.

        b"prompt,label\nHi,1\n"  ->  Row("f:2", {"prompt": "Hi", "label": "1"})
    """
    with _opened(file) as reader:
        header = next(reader, [])
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Row(f"{name}:{reader.line_num}", problem=Refused("", f"is not valid CSV: {error}"))
                continue
            if cells is None:
                return
            if not cells:
                continue
            place = f"{name}:{reader.line_num}"
            if len(cells) != len(header):
                yield Row(place, problem=Refused("", f"has {len(cells)} cells, but there are {len(header)} columns"))
                continue
            yield Row(place, {column: _cell(cell) for column, cell in zip(header, cells, strict=True)})


def parquet_columns(path: Path) -> list[str]:
    """
    The columns of a Parquet file.

    Raises:
        NotImportable: it is none.
    """
    with _parquet(path) as file:
        return list(file.schema_arrow.names)


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file, some at a time."""
    number = 0
    with _parquet(path) as file:
        batches = file.iter_batches(batch_size=_ROWS)
        while True:
            try:
                batch = next(batches, None)
                rows = [] if batch is None else batch.to_pylist()
            except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError, OverflowError) as error:
                why = f"and what follows cannot be read: {type(error).__name__}"
                yield Row(f"{path.name} row {number + 1}", problem=Refused("", why))
                return
            if batch is None:
                return
            for value in rows:
                number += 1
                yield Row(f"{path.name} row {number}", value)


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise NotImportable(f"{path}: is no Parquet file that can be read ({type(error).__name__})") from error


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[_CsvReader]:
    # Bytes that are no UTF-8 become half characters, which the contract's check finds and names.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        first = text.readline()
        yield csv.reader(_chain(first, text), delimiter=max(",;\t", key=first.count))
    finally:
        # The file is the caller's to close.
        text.detach()


def _chain(first: str, rest: IO[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _cell(cell: str) -> Any:
    if not cell.startswith("["):
        return cell or None
    # A table has no lists of its own: messages stand in a cell as JSON. Any other JSON is what somebody wrote.
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return found if found and all(map(_is_message, found)) else cell


def _is_message(one: Any) -> bool:
    return isinstance(one, dict) and bool(one.keys() & {"role", "from"}) and bool(one.keys() & {"content", "value"})
