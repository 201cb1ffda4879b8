"""`thumbline export`: training data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .context import settings_of


@click.command()
@click.argument("kind", type=click.Choice(["kto", "pairs"]))
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR", help="Folder to make."
)
@click.option(
    "--format", type=click.Choice(["jsonl", "parquet"]), default="jsonl", show_default=True, help="Format of the rows."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the order of the rows.")
@click.option("--project", metavar="NAME", help="Only this project's events.  [default: all]")
@click.option(
    "--consent",
    type=click.Choice(["granted", "any"]),
    default="granted",
    show_default=True,
    help="Whether to leave out what was not given for training.",
)
@click.option("--snapshot", type=int, metavar="LOAD", help="Only events up to this load.  [default: the last]")
@click.option(
    "--metadata/--no-metadata", default=True, show_default=True, help="Flat columns beside what the trainer reads."
)
@click.option("--allow-one-label", is_flag=True, help="kto: export although all rows have the same label.")
@click.pass_context
def export(context: click.Context, /, out: Path, **options: Any) -> None:
    """
    Write training data of one KIND into a folder that trainers load as it is.

    Exit status 3: nothing to export; 4: one label only.
    """
    from thumbline_warehouse.connect import ConnectionSettings
    from thumbline_warehouse.export import ExportOptions
    from thumbline_warehouse.export import export as run_export
    from thumbline_warehouse.urls import WarehouseUrl

    settings = settings_of(context)
    with _progress() as report:
        made = run_export(
            WarehouseUrl.parse(settings.warehouse_url),
            out,
            ExportOptions(**options),
            report,
            ConnectionSettings(memory_limit=settings.memory_limit),
        )
    click.echo(str(made.funnel), err=True)
    labels = made.manifest["labels"]
    if labels:
        click.echo(f"desirable {labels['desirable']:,}, undesirable {labels['undesirable']:,}", err=True)
    click.echo(out / made.manifest["files"][0]["path"])


class _progress:  # noqa: N801 - used like a function
    """A progress bar on standard error where that is a terminal; a callable for the export to report to."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> _progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=what, completed=done, total=total or None)
