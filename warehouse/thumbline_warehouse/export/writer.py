"""
Writes the rows in their order without ever holding or sorting their texts.

The lines are read once, in whatever order the warehouse gives them, and each goes to the part of
the file that it belongs to; then part after part is put in order and written. Sorting a million rows
of text in DuckDB takes several times the memory (measured: 3.7 GB).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import ExportError
from .order import Rows

Progress = Callable[[str, int, int], None]

# Text of a part: up to four copies of one are in memory at a time.
_PART_BYTES: Final = 32 * 1024 * 1024
_ROWS_PER_BATCH: Final = 16_384
# Fixed, so that the same rows give the same bytes.
_ROW_GROUP: Final = 10_000


@dataclass(frozen=True)
class File:
    """
    A file that was written.

    Attributes:
        path: below the export's folder.
        rows: rows in it.
        bytes: its size.
        sha256: its hash.
    """

    path: str
    rows: int
    bytes: int
    sha256: str


def write_jsonl(db: duckdb.DuckDBPyConnection, lines: str, order: Rows, path: Path, progress: Progress) -> str:
    """
    Write lines in order.

    Args:
        db: where to read.
        lines: SQL that gives columns `row` (0..n-1) and `line` (with its line break), in any order.
        order: row numbers in the order to write; shape (n,).
        path: the file to make.
        progress: told (what, done, all).

    Returns:
        SHA-256 of the file, in hex.
    """
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    with tempfile.TemporaryDirectory(prefix="parts-", dir=path.parent) as folder:
        parts = _distribute(db, lines, places, Path(folder), progress)
        return _assemble(parts, path, progress, len(order))


def write_parquet(
    db: duckdb.DuckDBPyConnection, jsonl: Path, columns: dict[str, str], path: Path, rows: int, progress: Progress
) -> None:
    """
    Write the rows of a JSON Lines file as Parquet with an explicit schema and fixed row groups.

    Args:
        db: what reads the file.
        jsonl: the rows in order.
        columns: column -> DuckDB type.
        path: the file to make.
        rows: how many there are.
        progress: told (what, done, all).
    """
    listed = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    db.execute("SET preserve_insertion_order = true")
    reader = db.execute(
        f"SELECT * FROM read_json('{str(jsonl).replace(chr(39), chr(39) * 2)}', format = 'newline_delimited', "
        f"columns = {{{listed}}}, maximum_object_size = 104857600)"
    ).to_arrow_reader(_ROWS_PER_BATCH)
    schema = _not_null(reader.schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        done = 0
        for table in _row_groups(reader, schema):
            writer.write_table(table, row_group_size=_ROW_GROUP)
            done += table.num_rows
            progress("writing Parquet", done, rows)


def describe(path: Path, folder: Path, rows: int) -> File:
    """Size and hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(4 * 1024 * 1024):
            digest.update(block)
    return File(str(path.relative_to(folder)), rows, path.stat().st_size, digest.hexdigest())


class _Part:
    """
    The lines of one stretch of the file, in the order in which they came.

    Args:
        path: where their texts are kept meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: list[npt.NDArray[np.int64]] = []
        self.lengths: list[npt.NDArray[np.int64]] = []
        self._file = path.open("wb", buffering=0)

    def add(self, places: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], texts: memoryview) -> None:
        """Keep lines: their places in the file, their lengths, and their texts one after the other."""
        self.places.append(places)
        self.lengths.append(lengths)
        self._file.write(texts)

    def close(self) -> None:
        """No more lines come."""
        self._file.close()

    def in_order(self) -> memoryview:
        """All texts in the order of their places."""
        places, lengths = np.concatenate(self.places), np.concatenate(self.lengths)
        ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(self.path.read_bytes())]
        texts = pa.Array.from_buffers(pa.large_binary(), len(places), buffers)
        self.path.unlink()
        return _texts(texts.take(pa.array(np.argsort(places))))[1]


def _distribute(
    db: duckdb.DuckDBPyConnection, lines: str, places: npt.NDArray[np.int64], folder: Path, progress: Progress
) -> list[_Part]:
    """Read the lines once and put each to the part of the file that it belongs to."""
    parts: list[_Part] = []
    done = rows_per_part = 0
    db.execute("SET arrow_large_buffer_size = true")
    for batch in db.execute(f"SELECT row, line FROM ({lines})").to_arrow_reader(_ROWS_PER_BATCH):
        if not parts:
            rows_per_part = max(1, _PART_BYTES * batch.num_rows // max(1, batch.column(1).nbytes))
            parts = [_Part(folder / str(n)) for n in range(-(-len(places) // rows_per_part))]
        mine = places[batch.column(0).to_numpy()]
        # Sorted by part, so that each part's texts are one piece.
        sorting = np.argsort(mine // rows_per_part, kind="stable")
        mine = mine[sorting]
        ends, texts = _texts(batch.column(1).take(pa.array(sorting)))
        cuts = np.searchsorted(mine // rows_per_part, np.arange(len(parts) + 1))
        for part, first, last in zip(parts, cuts, cuts[1:], strict=False):
            if first < last:
                part.add(mine[first:last], np.diff(ends[first : last + 1]), texts[ends[first] : ends[last]])
        done += len(mine)
        progress("reading rows", done, len(places))
    for part in parts:
        part.close()
    if done != len(places):
        raise ExportError(f"{done} of {len(places)} rows were read")
    return parts


def _assemble(parts: list[_Part], path: Path, progress: Progress, rows: int) -> str:
    """Write the parts one after the other; one is put in order, one hashed and one written at a time."""
    digest = hashlib.sha256()
    done = 0
    with path.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:
        written: Future[int] | None = None
        ordered = ahead.submit(parts[0].in_order)
        for number, part in enumerate(parts):
            texts = ordered.result()
            if number + 1 < len(parts):
                ordered = ahead.submit(parts[number + 1].in_order)
            if written is not None:
                written.result()
            written = behind.submit(file.write, texts)
            digest.update(texts)
            done += sum(map(len, part.places))
            progress("writing rows", done, rows)
        if written is not None:
            written.result()
    return digest.hexdigest()


def _texts(column: Any) -> tuple[npt.NDArray[np.int64], memoryview]:
    """Arrow's own: where each text begins and the last one ends, and all texts one after the other."""
    _, ends, data = column.buffers()
    bounds = np.frombuffer(ends, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    return bounds, memoryview(data).cast("B")[: int(bounds[-1])]


def _row_groups(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """The reader's rows in tables of exactly one row group, but for the last."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        while count + batch.num_rows >= _ROW_GROUP:
            missing = _ROW_GROUP - count
            yield pa.Table.from_batches([*waiting, batch.slice(0, missing)]).cast(schema)
            batch, waiting, count = batch.slice(missing), [], 0
        if batch.num_rows:
            waiting.append(batch)
            count += batch.num_rows
    if count:
        yield pa.Table.from_batches(waiting).cast(schema)


def _not_null(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(False) for field in schema])
