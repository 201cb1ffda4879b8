"""
Writes the rows in their order without ever holding or sorting their texts.

The lines are read once, in whatever order the warehouse gives them, and each goes to the part of
the file that it belongs to; then part after part is put in order and written. Sorting a million rows
of text in DuckDB takes several times the memory (measured: 3.7 GB).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..schema import literal, quoted
from .errors import ExportError
from .order import Rows

Progress = Callable[[str, int, int], None]

# Text of a part: up to four copies of one are in memory at a time.
_PART_BYTES: Final = 32 * 1024 * 1024
# Each part is an open file.
_MAX_PARTS: Final = 500
_ROWS_PER_BATCH: Final = 4_096
# Fixed, so that the same rows give the same bytes.
_ROW_GROUP: Final = 10_000


@dataclass(frozen=True)
class File:
    """
    A file that was written.

    Attributes:
        path: below the export's folder.
        split: train, validation or test.
        rows: rows in it.
        bytes: its size.
        sha256: its hash.
    """

    path: str
    split: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Target:
    """
    A file to write.

    Attributes:
        path: where.
        rows: numbers of its rows in the order to write; shape (n,).
    """

    path: Path
    rows: Rows


def write_ordered(db: duckdb.DuckDBPyConnection, lines: str, targets: Sequence[Target], progress: Progress) -> None:
    """
    Write lines in order.

    Args:
        db: where to read.
        lines: SQL that gives columns `row` and `line` (with its line break), in any order.
        targets: the files; each row number 0..n-1 is in one of them.
        progress: told (what, done, all).
    """
    order = np.concatenate([target.rows for target in targets])
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    ends = np.cumsum([len(target.rows) for target in targets])
    with tempfile.TemporaryDirectory(prefix="parts-", dir=targets[0].path.parent) as folder:
        parts = _distribute(db, lines, places, ends, Path(folder), progress)
        for target in targets:
            mine = parts[: -(-len(target.rows) // parts[0].capacity)]
            parts = parts[len(mine) :]
            _assemble(mine, target.path, progress, len(order))


def write_unordered(db: duckdb.DuckDBPyConnection, rows: str, path: Path) -> None:
    """
    Write rows as they come, by DuckDB itself.

    Args:
        db: where to read.
        rows: SQL whose columns are the fields, as JSON.
        path: the file to make.
    """
    db.execute(f"COPY ({rows}) TO {literal(str(path))} (FORMAT json)")


def write_all(file: FileIO, data: memoryview) -> None:
    """Write every byte: an unbuffered file may take fewer at once."""
    while data:
        data = data[file.write(data) :]


def write_parquet(
    db: duckdb.DuckDBPyConnection,
    jsonl: Path,
    types: dict[str, str],
    columns: dict[str, str],
    path: Path,
    progress: Progress,
) -> None:
    """
    Write the rows of a JSON Lines file as Parquet with an explicit schema and fixed row groups.

    Args:
        db: what reads the file.
        jsonl: the rows in order.
        types: field -> DuckDB type.
        columns: field -> SQL of its column, where it is not the field itself.
        path: the file to make.
        progress: told (what, done, all).
    """
    listed = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
    selected = ", ".join(f"{columns.get(name, quoted(name))} AS {quoted(name)}" for name in types)
    db.execute("SET preserve_insertion_order = true")
    reader = db.execute(
        f"SELECT {selected} FROM read_json({literal(str(jsonl))}, format = 'newline_delimited', "
        f"columns = {{{listed}}}, maximum_object_size = 104857600)"
    ).to_arrow_reader(_ROWS_PER_BATCH)
    schema = _not_null(reader.schema)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        done = 0
        for table in _row_groups(reader, schema):
            writer.write_table(table, row_group_size=_ROW_GROUP)
            done += table.num_rows
            progress("writing Parquet", done, 0)


def write_ids(db: duckdb.DuckDBPyConnection, named: str, order: Rows, path: Path) -> None:
    """Write the `example_id` of each row of a query on a line, in order: what names rows that do not carry it."""
    places = pa.table({"row": pa.array(order), "place": pa.array(np.arange(len(order)))})
    db.register("places", places)
    try:
        db.execute(
            f"COPY (SELECT example_id FROM ({named}) JOIN places USING (row) ORDER BY place) TO {literal(str(path))} (FORMAT csv, HEADER false)"
        )
    finally:
        db.unregister("places")


def describe(path: Path, folder: Path, split: str, rows: int) -> File:
    """Size and hash of a file."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(4 * 1024 * 1024):
            digest.update(block)
    return File(str(path.relative_to(folder)), split, rows, path.stat().st_size, digest.hexdigest())


class _Part:
    """
    The lines of one stretch of the file, in the order in which they came.

    Args:
        path: where their texts are kept meanwhile.
        capacity: how many lines it holds, but for the last part of a file.
    """

    def __init__(self, path: Path, capacity: int) -> None:
        self.path = path
        self.capacity = capacity
        self.places: list[npt.NDArray[np.int32]] = []
        self.lengths: list[npt.NDArray[np.int32]] = []
        self._file = path.open("wb", buffering=0)

    def add(self, places: npt.NDArray[np.int32], lengths: npt.NDArray[np.int32], texts: memoryview) -> None:
        """Keep lines: their places in the file, their lengths, and their texts one after the other."""
        self.places.append(places)
        self.lengths.append(lengths)
        write_all(self._file, texts)

    def close(self) -> None:
        """No more lines come."""
        self._file.close()

    def in_order(self) -> memoryview:
        """All texts in the order of their places."""
        places, lengths = np.concatenate(self.places), np.concatenate(self.lengths)
        ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(self.path.read_bytes())]
        texts = pa.Array.from_buffers(pa.large_binary(), len(places), buffers)
        self.path.unlink()
        return _texts(texts.take(pa.array(np.argsort(places))))[1]


def _distribute(
    db: duckdb.DuckDBPyConnection,
    lines: str,
    places: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
    folder: Path,
    progress: Progress,
) -> list[_Part]:
    """Read the lines once and put each to the part of its file that it belongs to; `ends` are the files' last places."""
    parts: list[_Part] = []
    edges = np.zeros(0, dtype=np.int64)
    done = 0
    db.execute("SET arrow_large_buffer_size = true")
    for batch in db.execute(f"SELECT row, line FROM ({lines})").to_arrow_reader(_ROWS_PER_BATCH):
        if not parts:
            capacity = max(1, _PART_BYTES * batch.num_rows // max(1, batch.column(1).nbytes), len(places) // _MAX_PARTS)
            edges = np.concatenate(
                [np.arange(first, last, capacity) for first, last in zip([0, *ends], ends, strict=False)]
            )
            parts = [_Part(folder / str(n), capacity) for n in range(len(edges))]
        mine = places[batch.column(0).to_numpy()]
        numbers = np.searchsorted(edges, mine, side="right") - 1
        # Sorted by part, so that each part's texts are one piece.
        sorting = np.argsort(numbers, kind="stable")
        mine, numbers = mine[sorting], numbers[sorting]
        bounds, texts = _texts(batch.column(1).take(pa.array(sorting)))
        cuts = np.searchsorted(numbers, np.arange(len(parts) + 1))
        for part, first, last in zip(parts, cuts, cuts[1:], strict=False):
            if first < last:
                lengths = np.diff(bounds[first : last + 1]).astype(np.int32)
                part.add(mine[first:last], lengths, texts[bounds[first] : bounds[last]])
        done += len(mine)
        progress("reading rows", done, len(places))
    for part in parts:
        part.close()
    if done != len(places):
        raise ExportError(f"{done} of {len(places)} rows were read")
    return parts


def _assemble(parts: list[_Part], path: Path, progress: Progress, rows: int) -> None:
    """Write the parts one after the other; one is put in order and one written at a time."""
    done = 0
    with path.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as ahead:
        ordered = ahead.submit(parts[0].in_order)
        for number, part in enumerate(parts):
            texts = ordered.result()
            if number + 1 < len(parts):
                ordered = ahead.submit(parts[number + 1].in_order)
            write_all(file, texts)
            done += sum(map(len, part.places))
            progress("writing rows", done, rows)


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
    return pa.schema([pa.field(field.name, _plain(field.type), nullable=False) for field in schema])


def _plain(type_: pa.DataType) -> pa.DataType:
    """A type without the large variants that DuckDB is asked for: `datasets` 4.0 cannot train on those."""
    if pa.types.is_large_string(type_):
        return pa.string()
    if pa.types.is_large_binary(type_):
        return pa.binary()
    if pa.types.is_large_list(type_) or pa.types.is_list(type_):
        return pa.list_(_plain(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in type_])
    return type_
