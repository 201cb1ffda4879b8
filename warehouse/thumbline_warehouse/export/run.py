"""One export, from the snapshot to the folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from ..connect import ConnectionSettings, connect
from ..urls import WarehouseUrl
from . import manifest as papers
from .convert import convert_lines, for_split
from .dates import dated_columns
from .errors import BadOption, ExportError
from .exported import Export
from .funnel import Funnel
from .hashing import Follower
from .options import ExportOptions
from .order import Order, Rows, arrange
from .planning import Planned, check, columns_of, forget, lines_of, plan
from .recipe import metadata_types, named_rows
from .splits import NAMES
from .statistics import statistics
from .writer import File, Progress, Target, describe, write_ids, write_ordered, write_parquet, write_unordered

# An export may run beside a loader on a small machine: DuckDB spills what does not fit.
CONNECTION = ConnectionSettings(memory_limit="512MB")

# Share of its memory that DuckDB keeps while the order is worked out.
_WHILE_ORDERING = 0.5


@dataclass(frozen=True)
class _Work:
    """What the steps of one export share."""

    db: duckdb.DuckDBPyConnection
    planned: Planned
    folder: Path
    progress: Progress


def _silent(what: str, done: int, total: int) -> None:
    pass


def export(
    url: WarehouseUrl,
    out: str | Path,
    options: ExportOptions,
    progress: Progress = _silent,
    connection: ConnectionSettings = CONNECTION,
) -> Export:
    """
    Export one kind into a folder that does not exist yet; it appears whole or not at all.

    The same snapshot and options give the same bytes.

    Args:
        url: the warehouse.
        out: the folder to make.
        options: what to export.
        progress: told (what, rows done, rows in all) on the way.
        connection: what DuckDB may use.

    Raises:
        BadOption: options that do not go together.
        NothingToExport: no row is left.
        OneLabelOnly: all rows of a `kto` export have one label, and that was not allowed.
        ExportError: the folder exists, or the snapshot does not.
    """
    folder = Path(out)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise ExportError(f"{folder} is there already: choose another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch) / "export"
        spill = ConnectionSettings(connection.memory_limit, connection.threads, str(Path(scratch) / "spill"))
        with closing(connect(url, read_only=True, settings=spill)) as db:
            progress("choosing rows", 0, 0)
            planned = plan(db, options)
            check(db, planned)
            _write(_Work(db, planned, made, progress))
        made.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)
    return Export(folder)


@contextmanager
def opened(url: WarehouseUrl, connection: ConnectionSettings = CONNECTION) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that may read the warehouse and spill; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="thumbline-plan-") as scratch:
        spill = ConnectionSettings(connection.memory_limit, connection.threads, scratch)
        with closing(connect(url, read_only=True, settings=spill)) as db:
            yield db


@contextmanager
def planned_export(
    url: WarehouseUrl, options: ExportOptions, connection: ConnectionSettings = CONNECTION
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Planned]]:
    """The rows that an export would have, and the connection with their tables; nothing is written."""
    with opened(url, connection) as db:
        yield db, plan(db, options)


def preview(url: WarehouseUrl, options: ExportOptions, connection: ConnectionSettings = CONNECTION) -> Funnel:
    """What an export would leave out, without writing anything."""
    with planned_export(url, options, connection) as (_, planned):
        return planned.funnel


def _write(work: _Work) -> None:
    (work.folder / "data").mkdir(parents=True)
    # Before the texts come: they need the memory that the tables of the plan take.
    found = statistics(work.db, work.planned.options, work.planned.recipe, work.planned.funnel)
    forget(work.db)
    orders = _orders(work.db, work.planned)
    hashed = _write_canonical(work, orders)
    files = [_finish(work, split, len(order.rows), hashed[split]) for split, order in orders.items()]
    if not _rows_have_ids(work.planned):
        ids = work.folder / "example_ids"
        ids.mkdir()
        for split, order in orders.items():
            write_ids(work.db, named_rows(work.planned.recipe, "plan"), order.rows, ids / f"{split}.txt")
    content = papers.manifest(work.db, papers.Facts(work.planned, orders, files, _columns(work.planned), found))
    texts = papers.papers_of(work.planned, content)
    for path, text in {"manifest.json": papers.to_json(content), "README.md": papers.card(content), **texts}.items():
        (work.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / path).write_text(text, encoding="utf-8")


@contextmanager
def _less_memory(db: duckdb.DuckDBPyConnection, share: float) -> Iterator[None]:
    """Part of DuckDB's memory goes to what Python holds meanwhile."""
    (limit,) = db.execute("SELECT current_setting('memory_limit')").fetchone() or ("",)
    size, unit = limit.split()
    db.execute(f"SET memory_limit = '{float(size) * share:.1f} {unit}'")
    try:
        yield
    finally:
        db.execute(f"SET memory_limit = '{limit}'")


def _orders(db: duckdb.DuckDBPyConnection, planned: Planned) -> dict[str, Order]:
    """Split -> the order of its rows; splits without rows are left out: `datasets` refuses an empty file."""
    present = [row[0] for row in db.execute("SELECT DISTINCT split FROM plan ORDER BY split").fetchall()]
    return {NAMES[split]: _arrange(db, planned, split) for split in present}


def _arrange(db: duckdb.DuckDBPyConnection, planned: Planned, split: int) -> Order:
    if planned.options.output.order == "none":
        (count,) = db.execute(f"SELECT count(*) FROM plan WHERE split = {split}").fetchone() or (0,)
        return Order(np.arange(count, dtype=np.int32), None, None)
    with _less_memory(db, _WHILE_ORDERING):
        return _shuffled(db, planned, split)


def _shuffled(db: duckdb.DuckDBPyConnection, planned: Planned, split: int) -> Order:
    # Half of each hash: it halves the memory, and a chance likeness only keeps two rows apart.
    found = db.execute(
        "SELECT row::INTEGER AS row, shuffle, (prompt_hash >> 32)::UINTEGER AS prompts, (coalesce(completion_hash, 0) >> 32)::UINTEGER AS completions, "
        f"label FROM plan WHERE split = {split}"
    ).fetchnumpy()
    numbers: Rows = np.asarray(found["row"], dtype=np.int32)
    prompts, completions = (np.asarray(found[name], dtype=np.uint32) for name in ("prompts", "completions"))
    labels = np.asarray(found["label"], dtype=np.bool_) if planned.options.kind == "kto" else None
    order = arrange(np.asarray(found["shuffle"], dtype=np.uint64), prompts, completions, labels)
    return Order(numbers[order.rows], order.equal_completions, order.equal_prompts)


def _write_canonical(work: _Work, orders: dict[str, Order]) -> dict[str, Follower]:
    """Write the canonical rows, a file a split; gives the files' hashes."""
    data = work.folder / "data"
    followers = {split: Follower(data / f"{split}.jsonl") for split in orders}
    if work.planned.options.output.order == "none":
        for split, order in orders.items():
            work.progress(f"writing {split}", 0, len(order.rows))
            rows = f"{work.planned.recipe.text_sources()} WHERE p.split = {NAMES.index(split)}"
            with followers[split]:
                write_unordered(work.db, f"SELECT {columns_of(work.planned)} FROM {rows}", data / f"{split}.jsonl")
        return followers
    targets = [Target(data / f"{split}.jsonl", order.rows) for split, order in orders.items()]
    with ExitStack() as stack:
        for follower in followers.values():
            stack.enter_context(follower)
        write_ordered(work.db, lines_of(work.planned), targets, work.progress)
    return followers


def _finish(work: _Work, split: str, rows: int, hashed: Follower) -> File:
    """Turn a split's canonical rows into the profile's, in the format asked for."""
    planned = work.planned
    path = work.folder / "data" / f"{split}.jsonl"
    if not planned.profile.is_plain(planned.settings):
        work.progress("converting rows", 0, rows)
        canonical = path.rename(path.with_suffix(".canonical"))
        path = path.with_suffix(f".{'json' if planned.settings.format == 'json' else 'jsonl'}")
        convert_lines(canonical, path, planned.profile, for_split(planned.settings, split))
        canonical.unlink()
    if planned.settings.format == "parquet":
        lines, path = path, path.with_name(f"{split}-00000-of-00001.parquet")
        columns = planned.profile.columns(planned.settings)
        write_parquet(work.db, lines, _columns(planned), columns, path, work.progress)
        lines.unlink()
    elif planned.settings.format == "jsonl" and (dated := dated_columns(path)):
        raise BadOption(
            f"format: all texts of {', '.join(sorted(dated))} look like times, and would be read as such from JSON Lines; "
            "use --format parquet, or --no-metadata where it is metadata"
        )
    if path.suffix == ".jsonl" and work.planned.profile.is_plain(work.planned.settings):
        return File(str(path.relative_to(work.folder)), split, rows, hashed.bytes, hashed.sha256)
    return describe(path, work.folder, split, rows)


def _columns(planned: Planned) -> dict[str, str]:
    metadata = metadata_types(planned.recipe, planned.options) if planned.profile.keeps_metadata else {}
    return planned.profile.types(planned.settings) | metadata


def _rows_have_ids(planned: Planned) -> bool:
    return planned.options.output.metadata and planned.profile.keeps_metadata
