"""What is documented is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from thumbline_ingest.cli.main import main
from thumbline_ingest.cli.reference import _commands, reference
from thumbline_warehouse.export.examples import page as export_rows
from thumbline_warehouse.reference import reference as warehouse_reference
from thumbline_warehouse.schema import TABLES
from thumbline_warehouse.views import VIEWS

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_references_are_those_of_the_code() -> None:
    """`make docs` writes them."""
    assert (ROOT / "docs" / "commands.md").read_text() == reference()
    assert (ROOT / "docs" / "warehouse.md").read_text() == warehouse_reference()
    assert (ROOT / "docs" / "export-rows.md").read_text() == export_rows()


def test_every_command_and_option_has_a_sentence() -> None:
    for path, command in _commands(main, "thumbline"):
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
    known = {path for path, _ in _commands(main, "thumbline")} | {"thumbline"}
    for words in re.findall(r"^\s*(?:\$ )?thumbline ((?:--\w+ \S+ )*)([a-z]+)", text, re.MULTILINE):
        assert f"thumbline {words[1]}" in known, f"{page.name}: thumbline {words[1]}"


def test_the_analysts_page_names_every_view() -> None:
    text = (ROOT / "docs" / "analysts.md").read_text(encoding="utf-8")
    for name in [view.name for view in VIEWS] + [table.name for table in TABLES if table.name != "head"]:
        assert f"`{name}`" in text, name


def test_sql_in_the_analysts_page_runs(tmp_path: Path) -> None:
    from thumbline_warehouse.store import DuckLakeStore
    from thumbline_warehouse.urls import WarehouseUrl

    store = DuckLakeStore(WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite"))
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "analysts.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        store._db.execute(block).fetchall()
    store.close()
