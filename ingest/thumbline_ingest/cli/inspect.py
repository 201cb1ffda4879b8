"""`thumbline query`, `attach`, `status` and `snapshot`: looking at what has landed."""

from __future__ import annotations

import csv
import json
import os
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table

from thumbline_warehouse.connect import ConnectionSettings, attach_statements, connect
from thumbline_warehouse.copy import copy_to_file
from thumbline_warehouse.urls import WarehouseUrl

from .context import settings_of
from .faults import outcome
from .settings import Settings
from .status import read_status


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="How to print the result; parquet goes to standard output as bytes.",
)
@click.pass_context
def query(context: click.Context, /, sql: str, format_: str) -> None:
    """Run one SQL query on the warehouse, read-only, also while events land."""
    settings = settings_of(context)
    with closing(_connect(settings)) as db:
        try:
            if format_ == "parquet":
                _print_parquet(db, sql)
                return
            result = db.execute(sql)
            names = [column[0] for column in result.description or []]
            rows = result.fetchall()
        except duckdb.Error as error:
            # What is wrong with the warehouse, before what is wrong with the query.
            raise outcome_of_query(error, settings) from error
    {"table": _print_table, "csv": _print_csv, "json": _print_json}[format_](names, rows)


@click.command()
@click.pass_context
def attach(context: click.Context) -> None:
    """Print the statements with which any DuckDB of the same version opens the warehouse read-only."""
    settings = settings_of(context)
    for statement in attach_statements(WarehouseUrl.parse(settings.warehouse_url), read_only=True):
        click.echo(f"{statement};")


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print it.",
)
@click.pass_context
def status(context: click.Context, /, format_: str) -> None:
    """Say what became of everything that was sent."""
    found = asdict(read_status(settings_of(context)))
    if format_ == "json":
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        click.echo(f"{name:>15}  {value:,}" if isinstance(value, int) else f"{name:>15}  {value}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def snapshot(context: click.Context, /, file: Path) -> None:
    """Copy the warehouse as it is now into a plain DuckDB FILE, with views and comments."""
    settings = settings_of(context)
    if file.exists():
        raise click.ClickException(f"{file} is there already")
    with closing(_connect(settings)) as db:
        load_id = copy_to_file(db, file)
    click.echo(f"{file}: all events up to load {load_id}")


def outcome_of_query(error: duckdb.Error, settings: Settings) -> Exception:
    """A fault of the warehouse, or else DuckDB's own words on the query."""
    return error if outcome(error, settings) is not None else click.ClickException(str(error))


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    return connect(
        WarehouseUrl.parse(settings.warehouse_url),
        read_only=True,
        settings=ConnectionSettings(memory_limit=settings.memory_limit),
    )


def _print_parquet(db: duckdb.DuckDBPyConnection, sql: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.parquet"
        db.execute(f"COPY ({sql.rstrip().rstrip(';')}) TO '{path}' (FORMAT parquet)")
        sys.stdout.buffer.write(path.read_bytes())


def _print_table(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    table = Table(*names)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", 240))
    Console(width=width, markup=False).print(table)


def _cell(value: Any) -> str:
    # Four digits are what a person reads; csv and json keep them all.
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_csv(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_safe_cell(value) for value in row] for row in rows)


def _print_json(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=str, ensure_ascii=False))


def _safe_cell(value: Any) -> Any:
    # A spreadsheet runs a cell that begins like a formula: a quote in front makes it text (OWASP ASVS 1.2.10).
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\0", "\r") else value
