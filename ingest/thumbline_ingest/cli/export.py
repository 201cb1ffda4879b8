"""`thumbline export`: training data, and what can be asked of a finished export."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .context import settings_of
from .export_options import flags, manifest_options, options_from

if TYPE_CHECKING:
    from thumbline_warehouse.connect import ConnectionSettings
    from thumbline_warehouse.export import Export, ExportOptions
    from thumbline_warehouse.export.options import Kind
    from thumbline_warehouse.urls import WarehouseUrl

_KINDS: Final[dict[Kind, str]] = {
    "kto": "One row a rated answer, desirable or not.",
    "pairs": "One row a preference: chosen and rejected answer to one prompt.",
    "reward": "Pairs with a margin, for reward models.",
    "prompts": "Prompts that people sent, for methods that draw their own answers.",
    "sft": "Answers that people liked, and their own versions of answers.",
}


class _Kinds(click.Group):
    """Makes the commands of the kinds when they are asked for: their flags need the warehouse's modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_KINDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for kind, summary in _KINDS.items():
            if kind == cmd_name:
                return _kind_command(kind, summary)
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Kinds)
def export() -> None:
    """
    Write training data into a folder that trainers load as it is, and check, compare and trace it.

    Exit status: 0 done, 1 could not be made, 2 an option does not fit, 3 nothing to export, 4 one label
    only, 5 verify failed, 6 rows are affected.
    """


def _kind_command(kind: Kind, summary: str) -> click.Command:
    @click.command(kind, help=f"{summary}\n\nExit status 3: nothing to export; 4: one label only.")
    @click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder to make.")
    @click.option("--dry-run", is_flag=True, help="Only say what would be left out, and why.")
    @click.option(
        "--explain", metavar="EXAMPLE_ID", help="Only say which events a row comes from, or why it is left out."
    )
    @click.option(
        "--from-manifest",
        type=click.Path(exists=True, path_type=Path),
        metavar="FILE",
        help="Options of an earlier export; with nothing else, the same bytes.",
    )
    @click.pass_context
    def command(
        context: click.Context,
        /,
        out: Path | None,
        dry_run: bool,
        explain: str | None,
        from_manifest: Path | None,
        **given: Any,
    ) -> None:
        base = manifest_options(from_manifest) if from_manifest else None
        if base and base["kind"] != kind:
            raise click.UsageError(f"--from-manifest: that export is of kind {base['kind']}")
        options = options_from(kind, given, base)
        if explain:
            _explain(context, options, explain)
        elif dry_run:
            _preview(context, options)
        elif out is None:
            raise click.UsageError("Missing option '--out' (or '--dry-run', or '--explain').")
        else:
            _export(context, out, options)

    return flags(kind)(command)


@export.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_context
def verify(context: click.Context, /, folders: tuple[Path, ...]) -> None:
    """
    Check finished exports: hashes, rows by their reader's rules, order, counts, leaks between splits.

    Needs neither the warehouse nor a trainer. Exit status 5: something is wrong.
    """
    from thumbline_warehouse.export import VerifyFailed, verify

    found = {folder: verify(folder) for folder in folders}
    for folder, problems in found.items():
        click.echo(f"{folder}: {'fine' if not problems else ''}")
        for problem in problems:
            click.echo(f"  {problem}")
    if any(found.values()):
        context.exit(VerifyFailed.exit_code)


@export.command()
@click.argument("first", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("second", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@click.pass_context
def diff(context: click.Context, /, first: Path, second: Path, as_json: bool) -> None:
    """Say which rows two exports of this warehouse differ in, and which events or options caused it."""
    from thumbline_warehouse.export import diff

    url, connection = _warehouse(context)
    changes = diff(url, first, second, connection)
    for change in changes:
        if as_json:
            click.echo(json.dumps(asdict(change), default=str))
            continue
        mark = {"added": "+", "removed": "-", "changed": "~"}[change.what]
        fields = " ".join(f"{name}: {old} -> {new};" for name, (old, new) in change.fields.items())
        click.echo(f"{mark} {change.example_id} {fields} {'; '.join(change.causes)}")
    counts = {what: sum(1 for change in changes if change.what == what) for what in ("added", "removed", "changed")}
    click.echo(", ".join(f"{count:,} {what}" for what, count in counts.items()), err=True)


@export.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
@click.pass_context
def affected(context: click.Context, /, folders: tuple[Path, ...], as_json: bool) -> None:
    """
    Name rows of finished exports whose people have taken their consent back since, or whose events are erased.

    Exit status 6: there are some.
    """
    from thumbline_warehouse.export import affected

    url, connection = _warehouse(context)
    rows = [row for folder in folders for row in affected(url, folder, connection)]
    for row in rows:
        text = f"{row.folder}  {row.split} row {row.row}  {row.example_id}  {row.why} {row.person_id}"
        click.echo(json.dumps(asdict(row)) if as_json else text.rstrip())
    click.echo(f"{len(rows):,} rows in {len({row.folder for row in rows})} of {len(folders)} exports", err=True)
    if rows:
        context.exit(6)


def _export(context: click.Context, out: Path, options: ExportOptions) -> None:
    from thumbline_warehouse.export import export as run_export

    url, connection = _warehouse(context)
    with _progress() as report:
        made = run_export(url, out, options, report, connection)
    click.echo(str(made.funnel), err=True)
    _say_balance(made)
    for split in made.splits:
        click.echo(made.path(split))


def _say_balance(made: Export) -> None:
    labels, suggested = made.manifest.get("labels"), made.manifest.get("suggested")
    if labels and suggested:
        click.echo(
            f"desirable {labels['desirable']:,}, undesirable {labels['undesirable']:,}; suggested weights "
            f"{suggested['desirable_weight']} and {suggested['undesirable_weight']}",
            err=True,
        )
    for problem, count in made.manifest["refused_by_reader"].items():
        click.echo(f"{count:,} rows left out: {problem}", err=True)


def _preview(context: click.Context, options: ExportOptions) -> None:
    from thumbline_warehouse.export import preview

    click.echo(str(preview(*_at(context, options))))


def _explain(context: click.Context, options: ExportOptions, example_id: str) -> None:
    from thumbline_warehouse.export import explain

    url, connection = _warehouse(context)
    found = explain(url, options, example_id, connection)
    click.echo(f"{example_id}  {'left out: ' + found.reason if found.reason else 'exported'}")
    click.echo("  ".join(f"{name}={value}" for name, value in found.row.items() if name != "example_id"))
    for answer in found.answers:
        click.echo(f"answer  {answer}")
    for part in found.parts:
        reason = f"  not counted: {part.reason}" if part.reason else ""
        who = f"by {part.rater_id}  {part.occurred_at}  load {part.load_id}"
        click.echo(f"{part.kind}  {part.event_id}  {part.says}  {who}  {part.rule}{reason}")


def _at(context: click.Context, options: ExportOptions) -> tuple[WarehouseUrl, ExportOptions, ConnectionSettings]:
    url, connection = _warehouse(context)
    return url, options, connection


def _warehouse(context: click.Context) -> tuple[WarehouseUrl, ConnectionSettings]:
    from thumbline_warehouse.connect import ConnectionSettings
    from thumbline_warehouse.urls import WarehouseUrl

    settings = settings_of(context)
    return WarehouseUrl.parse(settings.warehouse_url), ConnectionSettings(memory_limit=settings.memory_limit)


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
