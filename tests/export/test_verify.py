"""`verify` finds what is wrong with a finished export; every profile's exports are fine by their readers' rules."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.events import completion, event, records, thumb
from tests.export.conftest import options_of
from tests.warehouse.conftest import LOG
from thumbline_warehouse.export import BadOption, Export, ExportError, export, verify
from thumbline_warehouse.export.profiles import PROFILES
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

KINDS = ("kto", "pairs", "reward", "prompts", "sft")


def _events() -> list[dict[str, Any]]:
    """Answers in one or two turns, with thumbs and picks of some strength."""
    events = []
    for i in range(24):
        first = [{"role": "user", "content": f"question {i // 2}"}]
        turns = [*first, {"role": "assistant", "content": "Go on."}, {"role": "user", "content": "More?"}]
        messages = turns if i // 2 % 2 else first
        events.append(completion(f"a{i}", text=f"answer {i}", messages=messages, conversation_id=f"c{i // 2}"))
        events.append(thumb(f"a{i}", ["up", "down"][i % 2]))
    for i in range(0, 24, 2):
        events.append(event("comparison", comparison_id=f"x{i}", completion_ids=[f"a{i}", f"a{i + 1}"]))
        events.append(event("pick", target_id=f"x{i}", outcome="winner", winner_id=f"a{i}", strength=4, scale=5))
    return events


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> WarehouseUrl:
    """A warehouse for all tests of this file: none of them changes it."""
    url = WarehouseUrl.parse(f"ducklake:{tmp_path_factory.mktemp('filled')}/catalog.sqlite")
    with closing(DuckLakeStore(url)) as store:
        store.land(LOG, [records(_events())])
    return url


@pytest.fixture(scope="module")
def exports(filled: WarehouseUrl, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished exports, to be copied before they are changed."""
    where = tmp_path_factory.mktemp("exports")
    options = {
        "kto": options_of("kto"),
        "reward": options_of("reward", sources=["pick"]),
        "split": options_of("kto", test=0.3),
    }
    return {name: export(filled, where / name, wanted).folder for name, wanted in options.items()}


@pytest.fixture
def copy_of(exports: dict[str, Path], tmp_path: Path) -> Callable[[str], Export]:
    return lambda name: Export(Path(shutil.copytree(exports[name], tmp_path / name)))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_export_for_each_reader_is_fine(filled: WarehouseUrl, tmp_path: Path, profile: str, kind: str) -> None:
    def make(kind: str, **options: Any) -> Export:
        return export(filled, tmp_path / options.get("format", "out"), options_of(kind, **options))

    if kind not in PROFILES[profile].kinds:
        with pytest.raises(BadOption, match=profile):
            make(kind, profile=profile)
        return
    for format_ in PROFILES[profile].formats:
        made = make(kind, profile=profile, format=format_, test=0.3)
        assert verify(made.folder) == []
        assert len(list(made.example_ids("train"))) == made.manifest["split"]["rows"]["train"]
        assert sum(len(list(made.rows(split))) for split in made.splits) == made.funnel.rows
        assert made.to_arrow("test").num_rows == made.manifest["split"]["rows"]["test"]


def change(folder: Path, edit) -> None:
    """Change rows of a JSON Lines export, and make its hashes fit again, as somebody's script would."""
    path = folder / "data" / "train.jsonl"
    rows = edit([json.loads(line) for line in path.read_text().split("\n")[:-1]])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = json.loads((folder / "manifest.json").read_text())
    (file,) = (file for file in manifest["files"] if file["split"] == "train")
    file["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    file["rows"] = len(rows)
    manifest["data_sha256"] = hashlib.sha256("".join(f["sha256"] for f in manifest["files"]).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def first_of(**fields: Any):
    return lambda rows: [rows[0] | fields, *rows[1:]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (first_of(label=1), "label"),
        (first_of(label="true"), "label"),
        (first_of(label=None), "label"),
        (lambda rows: [row | {"label": 1 if row["label"] else -1} for row in rows], "label"),
        (lambda rows: [row | {"label": True} for row in rows], "same label"),
        (lambda rows: [row | {"completion": rows[0]["completion"]} for row in rows], "mismatch"),
        (first_of(prompt=[]), "prompt"),
        (first_of(prompt=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]), "prompt"),
        (first_of(prompt=[{"role": "system", "content": "Hi"}]), "prompt"),
        (first_of(prompt="Hi"), "prompt"),
        (first_of(completion=[{"role": "assistant", "content": ""}]), "completion"),
        (first_of(completion=[{"role": "assistant", "content": None}]), "completion"),
        (first_of(completion=[{"role": "user", "content": "x"}]), "completion"),
        (lambda rows: [row | {"completion": row["prompt"] + row["completion"]} for row in rows], "completion"),
        (first_of(messages="x"), "messages"),
        (lambda rows: [row | {"chosen": "a", "rejected": "b"} for row in rows], "chosen"),
        (first_of(images=[]), "images"),
        (first_of(tools=""), "tools"),
        (first_of(chat_template_kwargs=None), "chat_template_kwargs"),
        (first_of(model=None), "model"),
        (first_of(policy={"nested": 1}), "policy"),
        (first_of(agreement=float("nan")), "agreement"),
        (first_of(completion=[{"role": "assistant", "content": "\ud83d"}]), "completion"),
        (lambda rows: [*rows[:5], rows[0], *rows[5:]], "more than once"),
        (lambda rows: rows[:-1], "labels"),
        (lambda rows: [], "no rows"),
    ],
)
def test_a_kto_row_that_a_trainer_would_mangle_is_found(copy_of, edit, message: str) -> None:
    made = copy_of("kto")
    assert verify(made.folder) == []
    change(made.folder, edit)
    assert any(message in problem for problem in verify(made.folder)), verify(made.folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (first_of(margin=None), "margin"),
        (first_of(margin=-1.0), "margin"),
        (first_of(margin=float("inf")), "margin"),
        (lambda rows: [row | {"chosen": row["rejected"]} for row in rows], "chosen"),
        (lambda rows: [row | {"chosen": row["prompt"] + row["chosen"]} for row in rows], "chosen"),
        (first_of(chosen="text"), "chosen"),
        (first_of(completion="x"), "completion"),
        (lambda rows: [{k: v for k, v in row.items() if k != "prompt"} for row in rows], "prompt"),
    ],
)
def test_a_reward_row_that_a_trainer_would_mangle_is_found(copy_of, edit, message: str) -> None:
    made = copy_of("reward")
    change(made.folder, edit)
    assert any(message in problem for problem in verify(made.folder)), verify(made.folder)


def test_a_changed_missing_or_foreign_file_is_found(copy_of) -> None:
    made = copy_of("split")
    path = made.folder / "data" / "train.jsonl"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"answer 1", b"answer X", 1))
    assert any("has changed" in problem for problem in verify(made.folder))
    path.write_bytes(before)
    (made.folder / "data" / "extra.jsonl").write_text("{}\n")
    assert any("extra.jsonl" in problem for problem in verify(made.folder))
    (made.folder / "data" / "extra.jsonl").unlink()
    (made.folder / "README.md").write_text("# mine\n")
    assert any("README" in problem for problem in verify(made.folder))
    path.unlink()
    assert any("missing" in problem for problem in verify(made.folder))
    (made.folder / "manifest.json").write_text("{}")
    with pytest.raises(ExportError, match="schema_version"):
        verify(made.folder)


def test_a_row_copied_into_the_other_split_is_found(copy_of) -> None:
    made = copy_of("split")
    leaked = next(made.rows("test")) | {"example_id": "another"}
    change(made.folder, lambda rows: [*rows, leaked])
    problems = " ".join(verify(made.folder))
    assert "conversations are in more than one split" in problems
    assert "prompts are in more than one split" in problems


def test_parquet_has_a_schema_without_nulls(filled: WarehouseUrl, tmp_path: Path) -> None:
    made = export(filled, tmp_path / "out", options_of("reward", format="parquet"))
    schema = pq.read_schema(made.path())
    assert all(not field.nullable for field in schema)
    assert str(schema.field("margin").type) == "double"
