"""What is documented is what there is."""

from __future__ import annotations

import functools
import json
import re
from contextlib import closing
from pathlib import Path

import click
import pytest

import thumbline
from tests.events import completion, records, thumb
from thumbline.testing import RecordingTransport
from thumbline_ingest.cli.main import main
from thumbline_ingest.cli.reference import _commands, reference
from thumbline_warehouse.export import ExportError, ExportOptions, Filters, Split, export
from thumbline_warehouse.export.contributions import RULES
from thumbline_warehouse.export.examples import page as export_rows
from thumbline_warehouse.export.options import KINDS
from thumbline_warehouse.export.profiles import PROFILES
from thumbline_warehouse.reference import reference as warehouse_reference
from thumbline_warehouse.schema import TABLES
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl
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
    store = DuckLakeStore(WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite"))
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "analysts.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        store._db.execute(block).fetchall()
    store.close()


@pytest.fixture
def rated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WarehouseUrl:
    """A warehouse in the home folder that commands and pages take where nothing else is said."""
    monkeypatch.chdir(tmp_path)
    url = WarehouseUrl.parse("ducklake:thumbline-home/warehouse/catalog.sqlite")
    events = []
    for n in range(40):
        events += [completion(f"a{n}", prompt=f"{n}?", text=f"{n}!"), thumb(f"a{n}", "up" if n % 3 else "down")]
    with closing(DuckLakeStore(url)) as store:
        store.land("log", [records(events)])
    return url


def test_the_trainers_page_names_every_rule_kind_profile_filter_and_status() -> None:
    text = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
    for name in [*KINDS, *PROFILES, *(rule.name for rule in RULES)]:
        assert f"| `{name}` |" in text, name
    for name in Filters.model_fields:
        assert f"`--{name.replace('_', '-')}" in text, name
    for error in [ExportError, *ExportError.__subclasses__()]:
        assert re.search(rf"^\| {error.exit_code} \|", text, re.MULTILINE), error


def test_the_trainers_page_names_every_field_of_a_manifest(rated: WarehouseUrl, tmp_path: Path) -> None:
    section = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8").partition("## The manifest")[2]
    named = set(re.findall(r"`(\w+)`", section.partition("\n## ")[0]))
    only_pairs = {"wins", "margins"}
    made = export(rated, tmp_path / "kto", ExportOptions(kind="kto", split=Split(test=0.2)))
    assert set(made.manifest) <= named
    assert named - set(made.manifest) - only_pairs == set()


def test_python_in_the_trainers_page_runs(rated: WarehouseUrl) -> None:
    """But for the first block, which needs `datasets`."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8"), re.DOTALL)
    assert "load_dataset" in blocks[0]
    for block in blocks[1:]:
        exec(compile(block, "trainers.md", "exec"), {})


def test_commands_in_the_trainers_page_are_taken(rated: WarehouseUrl) -> None:
    """Each condition and each flag that is shown fits."""
    from click.testing import CliRunner

    text = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
    for line in re.findall(r"^    thumbline (export (?:kto|pairs) .*?)(?:  +#.*)?$", text, re.MULTILINE):
        words = re.sub(r"--out \S+|--from-manifest \S+", "", line).split(" --where ")
        arguments = [*words[0].split(), *(["--where", words[1].strip().strip('"')] if words[1:] else []), "--dry-run"]
        done = CliRunner().invoke(main, list(dict.fromkeys(arguments)))
        assert done.exit_code == 0, (line, done.output)


def test_the_row_on_the_first_screen_is_what_its_code_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, row = (re.search(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("python", "json"))
    assert code
    assert row
    sent = RecordingTransport()
    monkeypatch.setattr(thumbline, "Client", functools.partial(thumbline.Client, transport=sent, spool=None))
    scope: dict[str, thumbline.Client] = {}
    exec(compile(code[1], "README.md", "exec"), scope)
    scope["tl"].close()
    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")
    with closing(DuckLakeStore(url)) as store:
        store.land("log", [records(list(sent.accepted.values()))])

    made = export(url, tmp_path / "data", ExportOptions(kind="kto", allow_one_label=True))

    (given,) = made.rows()
    shown = json.loads(row[1].replace(", ...}", "}"))
    assert {name: given[name] for name in shown} == shown
