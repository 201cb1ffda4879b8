"""
Writes the rows in their order without ever holding or sorting their texts.

Where each line belongs in the file follows from the order and the lengths of the lines, so the
lines are read once, in whatever order the warehouse gives them, and each is put in its place.
Sorting a million rows of text takes several times the memory and the time (measured: 3.7 GB, 2.2x).
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator
from contextlib import closing
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

# Written pages of the file are let go of after this much, so that they do not count as our memory.
_RELEASE_BYTES: Final = 64 * 1024 * 1024
_ROWS_PER_BATCH: Final = 4_096
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


def write_jsonl(db: duckdb.DuckDBPyConnection, lines: str, order: Rows, path: Path, progress: Progress) -> None:
    """
    Write lines in order.

    Args:
        db: where to read.
        lines: SQL that gives columns `row` (0..n-1) and `line` (with its line break), in any order.
        order: row numbers in the order to write; shape (n,).
        path: the file to make.
        progress: told (what, done, all).
    """
    offsets, total = _layout(db, lines, order)
    with path.open("w+b") as file:
        file.truncate(total)
        if total:
            with closing(mmap.mmap(file.fileno(), total)) as memory:
                _scatter(db, lines, offsets, memory, progress)


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


def _layout(db: duckdb.DuckDBPyConnection, lines: str, order: Rows) -> tuple[npt.NDArray[np.int64], int]:
    """Where each row's line begins in the file, by row number, and the file's size."""
    found = db.execute(f"SELECT row, strlen(line) AS length FROM ({lines})").fetchnumpy()
    lengths = np.zeros(len(order), dtype=np.int64)
    lengths[np.asarray(found["row"])] = np.asarray(found["length"])
    ends = np.cumsum(lengths[order])
    offsets = np.empty(len(order), dtype=np.int64)
    offsets[order] = ends - lengths[order]
    return offsets, int(ends[-1]) if len(ends) else 0


def _scatter(
    db: duckdb.DuckDBPyConnection, lines: str, offsets: npt.NDArray[np.int64], memory: mmap.mmap, progress: Progress
) -> None:
    view = memoryview(memory)
    done = written = 0
    try:
        for batch in db.execute(f"SELECT row, line FROM ({lines})").to_arrow_reader(_ROWS_PER_BATCH):
            starts = offsets[batch.column(0).to_numpy()].tolist()
            ends, data = _buffers(batch.column(1))
            begin = ends[0]
            for start, end in zip(starts, ends[1:], strict=True):
                view[start : start + end - begin] = data[begin:end]
                begin = end
            done += len(starts)
            written += ends[-1] - ends[0]
            if written > _RELEASE_BYTES:
                written = 0
                memory.madvise(mmap.MADV_DONTNEED)
            progress("writing rows", done, len(offsets))
    finally:
        view.release()
    if done != len(offsets):
        raise ExportError(f"{done} of {len(offsets)} rows were written")


def _buffers(column: Any) -> tuple[list[int], memoryview]:
    # Arrow's own: where each text ends, and all texts one after the other.
    _, ends, data = column.buffers()
    width: npt.DTypeLike = np.int64 if pa.types.is_large_string(column.type) else np.int32
    bounds = np.frombuffer(ends, dtype=width)[column.offset : column.offset + len(column) + 1]
    return bounds.tolist(), memoryview(data).cast("B")


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
