"""The exported folder goes into the real trainers as it is, and they train on what was rated."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

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
SHARE = 0.2
TRAINERS = {"kto": "KTO", "pairs": "DPO", "reward": "Reward"}
ANSWERS = {"kto": ("completion",), "sft": ("completion",), "prompts": ()}
PAIR = ("chosen", "rejected")


@pytest.fixture(scope="module", params=[0.0, SHARE], ids=["whole", "split"])
def share(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module", params=["jsonl", "parquet"])
def format_(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=list(TRAINERS))
def exported(
    request: pytest.FixtureRequest,
    warehouse: WarehouseUrl,
    format_: str,
    share: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Exported:
    """Each kind that is trained on, in each format, with and without a test split."""
    return make_export(warehouse, tmp_path_factory.mktemp("made"), request.param, format_, test=share)


@pytest.fixture(scope="module")
def trainer(exported: Exported, tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The trainer of the kind after its steps, and after an evaluation where there is a test split."""
    loaded = exported.load()
    return train(exported.kind, loaded["train"], tiny_model, tmp_path_factory.mktemp("trained"), loaded.get("test"))


def train(kind: str, dataset: Any, model: TinyModel, where: Path, held_out: Any = None, steps: int = STEPS) -> Any:
    """The trainer after its steps."""
    import trl
    from transformers import AutoTokenizer

    config = getattr(trl, f"{TRAINERS[kind]}Config")(
        output_dir=str(where / "trained"),
        max_steps=steps,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        eval_strategy="no" if held_out is None else "steps",
        eval_steps=steps,
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
    trainer = getattr(trl, f"{TRAINERS[kind]}Trainer")(
        model=str(model.folder),
        args=config,
        train_dataset=dataset,
        eval_dataset=held_out,
        processing_class=AutoTokenizer.from_pretrained(model.folder),
    )
    trainer.train()
    return trainer


def logged(trainer: Any, name: str = "loss") -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def tokens(row: dict[str, Any], name: str) -> list[int]:
    """The tokens that a trainer keeps of a field, by the names that TRL gave them before 1.0 and since."""
    return next(row[known] for known in (f"{name}_ids", f"{name}_input_ids") if known in row)


def in_loss(trainer: Any, kind: str, row: dict[str, Any]) -> list[str]:
    """
    The texts of a tokenised row: what is read before the answers, and what of each of them is in the loss.

    A reward model reads whole conversations and learns one number: there it is these.
    """
    if kind == "reward":
        return [shown(trainer, tokens(row, name)) for name in PAIR]
    batch = {name: value.tolist() for name, value in trainer.data_collator([row]).items() if hasattr(value, "tolist")}
    if "completion_mask" in batch:
        sequences = zip(batch["input_ids"], batch["completion_mask"], batch["attention_mask"], strict=True)
        parts = [
            [[t for t, in_it, there in zip(*one, strict=True) if there and in_it == wanted] for wanted in (0, 1)]
            for one in sequences
        ]
    elif "completion_labels" in batch:
        sequences = zip(batch["completion_input_ids"], batch["completion_labels"], strict=True)
        parts = [
            [[t for t, label in zip(*one, strict=True) if (label != -100) == wanted] for wanted in (False, True)]
            for one in sequences
        ]
    else:
        # DPO before 1.0 puts prompt and answer together later, and masks the first.
        parts = [[tokens(row, "prompt"), tokens(row, name)] for name in PAIR]
    before = {trainer.processing_class.decode(prompt) for prompt, _ in parts}
    assert len(before) == 1
    return [before.pop(), *(shown(trainer, answer) for _, answer in parts)]


def shown(trainer: Any, ids: list[int]) -> str:
    """Tokens as text; before 1.0 TRL ends the end of turn once more."""
    text = str(trainer.processing_class.decode(ids))
    return text.removesuffix(END) if text.endswith(f"\n{END}") else text


def expected_texts(row: dict[str, Any], kind: str, model: TinyModel) -> list[str]:
    prompt = model.prompt_text(row["prompt"])
    answers = [model.answer_text(row[name]) for name in ANSWERS.get(kind, PAIR)]
    return [prompt + answer for answer in answers] if kind == "reward" else [prompt, *answers]


def by_content(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_the_folder_loads_as_it_is(exported: Exported, share: float) -> None:
    """Row for row and in order what is in the files, and what the events said; no prompt in two splits."""
    loaded = exported.load()

    rows = {split: data.to_list() for split, data in loaded.items()}
    assert rows == {split: list(exported.made.rows(split)) for split in exported.made.splits}
    assert list(rows) == (["train", "test"] if share else ["train"])
    assert {split: len(some) for split, some in rows.items()} == exported.counts
    names = list(exported.rows[0])
    everything = [row for some in rows.values() for row in some]
    assert by_content([{name: row[name] for name in names} for row in everything]) == by_content(exported.rows)
    prompts = [{json.dumps(row["prompt"]) for row in some} for some in rows.values()]
    assert len(set.union(*prompts)) == sum(map(len, prompts))
    if exported.kind == "kto":
        assert loaded["train"].features["label"].dtype == "bool"
        assert {row["label"] for row in rows["train"]} == {True, False}
        assert all(type(row["label"]) is bool for row in everything)


@pytest.mark.parametrize("project", ["text", "tools"])
@pytest.mark.parametrize("kind", ["kto", "pairs", "reward", "prompts", "sft"])
def test_both_formats_load_to_equal_rows(kind: str, project: str, warehouse: WarehouseUrl, tmp_path: Path) -> None:
    formats = [
        make_export(warehouse, tmp_path / name, kind, name, test=SHARE, project=project).load()
        for name in ("jsonl", "parquet")
    ]

    jsonl, parquet = ({split: data.to_list() for split, data in loaded.items()} for loaded in formats)
    assert list(jsonl) == ["train", "test"]
    assert jsonl == parquet
    assert formats[0]["train"].features == formats[1]["train"].features
    assert ("tools" in jsonl["train"][0]) == (project == "tools")


def test_another_export_of_the_same_name_is_another(warehouse: WarehouseUrl, tmp_path: Path) -> None:
    """`datasets` keeps what it has loaded: the next `out` must not give the rows of the one before."""
    from datasets import load_dataset

    names = []
    for kind in ("kto", "pairs"):
        folder = make_export(warehouse, tmp_path / kind, kind).made.folder
        names.append(load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"].column_names)
    assert "completion" in names[0]
    assert "chosen" in names[1]


def test_three_steps_of_training_and_an_evaluation(trainer: Any, share: float) -> None:
    assert trainer.state.global_step == STEPS
    assert len(logged(trainer)) == STEPS
    assert all(math.isfinite(loss) for loss in logged(trainer))
    assert len(set(logged(trainer))) > 1, "the loss does not move"
    assert len(logged(trainer, "eval_loss")) == (1 if share else 0)
    assert all(math.isfinite(loss) for loss in logged(trainer, "eval_loss"))


def test_the_trainer_keeps_every_row_and_learns_the_whole_answer_only(
    exported: Exported, trainer: Any, tiny_model: TinyModel
) -> None:
    """In the loss is the answer to its end, and nothing of the prompt; of the rows to train on and of those held out."""
    kept = {"train": trainer.train_dataset} | ({"test": trainer.eval_dataset} if trainer.eval_dataset else {})

    assert {split: len(rows) for split, rows in kept.items()} == exported.counts
    assert sum(exported.counts.values()) == COUNT
    for split, rows in kept.items():
        made = list(exported.made.rows(split))
        seen = [in_loss(trainer, exported.kind, row) for row in rows]
        assert sorted(seen) == sorted(expected_texts(row, exported.kind, tiny_model) for row in made)
        if exported.kind == "kto":
            labels = {tuple(texts): row["label"] for texts, row in zip(seen, rows, strict=True)}
            assert labels == {tuple(expected_texts(row, "kto", tiny_model)): row["label"] for row in made}
        if exported.kind == "reward":
            margins = {tuple(texts): row["margin"] for texts, row in zip(seen, rows, strict=True)}
            assert margins == {tuple(expected_texts(row, "reward", tiny_model)): row["margin"] for row in made}


@pytest.mark.parametrize("exported", ["kto"], indirect=True)
def test_the_mismatched_completion_is_another_rows(trainer: Any) -> None:
    """KTO's KL term takes the completion of the row before: nowhere may that be the row's own."""
    kept = trainer.train_dataset
    # Before 1.0 it is the whole text, prompt and all.
    names = {"KL_completion_ids": "completion_ids", "KL_completion_input_ids": "completion_input_ids"}
    mismatched = next(name for name in names if name in kept.column_names)
    assert not [row for row in kept if row[mismatched] == row[names[mismatched]]]


def test_pairs_teach_something(warehouse: WarehouseUrl, tiny_model: TinyModel, tmp_path: Path) -> None:
    """The loss begins at ln 2 and moves away; with equal answers it would stay there."""
    data = make_export(warehouse, tmp_path, "pairs").load()["train"]
    equal = data.map(lambda row: {"rejected": row["chosen"]})

    moving = logged(train("pairs", data, tiny_model, tmp_path, steps=10))
    stuck = logged(train("pairs", equal, tiny_model, tmp_path, steps=10))

    assert moving[0] == pytest.approx(math.log(2), abs=1e-4)
    assert max(abs(loss - math.log(2)) for loss in moving) > 2e-3
    assert stuck == pytest.approx([math.log(2)] * 10, abs=1e-4)
