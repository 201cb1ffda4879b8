"""`thumbline export`: flags become options, and each question about an export has its command and exit status."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.events import completion, event, records, thumb
from tests.processes import run
from tests.warehouse.conftest import LOG
from thumbline_ingest.cli.export_options import flags, options_from
from thumbline_warehouse.export import ExportOptions
from thumbline_warehouse.export.options import KINDS
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    land(
        folder,
        [completion(f"a{i}", f"question {i}", f"answer {i}", author="ann" if i == 3 else None) for i in range(12)],
    )
    land(folder, [thumb(f"a{i}", ["up", "down"][i % 2]) for i in range(12)])
    return folder


def land(home: Path, events: list[dict]) -> None:
    for one in events:
        if one.get("author", 0) is None:
            del one["author"]
    with closing(DuckLakeStore(WarehouseUrl.parse(f"ducklake:{home}/warehouse/catalog.sqlite"))) as store:
        store.land(LOG, [records(events, store.positions(LOG).get(0, 0))])


def test_a_folder_is_made_checked_repeated_and_compared(home: Path, tmp_path: Path) -> None:
    first, again, later = (str(tmp_path / name) for name in ("first", "again", "later"))
    made = run(
        home, "export", "kto", "--out", first, "--split", "test=0.3", "--raters", "human,model", "--sources", "thumb"
    )
    assert made.stdout.splitlines() == [f"{first}/data/train.jsonl", f"{first}/data/test.jsonl"]
    assert "suggested weights" in made.stderr
    options = json.loads((tmp_path / "first" / "manifest.json").read_text())["options"]
    assert options["filters"]["raters"] == ["human", "model"]
    assert (options["split"]["test"], options["rules"]["sources"]) == (0.3, ["thumb"])
    assert run(home, "export", "verify", first).stdout == f"{first}: fine\n"

    land(home, [thumb("a0", "down", 99)])
    run(home, "export", "kto", "--from-manifest", first, "--out", again)
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (tmp_path / "first" / "manifest.json").read_bytes()
    run(home, "export", "kto", "--out", later)
    found = run(home, "export", "diff", first, later, "--json").stdout.splitlines()
    assert any("thumb down" in " ".join(json.loads(line)["causes"]) for line in found)
    assert run(home, "export", "diff", first, later).stderr.strip().endswith("changed")


def test_a_dry_run_prints_the_funnel_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    done = run(home, "export", "kto", "--dry-run", "--min-votes", "2")
    assert "-12  min_votes" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_row_is_explained(home: Path, tmp_path: Path) -> None:
    run(home, "export", "kto", "--out", str(tmp_path / "kto"))
    row = json.loads((tmp_path / "kto" / "data" / "train.jsonl").read_text().split("\n")[0])
    said = run(home, "export", "kto", "--explain", row["example_id"]).stdout
    assert "exported" in said
    assert "thumb  " in said
    assert "thumb/1" in said


def test_affected_rows_and_broken_exports_have_their_exit_status(home: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "kto")
    run(home, "export", "kto", "--out", folder)
    assert run(home, "export", "affected", folder).stderr == "0 rows in 0 of 1 exports\n"
    land(home, [event("consent", 50, rater={"id": "ann"}, training_consent="denied")])
    done = run(home, "export", "affected", folder, check=False)
    assert (done.returncode, done.stderr) == (6, "1 rows in 1 of 1 exports\n")
    assert "consent_withdrawn ann" in done.stdout

    path = tmp_path / "kto" / "data" / "train.jsonl"
    path.write_text(path.read_text().replace("answer", "Answer", 1))
    done = run(home, "export", "verify", folder, check=False)
    assert done.returncode == 5
    assert "has changed" in done.stdout


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["kto"], 2, "--out"),
        (["kto", "--out", "x", "--min-votes", "none"], 2, "--min-votes"),
        (["kto", "--out", "x", "--min-votes", "0"], 2, "--min-votes"),
        (["kto", "--out", "x", "--sources", "edit"], 2, "allowed: thumb, rating, pick"),
        (["kto", "--out", "x", "--split", "dev=0.1"], 2, "--split"),
        (["kto", "--out", "x", "--since", "2026-01-01"], 2, "--since"),
        (["kto", "--out", "x", "--profile", "openrlhf"], 2, "openrlhf"),
        (["kto", "--out", "x", "--where", "random() > 1"], 2, "random"),
        (["kto", "--out", "x", "--snapshot", "99"], 1, "snapshot 99"),
        (["pairs", "--out", "x"], 3, "no_sibling"),
        (["kto", "--out", "x", "--where", "vote.value = 'up'"], 4, "--allow-one-label"),
        (["pairs", "--out", "x", "--unpair-picks"], 2, "--unpair-picks"),
        (["dpo", "--out", "x"], 2, "dpo"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_fit_names_the_flag(home: Path, flags: list[str], status: int, message: str) -> None:
    done = run(home, "export", *flags, check=False)
    assert done.returncode == status
    assert message in done.stderr
    assert not Path("x").exists()


def test_every_option_has_a_flag() -> None:
    import click

    for kind in KINDS:
        command = flags(kind)(click.Command(kind))
        names = {param.name for param in command.params}
        assert {"project", "snapshot", "seed", "consent", "profile", "format", "split", "where"} <= names
        context = command.make_context(kind, [])
        assert options_from(kind, context.params) == ExportOptions(kind=kind)
