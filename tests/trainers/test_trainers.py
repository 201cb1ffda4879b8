"""The exported folder goes into the real trainers as it is, and they train on what was rated."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.trainers.conftest import COUNT, END, Exported, TinyModel, make_export
from thumbline_warehouse.urls import WarehouseUrl

# Not `importorskip`: loading torch takes seconds, and its warnings at collection would be errors.
if importlib.util.find_spec("trl") is None:
    pytest.skip("trl is not installed: make test-trainers", allow_module_level=True)

pytestmark = [
    pytest.mark.trainers,
    # transformers 5 renames the setting; the old name is the one that all of 5 know, and trl uses it too.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning"),
]

STEPS = 3


def load(exported: Exported) -> Any:
    from datasets import load_dataset

    return load_dataset(str(exported.folder), cache_dir=str(exported.folder.parent / "cache"))


def train(kind: str, dataset: Any, model: TinyModel, where: Path, steps: int = STEPS) -> Any:
    """The trainer after its steps."""
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    trainer_class, config_class = (KTOTrainer, KTOConfig) if kind == "kto" else (DPOTrainer, DPOConfig)
    config = config_class(
        output_dir=str(where / "trained"),
        max_steps=steps,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        seed=0,
    )
    tokenizer = AutoTokenizer.from_pretrained(model.folder)
    trainer = trainer_class(model=str(model.folder), args=config, train_dataset=dataset, processing_class=tokenizer)
    trainer.train()
    return trainer


def token_ids(row: dict[str, Any], name: str) -> list[int]:
    """The tokens that a trainer keeps of a field, by the names that TRL gave them before 1.0 and since."""
    names = (f"{name}_ids", {"completion": "answer"}.get(name, name) + "_input_ids")
    return next(row[known] for known in names if known in row)


def shown(trainer: Any, row: dict[str, Any], name: str) -> str:
    """What a trainer reads of a field; before 1.0 it ends the end of turn once more."""
    text = trainer.processing_class.decode(token_ids(row, name))
    return text.removesuffix(END) if text.endswith(f"\n{END}") else text


def losses(trainer: Any) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def written(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        return pq.read_table(file).to_pylist()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def by_content(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_the_folder_loads_as_it_is(exported: Exported) -> None:
    """Row for row and in order what is in the file, and what the events said."""
    loaded = load(exported)

    assert list(loaded) == ["train"]
    rows = loaded["train"].to_list()
    (file,) = (exported.folder / "data").iterdir()
    assert rows == written(file)
    names = list(exported.rows[0])
    assert by_content([{name: row[name] for name in names} for row in rows]) == by_content(exported.rows)
    if exported.kind == "kto":
        assert loaded["train"].features["label"].dtype == "bool"
        assert {row["label"] for row in rows} == {True, False}
        assert all(type(row["label"]) is bool for row in rows)


def test_another_export_of_the_same_name_is_another(warehouse: WarehouseUrl, tmp_path: Path) -> None:
    """`datasets` keeps what it has loaded: the next `out` must not give the rows of the one before."""
    from datasets import load_dataset

    names = []
    for kind in ("kto", "pairs"):
        exported = make_export(warehouse, tmp_path / kind, kind, "jsonl")
        names.append(load_dataset(str(exported.folder), cache_dir=str(tmp_path / "cache"))["train"].column_names)
    assert "completion" in names[0]
    assert "chosen" in names[1]


def test_three_steps_of_training(exported: Exported, tiny_model: TinyModel, tmp_path: Path) -> None:
    trainer = train(exported.kind, load(exported)["train"], tiny_model, tmp_path)

    assert trainer.state.global_step == STEPS
    assert len(losses(trainer)) == STEPS
    assert all(math.isfinite(loss) for loss in losses(trainer))
    assert len(set(losses(trainer))) > 1, "the loss does not move"


def test_the_trainer_keeps_every_row_and_learns_the_whole_answer_only(
    exported: Exported, tiny_model: TinyModel, tmp_path: Path
) -> None:
    """In the loss is the answer to its end, and nothing of the prompt."""
    trainer = train(exported.kind, load(exported)["train"], tiny_model, tmp_path)

    kept = trainer.train_dataset
    assert len(kept) == COUNT
    answers = ["completion"] if exported.kind == "kto" else ["chosen", "rejected"]
    seen = [[shown(trainer, row, name) for name in ("prompt", *answers)] for row in kept]
    expected = [
        [tiny_model.prompt_text(row["prompt"]), *(tiny_model.answer_text(row[name]) for name in answers)]
        for row in exported.rows
    ]
    assert sorted(seen) == sorted(expected)
    if exported.kind == "kto":
        labels = {shown(trainer, row, "completion"): row["label"] for row in kept}
        assert labels == {tiny_model.answer_text(row["completion"]): row["label"] for row in exported.rows}


def test_the_mismatched_completion_is_another_rows(
    warehouse: WarehouseUrl, tiny_model: TinyModel, tmp_path: Path
) -> None:
    """KTO's KL term takes the completion of the row before: nowhere may that be the row's own."""
    exported = make_export(warehouse, tmp_path, "kto", "jsonl")

    kept = train("kto", load(exported)["train"], tiny_model, tmp_path).train_dataset

    assert len(kept) == COUNT
    # Before 1.0 it is the whole text, prompt and all.
    names = {"KL_completion_ids": "completion_ids", "KL_completion_input_ids": "completion_input_ids"}
    mismatched = next(name for name in names if name in kept.column_names)
    assert not [row for row in kept if row[mismatched] == row[names[mismatched]]]


def test_pairs_teach_something(warehouse: WarehouseUrl, tiny_model: TinyModel, tmp_path: Path) -> None:
    """The loss begins at ln 2 and moves away; with equal answers it would stay there."""
    data = load(make_export(warehouse, tmp_path, "pairs", "jsonl"))["train"]
    equal = data.map(lambda row: {"rejected": row["chosen"]})

    moving = losses(train("pairs", data, tiny_model, tmp_path, steps=10))
    stuck = losses(train("pairs", equal, tiny_model, tmp_path, steps=10))

    assert moving[0] == pytest.approx(math.log(2), abs=1e-4)
    assert max(abs(loss - math.log(2)) for loss in moving) > 2e-3
    assert stuck == pytest.approx([math.log(2)] * 10, abs=1e-4)
