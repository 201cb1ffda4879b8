"""LLaMA-Factory's own loader on the rows and papers of its profile: every row arrives, as it was said."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.trainers.conftest import COUNT as EXPORTED
from tests.trainers.conftest import TinyModel, make_export
from thumbline_warehouse.export.profiles import Facts, Settings, profile
from thumbline_warehouse.urls import WarehouseUrl

if importlib.util.find_spec("llamafactory") is None:
    pytest.skip("LLaMA-Factory is not installed: make test-trainers", allow_module_level=True)

pytestmark = [pytest.mark.trainers, pytest.mark.filterwarnings("ignore")]

COUNT = 64
STAGES = {"kto": "kto", "pairs": "rm", "reward": "rm", "sft": "sft"}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "Where."}}},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"}


@pytest.fixture(scope="module", autouse=True)
def no_sound() -> Iterator[None]:
    """It imports torchaudio, which must be of torch's own version, and uses it for sound only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISABLE_VERSION_CHECK", "1")
        if importlib.util.find_spec("torchaudio") is None:
            patch.setitem(sys.modules, "torchaudio", types.ModuleType("torchaudio"))
        yield


def said(role: str, text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


def prompt_of(i: int, rich: bool) -> list[dict[str, Any]]:
    question = said("user", f"What is {i} times {i}?\n\u2028 \U0001f9ee")
    if rich and i % 4 == 1:
        return [question, said("assistant", None, tool_calls=[CALL]), RESULT]
    if i % 3:
        return [question]
    return [said("system", 'Be "brief".'), said("user", f"I am {i}."), said("assistant", f"Hello {i}."), question]


def example_of(i: int, kind: str, rich: bool) -> dict[str, Any]:
    # One looks like a date, and one is a tool call.
    answer = said("assistant", "2026-11-24" if i == 7 else f"{i * i}, \u00e0 peu pr\u00e8s")
    if rich and i % 4 == 2:
        answer = said("assistant", None, tool_calls=[CALL])
    other = said("assistant", f"No idea, {i}.")
    sides = {"chosen": [answer], "rejected": [other]} if kind in ("pairs", "reward") else {"completion": [answer]}
    label = {"label": i % 8 not in (0, 3, 6)} if kind == "kto" else {}
    margin = {"margin": 1.0} if kind == "reward" else {}
    tools = {"tools": [TOOL] if i % 4 in (1, 2) else None} if rich else {}
    return {"prompt": prompt_of(i, rich), **sides, **label, **margin, **tools, "example_id": f"e{i}", "n_votes": i}


def write(folder: Path, settings: Settings) -> list[dict[str, Any]]:
    """An export of the profile's rows: train and test, and the papers; the examples that went in."""
    made = profile("llamafactory")
    examples = [example_of(i, settings.kind, settings.rich) for i in range(COUNT)]
    files = []
    for split, some in (("train", examples), ("test", examples[:8])):
        path = folder / "data" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        rows = [made.convert(example, settings) for example in some]
        assert not any(made.problems(row, settings) for row in rows)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        if settings.format == "parquet":
            path = as_parquet(path, made.types(settings) | {"example_id": "VARCHAR", "n_votes": "BIGINT"})
        files.append((split, str(path.relative_to(folder))))
    facts = Facts(settings.kind, settings.format, tuple(files), {"train": COUNT, "test": 8}, settings)
    for name, text in made.papers(facts).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return examples


def as_parquet(path: Path, columns: dict[str, str]) -> Path:
    listed = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    read = f"SELECT * FROM read_json('{path}', columns = {{{listed}}})"
    duckdb.sql(f"COPY ({read}) TO '{path.with_suffix('.parquet')}'")
    path.unlink()
    return path.with_suffix(".parquet")


def load(folder: Path, model: TinyModel, settings: Settings, template: str) -> tuple[dict[str, Any], Any]:
    """The data as the trainer would be given it, and the tokenizer."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    given = {
        "model_name_or_path": str(model.folder),
        "stage": {"pairs": "dpo", "reward": "rm"}.get(settings.kind, settings.kind),
        "do_train": True,
        "finetuning_type": "full",
        "template": template,
        "dataset_dir": str(folder),
        "dataset": f"thumbline_{settings.kind}",
        "eval_dataset": f"thumbline_{settings.kind}_test",
        "mask_history": settings.kind == "sft",
        "cutoff_len": 4096,
        "output_dir": str(folder / "trained"),
        "use_cpu": True,
        "bf16": False,
        "overwrite_cache": True,
        "report_to": "none",
    }
    model_args, data_args, training_args, _, _ = get_train_args(given)
    module = load_tokenizer(model_args)
    tokenizer = module["tokenizer"]
    its_template = get_template_and_fix_tokenizer(tokenizer, data_args)
    stage: Any = STAGES[settings.kind]
    return dict(get_dataset(its_template, model_args, data_args, training_args, stage=stage, **module)), tokenizer


def learnt(tokenizer: Any, ids: list[int], labels: list[int]) -> tuple[str, str]:
    """The text before what is learnt, and what is learnt."""
    first = next(n for n, label in enumerate(labels) if label != -100)
    return tokenizer.decode(ids[:first]), tokenizer.decode(ids[first:])


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", list(STAGES))
def test_every_row_of_an_export_arrives_as_it_was_said(
    kind: Any, format_: Any, warehouse: WarehouseUrl, tiny_model: TinyModel, tmp_path: Path
) -> None:
    """Of a real export with a test split: each split is an entry of its own, and no prompt is in both."""
    exported = make_export(warehouse, tmp_path, kind, format_, test=0.2, profile="llamafactory")

    loaded, tokenizer = load(exported.made.folder, tiny_model, Settings(kind, format_), "chatml")

    prefixes = {"chosen": "chosen_", "rejected": "rejected_"} if kind in ("pairs", "reward") else {"completion": ""}
    asked = []
    seen: list[tuple[Any, ...]] = []
    for split, entry in (("train", "train_dataset"), ("test", "eval_dataset")):
        rows = loaded[entry].to_list()
        assert len(rows) == exported.counts[split] > 0
        texts = [
            [learnt(tokenizer, row[f"{p}input_ids"], row[f"{p}labels"]) for p in prefixes.values()] for row in rows
        ]
        asked.append({sides[0][0] for sides in texts})
        seen += [(row.get("kto_tags"), *sides) for row, sides in zip(rows, texts, strict=True)]
    assert len(asked[0] & asked[1]) == 0
    assert len(seen) == len(exported.rows) == (54 if kind == "sft" else EXPORTED)
    assert sorted(seen, key=repr) == sorted(
        (
            (
                row.get("label"),
                *((tiny_model.prompt_text(row["prompt"]), tiny_model.answer_text(row[name])) for name in prefixes),
            )
            for row in exported.rows
        ),
        key=repr,
    )


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["kto", "pairs"])
def test_tool_calls_results_and_tools_arrive(kind: Any, format_: Any, tiny_model: TinyModel, tmp_path: Path) -> None:
    settings = Settings(kind, format_, rich=True)
    examples = write(tmp_path, settings)

    loaded, tokenizer = load(tmp_path, tiny_model, settings, "qwen")

    rows = loaded["train_dataset"].to_list()
    assert len(rows) == COUNT
    if kind == "kto":
        assert [row["kto_tags"] for row in rows] == [example["label"] for example in examples]
    prefix = "" if kind == "kto" else "chosen_"
    for i, row in enumerate(rows):
        before, answer = learnt(tokenizer, row[f"{prefix}input_ids"], row[f"{prefix}labels"])
        call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
        assert ("The weather of a city." in before) == (i % 4 in (1, 2))
        assert (f"{call}<|im_end|>\n<|im_start|>user\n<tool_response>\n12 degrees" in before) == (i % 4 == 1)
        assert (call in answer) == (i % 4 == 2)


def test_rows_in_trls_form_would_all_be_lost(tiny_model: TinyModel, tmp_path: Path) -> None:
    """Why there is a profile; and that this test would see it."""
    settings = Settings("kto")
    write(tmp_path, settings)
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    info["thumbline_kto"]["columns"]["messages"] = "prompt"
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    rows = [example_of(i, "kto", False) for i in range(COUNT)]
    (tmp_path / "data" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RuntimeError, match="Cannot find valid samples"):
        load(tmp_path, tiny_model, settings, "chatml")
