"""The reference of commands and settings as Markdown: `python -m thumbline_ingest.cli.reference > docs/commands.md`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields

import click

from thumbline_ingest.log.kafka import KafkaSettings

from .main import main
from .settings import FILE_NAME, Settings

_HEAD = f"""# Commands and settings

Generated from the code. A flag wins over the environment, that over `{FILE_NAME}` in the home folder,
that over the default.
"""


def reference() -> str:
    """The whole page."""
    parts = [_HEAD, "## Settings\n", "| setting | environment | default | meaning |", "| --- | --- | --- | --- |"]
    meanings = _attributes(Settings)
    for field in fields(Settings):
        default = "`thumbline-home`" if field.name == "home" else f"`{field.default}`" if field.default != "" else ""
        parts.append(f"| `{field.name}` | `THUMBLINE_{field.name.upper()}` | {default} | {meanings[field.name]} |")
    parts += ["", "### In a Kafka URL\n", "| setting | default | meaning |", "| --- | --- | --- |"]
    kafka = _attributes(KafkaSettings)
    for field in fields(KafkaSettings)[2:]:
        default = f"`{field.default}`" if field.default != "" else ""
        parts.append(f"| `{field.name}` | {default} | {kafka[field.name]} |")
    for path, command in _commands(main, "thumbline"):
        parts += ["", f"## {path}\n", "```text", _help(command, path), "```"]
    return "\n".join(parts) + "\n"


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        if command is None:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def _help(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path, terminal_width=100, max_content_width=100)
    return command.get_help(context).strip()


def _attributes(settings: type) -> dict[str, str]:
    """Field -> its sentence under `Attributes:` in the class's docstring."""
    text = inspect.getdoc(settings) or ""
    section = text.partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+:|\Z)", section, re.MULTILINE | re.DOTALL)
    return {name: " ".join(sentence.split()) for name, sentence in found}


if __name__ == "__main__":
    click.echo(reference(), nl=False)
