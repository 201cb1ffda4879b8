"""`thumbline import`: files of others, taken into the log."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from thumbline_ingest.keys import KeyStore

from .context import settings_of
from .settings import Settings

if TYPE_CHECKING:
    from thumbline_ingest.importing import MapOptions, Stamp
    from thumbline_ingest.importing.run import Check
    from thumbline_ingest.log import LogWriter

_SOME_REFUSED: Final = 6
_MAX_LABEL: Final = 200


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--map",
    "map_name",
    required=True,
    metavar="NAME|FILE.toml",
    help="What the records are: pairs, ratings, thumbs, rankings, edits, open-webui, fastchat, langfuse, chat-ui, "
    "or a file that adapts one of them.",
)
@click.option("--project", required=True, metavar="NAME", help="Project to write to; one that has a write key.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=COLUMN",
    help="What the file calls a column of the map, e.g. prompt=question; may be repeated.",
)
@click.option("--scale", metavar="MIN:MAX", help="Lowest and highest score, where the file does not say, e.g. 1:10.")
@click.option("--model", metavar="NAME", help="Model of answers whose record names none.  [default: unknown]")
@click.option(
    "--batch", metavar="NAME", help="Name of the delivery, kept as properties.batch.  [default: name of the first file]"
)
@click.option("--cohort", metavar="NAME", help="Name of the group of raters, kept as properties.cohort.")
@click.option(
    "--rater-kind",
    type=click.Choice(["human", "model", "rule"]),
    default="human",
    show_default=True,
    help="Who judged, where the file does not say.",
)
@click.option(
    "--rater", metavar="ID", help="Rater of records that name none.  [default: each is an anonymous rater of its own]"
)
@click.option(
    "--pepper",
    envvar="THUMBLINE_PEPPER",
    metavar="SECRET",
    help="Keys the hashes of people's ids, as in the client.  [env: THUMBLINE_PEPPER]",
)
@click.option(
    "--key",
    envvar="THUMBLINE_KEY",
    metavar="KEY",
    help="Write key from which the pepper is derived where none is given, as in the client.  [env: THUMBLINE_KEY]",
)
@click.option(
    "--consent",
    type=click.Choice(["granted", "denied", "unknown"]),
    default="unknown",
    show_default=True,
    help="Whether the records may train a model; exports leave out what is not granted.",
)
@click.option(
    "--occurred-at",
    metavar="TIME",
    help="When it happened, where the file does not say, ISO 8601.  [default: 1970-01-01T00:00:00Z, so that every "
    "vote with a known time counts as later]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jsonl", "json", "csv", "parquet"]),
    help="Format of the files, also gzipped.  [default: told from name and content]",
)
@click.option("--dry-run", is_flag=True, help="Check and report everything, write nothing.")
@click.pass_context
def import_(context: click.Context, /, files: tuple[Path, ...], dry_run: bool, **options: Any) -> None:
    """
    Take vendors' batches, public sets and exports of other tools into the log.

    The same records again add nothing. A record that cannot be taken is reported with its place and
    the field at fault, and costs no other.

    Exit status 6: some records could not be taken; 2: a file, map or option cannot be meant.
    """
    from thumbline_ingest.importing import Importer, InputFile, check_columns, open_map

    settings = settings_of(context)
    source = open_map(options["map_name"], _map_options(options))
    stamp = _stamp(settings, source.name, files, options)
    inputs = [InputFile.open(path, options["format_"]) for path in files]
    for file in inputs:
        check_columns(source, file)
    with _writer(settings, dry_run) as writer:
        importer = Importer(source, stamp, collectors_check(stamp.project), writer)
        try:
            importer.run(inputs)
        finally:
            # Also where the log goes away in the middle: what was taken is there.
            click.echo(str(importer.report))
    for line in _afterwords(settings, stamp, importer.report.events.total() > 0, dry_run):
        click.echo(line)
    if importer.report.refused:
        context.exit(_SOME_REFUSED)


def collectors_check(project: str) -> Check:
    """
    The check that the collector makes of a request's events, for events of an import.

    Args:
        project: what they are written to.
    """
    from thumbline_ingest.collector.batch import prepare, read_batch
    from thumbline_ingest.importing.run import Checked

    prepare()

    def check(events: list[bytes]) -> list[Any]:
        batch = read_batch(b",".join(events), events, project, int(time.time() * 1000))
        verdicts: list[Any] = [None] * len(events)
        for index, rejection in batch.rejections.items():
            verdicts[index] = str(rejection.problems[0])
        for index, record in zip(batch.indexes, batch.records, strict=True):
            verdicts[index] = Checked(record, batch.changed.get(index, frozenset()))
        return verdicts

    return check


def _map_options(options: dict[str, Any]) -> MapOptions:
    from thumbline_ingest.importing import MapOptions

    columns: dict[str, str] = {}
    for given in options["fields"]:
        name, equals, column = given.partition("=")
        if not (name and equals and column):
            raise click.UsageError(f"--field: '{given}' is not NAME=COLUMN")
        columns[name] = column
    return MapOptions(columns, scale=_scale(options["scale"]), model=options["model"] or MapOptions.model)


def _scale(given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    low, _, high = given.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        raise click.UsageError(f"--scale: '{given}' is not MIN:MAX") from None
    if not -1e300 < ends[0] < ends[1] < 1e300:
        raise click.UsageError(f"--scale: '{given}' must go from the lowest to the highest score")
    return ends


def _stamp(settings: Settings, source: str, files: tuple[Path, ...], options: dict[str, Any]) -> Stamp:
    from thumbline.pseudonym import Pseudonymizer, pepper_from_key
    from thumbline_ingest.importing import NO_TIME, Stamp

    batch = options["batch"] or files[0].name.partition(".")[0] or files[0].name
    for name, value in (("batch", batch), ("cohort", options["cohort"]), ("rater", options["rater"])):
        if value is not None and not 0 < len(value) <= _MAX_LABEL:
            raise click.UsageError(f"--{name}: must be 1 to {_MAX_LABEL} characters")
    pepper = options["pepper"].encode() if options["pepper"] else None
    if pepper is None and options["key"]:
        pepper = pepper_from_key(options["key"])
    if options["rater"] is not None and options["rater_kind"] == "human" and pepper is None:
        raise click.UsageError(
            "--rater: the id of a person is hashed: set THUMBLINE_PEPPER too, or another --rater-kind"
        )
    return Stamp(
        project=_known_project(settings, options["project"]),
        source=source,
        batch=batch,
        cohort=options["cohort"],
        consent=options["consent"],
        rater_kind=options["rater_kind"],
        rater=options["rater"],
        occurred_at=NO_TIME if options["occurred_at"] is None else _instant(options["occurred_at"]),
        pseudonym=None if pepper is None else Pseudonymizer(pepper),
    )


def _instant(given: str) -> str:
    from thumbline_ingest.importing import Refused, instant

    try:
        return instant(given, "--occurred-at")
    except Refused as error:
        raise click.UsageError(str(error)) from None


def _known_project(settings: Settings, project: str) -> str:
    known = sorted({key.project for key in KeyStore(settings.keys_path).list() if key.revoked_at is None})
    if project not in known:
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise click.UsageError(
            f"--project: no write key is for '{project}' ({there}); "
            f"`thumbline keys create --project {project}` makes one"
        )
    return project


@contextmanager
def _writer(settings: Settings, dry_run: bool) -> Iterator[LogWriter | None]:
    if dry_run:
        yield None
        return
    from thumbline_ingest.log import open_log

    with closing(open_log(settings.log_url).writer()) as writer:
        yield writer


def _afterwords(settings: Settings, stamp: Stamp, has_events: bool, dry_run: bool) -> Iterator[str]:
    if dry_run:
        yield "dry run: nothing was written"
    if not has_events:
        return
    if stamp.consent != "granted":
        yield (
            f"training consent: {stamp.consent}. Exports leave these records out (`--consent any` takes them), and "
            "importing them again does not change it"
        )
    if dry_run:
        return
    if _loader_runs(settings):
        yield "a loader is running and lands them: `thumbline status` shows how far it is"
    else:
        yield "no loader is running here: `thumbline load --until-empty` lands them and ends"


def _loader_runs(settings: Settings) -> bool:
    # A running loader holds the lock of its slot in the home folder.
    for path in settings.home.glob("loader-*.lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
