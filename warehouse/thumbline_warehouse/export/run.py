"""One export, from the snapshot to the folder."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ..connect import ConnectionSettings, connect
from ..urls import WarehouseUrl
from . import manifest as papers
from .errors import ExportError, NothingToExport, OneLabelOnly
from .funnel import Funnel
from .kto import Kto
from .options import ExportOptions
from .order import Order, arrange
from .pairs import Pairs
from .recipe import Recipe, columns_of, line_sql
from .snapshot import use_snapshot
from .writer import File, Progress, describe, write_jsonl, write_parquet

# An export may run beside a loader on a small machine: DuckDB spills what does not fit.
_CONNECTION = ConnectionSettings(memory_limit="512MB")


@dataclass(frozen=True)
class Export:
    """
    A finished export.

    Attributes:
        folder: where it lies.
        manifest: what is in its `manifest.json`.
        funnel: what was left out.
    """

    folder: Path
    manifest: dict[str, Any]
    funnel: Funnel


def _silent(what: str, done: int, total: int) -> None:
    pass


def export(
    url: WarehouseUrl,
    out: str | Path,
    options: ExportOptions,
    progress: Progress = _silent,
    connection: ConnectionSettings = _CONNECTION,
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
        NothingToExport: no row is left.
        OneLabelOnly: all rows of a `kto` export have one label, and that was not allowed.
        ExportError: the folder exists, or the snapshot does not.
    """
    folder = Path(out)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise ExportError(f"{folder} is there already: choose another folder or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        work = Path(scratch) / "export"
        spill = ConnectionSettings(connection.memory_limit, connection.threads, str(Path(scratch) / "spill"))
        with closing(connect(url, read_only=True, settings=spill)) as db:
            made = _make(db, work, options, progress)
        work.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        shutil.move(work, folder)
    return Export(folder, made.manifest, made.funnel)


def _make(db: duckdb.DuckDBPyConnection, work: Path, options: ExportOptions, progress: Progress) -> Export:
    (work / "data").mkdir(parents=True)
    snapshot = use_snapshot(db, options.snapshot, options.project)
    # Named, so that asking for this snapshot later gives the same manifest.
    options = options.model_copy(update={"snapshot": snapshot.load_id})
    # Rows find their place by their number, whatever order DuckDB gives them in.
    db.execute("SET preserve_insertion_order = false")
    progress("choosing rows", 0, 0)
    recipe = _recipe(options)
    funnel = recipe.make_plan(db, options)
    _check(db, funnel, options)
    order = _arrange(db)
    columns = columns_of(recipe, options)
    file = _write(db, recipe, options, order, work, progress)
    facts = papers.Facts(options, snapshot, funnel, order, [file], columns)
    content = papers.manifest(db, facts)
    (work / "manifest.json").write_text(papers.to_json(content), encoding="utf-8")
    (work / "README.md").write_text(papers.card(content), encoding="utf-8")
    return Export(work, content, funnel)


def _recipe(options: ExportOptions) -> Recipe:
    return Kto() if options.kind == "kto" else Pairs()


def _check(db: duckdb.DuckDBPyConnection, funnel: Funnel, options: ExportOptions) -> None:
    if not funnel.rows:
        raise NothingToExport(f"no row is left:\n{funnel}")
    if options.kind == "kto" and not options.allow_one_label:
        (labels,) = db.execute("SELECT count(DISTINCT label) FROM plan").fetchone() or (0,)
        if labels < 2:
            raise OneLabelOnly("all rows have the same label; --allow-one-label exports them all the same")


def _arrange(db: duckdb.DuckDBPyConnection) -> Order:
    found = db.execute("SELECT row, shuffle, prompt_hash, completion_hash FROM plan ORDER BY row").fetchnumpy()
    shuffle, prompts, completions = (
        np.asarray(found[name]).astype(np.uint64) for name in ("shuffle", "prompt_hash", "completion_hash")
    )
    return arrange(shuffle, prompts, completions)


def _write(
    db: duckdb.DuckDBPyConnection, recipe: Recipe, options: ExportOptions, order: Order, work: Path, progress: Progress
) -> File:
    lines = f"SELECT p.row AS row, {line_sql(recipe, options)} AS line FROM {recipe.text_sources()}"
    jsonl = work / "data" / "train.jsonl"
    digest = write_jsonl(db, lines, order.rows, jsonl, progress)
    rows = len(order.rows)
    if options.format == "jsonl":
        return File("data/train.jsonl", rows, jsonl.stat().st_size, digest)
    parquet = work / "data" / "train-00000-of-00001.parquet"
    write_parquet(db, jsonl, columns_of(recipe, options), parquet, rows, progress)
    jsonl.unlink()
    return describe(parquet, work, rows)
