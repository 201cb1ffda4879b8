"""Opens a file of any of the formats: by what it begins with, not by what it is called."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias, cast

from .jsontext import decode, read_lines, read_values
from .refused import NotImportable, Refused
from .rows import Row
from .tables import csv_columns, parquet_columns, read_csv, read_parquet

Format: TypeAlias = Literal["jsonl", "json", "csv", "parquet"]

_HEAD_BYTES: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_CUT_SHORT: Final = (EOFError, gzip.BadGzipFile, zlib.error, OSError)


@dataclass(frozen=True)
class InputFile:
    """
    A file and how to read it.

    Attributes:
        path: the file.
        format: its format; None where it is empty.
        columns: of a table; None for JSON, whose records may differ.
    """

    path: Path
    format: Format | None
    columns: tuple[str, ...] | None

    @classmethod
    def open(cls, path: Path, format_: Format | None = None) -> InputFile:
        """
        Look at a file's beginning.

        Raises:
            NotImportable: its format cannot be told, or it is not what it seems.
        """
        head = _head(path)
        found = format_ or _format_of(path, head)
        if found == "parquet":
            if head[:4] != _PARQUET:
                raise NotImportable(f"{path}: is no Parquet file")
            return cls(path, found, tuple(parquet_columns(path)))
        if found == "csv":
            with _opened(path) as file:
                return cls(path, found, tuple(csv_columns(file)))
        return cls(path, found, None)

    def rows(self) -> Iterator[Row]:
        """What is in it, value by value; never more than one value in memory, or some rows of a table."""
        if self.format is None:
            return
        if self.format == "parquet":
            yield from read_parquet(self.path)
            return
        read = {"csv": read_csv, "jsonl": read_lines, "json": read_values}[self.format]
        try:
            with _opened(self.path) as file:
                yield from read(file, self.path.name)
        except _CUT_SHORT:
            yield Row(
                self.path.name, problem=Refused("", "the rest of the file cannot be read: it is cut short or broken")
            )


def _head(path: Path) -> bytes:
    try:
        with _opened(path) as file:
            return file.read(_HEAD_BYTES)
    except _CUT_SHORT as error:
        raise NotImportable(f"{path}: cannot be read ({type(error).__name__})") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        if raw.read(2) == _GZIP:
            raw.seek(0)
            with gzip.open(raw) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            raw.seek(0)
            yield raw


def _format_of(path: Path, head: bytes) -> Format | None:
    if head[:4] == _PARQUET:
        return "parquet"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    body = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not body:
        return None
    if ".csv" in suffixes or ".tsv" in suffixes:
        return "csv"
    if ".jsonl" in suffixes or ".ndjson" in suffixes:
        return "jsonl"
    if body[:1] == b"[":
        return "json"
    if body[:1] == b"{":
        return "jsonl" if _is_json(body.partition(b"\n")[0]) else "json"
    raise NotImportable(f"{path}: neither JSON, CSV nor Parquet by its name or beginning; say which with --format")


def _is_json(line: bytes) -> bool:
    try:
        decode(line)
    except Refused:
        return False
    return True
