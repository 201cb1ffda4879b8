"""TRL on rows with tools, and the recipes that lie beside an export."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import math
import runpy
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.trainers.conftest import END, TinyModel, make_export
from thumbline_warehouse.export.profiles import Settings, features_of_types, profile
from thumbline_warehouse.urls import WarehouseUrl

if importlib.util.find_spec("trl") is None:
    pytest.skip("trl is not installed: make test-trainers", allow_module_level=True)

pytestmark = [
    pytest.mark.trainers,
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning"),
]

COUNT = 16
# No module of trl yet: loading it takes seconds, and its warnings at collection would be errors.
BEFORE_ONE = version("trl").startswith("0.")
TRAINED_BY = {"kto": "kto", "pairs": "dpo", "reward": "reward", "sft": "sft", "prompts": "grpo"}
# Writes tools, calls and results as some models' templates do; a null, or a key that is there but null, shows.
WITH_TOOLS = (
    "{% if tools is not none %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{% for c in m['tool_calls'] or [] %}<call>{{ c['function']['name'] }} {{ c['function']['arguments'] }}</call>"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def call(arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": "weather", "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }


def tool(i: int) -> dict[str, Any]:
    # Every second has another parameter: tables would give each tool those of all.
    parameters = {"type": "object", "properties": {f"p{i % 2}": {"type": "string"}}}
    return {"type": "function", "function": {"name": "weather", "parameters": parameters}}


def example_of(i: int, kind: str, rich: bool) -> dict[str, Any]:
    prompt: list[dict[str, Any]] = [{"role": "user", "content": f"Weather in {i}?"}]
    if rich and i % 3:
        prompt += [call({f"p{i % 2}": str(i)}), {"role": "tool", "tool_call_id": "c1", "content": f"{i} degrees"}]
    answer = call({f"p{i % 2}": "x"}) if rich and not i % 3 else {"role": "assistant", "content": f"It is {i}."}
    row: dict[str, Any] = {"prompt": prompt}
    if kind in ("kto", "sft"):
        row["completion"] = [answer]
    if kind in ("pairs", "reward"):
        row |= {"chosen": [answer], "rejected": [{"role": "assistant", "content": f"No idea, {i}."}]}
    row |= {"label": i % 4 != 0} if kind == "kto" else {}
    row |= {"margin": float(i % 3)} if kind == "reward" else {}
    return row | ({"tools": [tool(i)] if i % 5 else None} if rich else {})


def write(folder: Path, settings: Settings) -> list[dict[str, Any]]:
    """A folder like an export's: rows and card."""
    made = profile("trl")
    rows = [made.convert(example_of(i, settings.kind, settings.rich), settings) for i in range(COUNT)]
    assert not any(made.problems(row, settings) for row in rows)
    path = folder / "data" / "train.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if settings.format == "parquet":
        listed = ", ".join(f"'{name}': '{type_}'" for name, type_ in made.types(settings).items())
        read = f"SELECT * FROM read_json('{path}', columns = {{{listed}}})"
        duckdb.sql(f"COPY ({read}) TO '{path.with_suffix('.parquet')}'")
        path.unlink()
        path = path.with_suffix(".parquet")
    relative = str(path.relative_to(folder))
    write_card(folder, relative, made.types(settings))
    return rows


def write_card(folder: Path, file: str, types: dict[str, str]) -> None:
    config = {
        "config_name": folder.parent.name,
        "data_files": [{"split": "train", "path": file}],
        "features": features_of_types(types),
    }
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps([config])}\n---\n")


def train(folder: Path, kind: str, model: TinyModel, tokenizer: Any) -> Any:
    import trl
    from datasets import load_dataset

    prefix = {"kto": "KTO", "pairs": "DPO", "reward": "Reward", "sft": "SFT"}[kind]
    config = getattr(trl, f"{prefix}Config")(
        output_dir=str(folder.parent / "trained"),
        max_steps=2,
        per_device_train_batch_size=4,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
    )
    data = load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))["train"]
    trainer = getattr(trl, f"{prefix}Trainer")(
        model=str(model.folder), args=config, train_dataset=data, processing_class=tokenizer
    )
    trainer.train()
    assert all(math.isfinite(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    return trainer


def texts(trainer: Any) -> list[str]:
    """Whole conversations as the trainer tokenised them, in the order of the rows."""
    rows = trainer.train_dataset.to_list()
    known = [("prompt_ids", "completion_ids"), ("prompt_ids", "chosen_ids"), ("chosen_ids",), ("chosen_input_ids",)]
    known = [
        ("prompt_input_ids", "chosen_input_ids"),
        ("completion_input_ids",),
        ("input_ids_chosen",),
        *known,
        ("input_ids",),
    ]
    names = next(names for names in known if set(names) <= set(rows[0]))
    return ["".join(trainer.processing_class.decode(row[name]) for name in names) for row in rows]


@pytest.mark.skipif(BEFORE_ONE, reason="TRL before 1.0 reads no tools as text, and no prompt that ends with a result")
@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["kto", "pairs", "reward", "sft"])
def test_tools_reach_the_template_as_they_were(kind: Any, format_: Any, tiny_model: TinyModel, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    rows = write(tmp_path / "export", Settings(kind, format_, rich=True))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model.folder)
    tokenizer.chat_template = WITH_TOOLS

    seen = texts(train(tmp_path / "export", kind, tiny_model, tokenizer))

    assert len(seen) == COUNT
    for i, (row, text) in enumerate(zip(rows, seen, strict=True)):
        where = "x" if not i % 3 else str(i)
        assert f'<call>weather {{"p{i % 2}": "{where}"}}</call>{END}' in text, row
        assert (f"<|im_start|>tool\n{i} degrees{END}" in text) == bool(i % 3)
        assert text.startswith(f"<|im_start|>tools\n{json.dumps([tool(i)])}{END}") == bool(i % 5)
        assert ("<|im_start|>tools" in text) == bool(i % 5)


@pytest.mark.parametrize("kind", list(TRAINED_BY))
def test_the_recipe_beside_an_export_trains(
    kind: Any, warehouse: WarehouseUrl, tiny_model: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if BEFORE_ONE and kind == "prompts":
        pytest.skip("before 1.0 GRPO gives the model what the tiny tokenizer says of token types")
    made = make_export(warehouse, tmp_path, kind, test=0.2).made
    script = made.folder / "recipes" / f"trl_{TRAINED_BY[kind]}.py"
    options = {
        "output_dir": str(tmp_path / "trained"),
        "max_steps": "2",
        "logging_steps": "1",
        "report_to": "none",
        "use_cpu": "True",
        "bf16": "False",
        "gradient_checkpointing": "False",
        "disable_tqdm": "True",
    }
    if kind == "prompts":
        (tmp_path / "mine.py").write_text(
            "def score(completions, **columns): return [float(len(str(c)) % 3) for c in completions]\n"
        )
        monkeypatch.chdir(tmp_path)
        options |= {"reward": "mine:score", "num_generations": "2", "max_completion_length": "4"}
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", [str(script), str(tiny_model.folder), *given])
    monkeypatch.setattr(sys, "path", list(sys.path))

    ran = runpy.run_path(str(script), run_name="__main__")

    assert ran["trainer"].state.global_step == 2
    assert (tmp_path / "trained" / "model.safetensors").exists()
    if kind != "prompts":
        assert [entry for entry in ran["trainer"].state.log_history if math.isfinite(entry.get("eval_loss", math.nan))]
    if kind == "kto":
        suggested = made.manifest["suggested"]
        assert suggested["undesirable_weight"] > 1
        for name in ("desirable_weight", "undesirable_weight"):
            assert getattr(ran["config"], name) == suggested[name]


def test_with_the_cards_features_tools_may_come_late(tmp_path: Path) -> None:
    """Without them `datasets` stops at a tool call after 10 MB in which it saw none."""
    from datasets import load_dataset

    settings = Settings("kto", rich=True)
    made = profile("trl")
    long = {"prompt": [{"role": "user", "content": "x" * 20_000}], "label": True, "tools": None}
    long["completion"] = [{"role": "assistant", "content": "y"}]
    examples = [*[long] * 600, example_of(1, "kto", True)]
    rows = [made.convert(example, settings) for example in examples]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_card(tmp_path, "data/train.jsonl", made.types(settings))

    loaded = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))["train"]

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: bare(item) for name, item in value.items() if item is not None}
        return [bare(item) for item in value] if isinstance(value, list) else value

    assert [bare(row) for row in loaded.to_list()] == rows


def test_images_arrive_as_images(tmp_path: Path) -> None:
    from datasets import load_dataset

    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image.new("RGB", (2, 3), "red").save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    settings = Settings("kto", "parquet", images=True, rich=True)
    made = profile("trl")
    example = {
        "prompt": [{"role": "user", "content": parts}],
        "completion": [{"role": "assistant", "content": "Red."}],
        "label": True,
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(made.convert(example, settings)) + "\n")
    listed = ", ".join(f"'{name}': '{type_}'" for name, type_ in made.types(settings).items())
    columns = ", ".join(f"{made.columns(settings).get(name, name)} AS {name}" for name in made.types(settings))
    (tmp_path / "data").mkdir()
    read = f"SELECT {columns} FROM read_json('{tmp_path}/rows.jsonl', columns = {{{listed}}})"
    duckdb.sql(f"COPY ({read}) TO '{tmp_path}/data/train.parquet'")
    (tmp_path / "rows.jsonl").unlink()
    write_card(tmp_path, "data/train.parquet", made.types(settings))

    (row,) = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))["train"]

    assert row["images"][0].size == (2, 3)
    assert [part["type"] for part in row["prompt"][0]["content"]] == ["text", "image"]
