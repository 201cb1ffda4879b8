"""The page says what happens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from tests.importing.helpers import lines, take
from thumbline_ingest.cli.import_ import import_
from thumbline_ingest.importing import SOURCES, MapOptions, open_map

PAGE = (Path(__file__).parent.parent.parent / "docs" / "importing.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `([\w-]+)`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_map_has_a_section() -> None:
    assert SECTIONS.keys() == SOURCES.keys()


@pytest.mark.parametrize("name", SECTIONS)
def test_records_become_what_the_page_says(tmp_path: Path, name: str) -> None:
    examples = re.findall(r"```json\n(.*?)```\n\nbecomes (.*?)\.\n", SECTIONS[name], re.DOTALL)
    assert examples
    for record, kinds in examples:
        taken = take(lines(tmp_path, json.loads(record)), name)
        assert [event["kind"] for event in taken.events] == re.findall(r"`(\w+)`", kinds)


@pytest.mark.parametrize("name", SOURCES)
def test_every_column_of_a_generic_map_is_named(name: str) -> None:
    for column in SOURCES[name].optional:
        assert f"`{column}`" in PAGE or f'"{column}"' in PAGE, column


def test_the_map_file_is_one_and_every_option_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vendor.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert open_map(str(path), MapOptions()).options.labels["unsafe"] == "down"
    names = {option for one in import_.params if isinstance(one, click.Option) for option in one.opts}
    assert [name for name in names - {"--format"} if name not in PAGE and name != "--key"] == []
