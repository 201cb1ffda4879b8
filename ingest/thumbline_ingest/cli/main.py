"""The command's root: the settings that every command shares, and the commands."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from thumbline._version import __version__
from thumbline_ingest.parents import end_with_parent_of_environment

from . import export, import_, inspect, keys, run, sample, statuspage, topic, up
from .faults import outcome, say
from .settings import Settings, resolve


class _Root(click.Group):
    """A group that turns faults which have a name into one line and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            found = outcome(error, _settings(ctx))
            if found is None:
                # Shows where it came from.
                raise
            say(found[0])
            ctx.exit(found[1])


def _settings(ctx: click.Context) -> Settings | None:
    try:
        return resolve(ctx.find_root().obj or {})
    except click.ClickException:
        return None


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="thumbline")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder that holds log, warehouse and keys.  [env: THUMBLINE_HOME; default: thumbline-home]",
)
@click.option("--log", metavar="URL", help="sqlite:PATH or kafka://host:port/topic.  [env: THUMBLINE_LOG]")
@click.option("--warehouse", metavar="URL", help="ducklake:PATH.  [env: THUMBLINE_WAREHOUSE]")
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.pass_context
def main(context: click.Context, /, verbose: bool, **flags: Any) -> None:
    """
    Turn what people say about the answers of a chat product into preference data.

    Settings come from flags, then THUMBLINE_* variables, then thumbline.toml in the home folder.
    """
    end_with_parent_of_environment()
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    context.obj = flags


for command in (
    up.up,
    run.collect,
    run.load,
    statuspage.status_page,
    import_.import_,
    export.export,
    inspect.query,
    inspect.attach,
    inspect.status,
    inspect.snapshot,
    keys.keys,
    topic.topic,
    sample.sample,
):
    main.add_command(command)
