"""Exports of one small warehouse, and a model small enough to train in a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.events import completion, event, records, thumb
from thumbline_warehouse.export import Export, ExportOptions, Output, Split, export
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

COUNT = 72
END = "<|im_end|>"
_CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Exported:
    """
    A finished export.

    Attributes:
        kind: kto, pairs, reward ...
        made: the export; its folder is what a trainer is given.
        rows: what must be in it, whatever the split, from the events themselves.
    """

    kind: str
    made: Export
    rows: list[dict[str, Any]]

    @property
    def counts(self) -> dict[str, int]:
        """Split -> rows, as the manifest has it."""
        return dict(self.made.manifest["split"]["rows"])

    def load(self) -> Any:
        """What `datasets` makes of the folder as it is."""
        from datasets import load_dataset

        return load_dataset(str(self.made.folder), cache_dir=str(self.made.folder.parent / "cache"))


@dataclass(frozen=True)
class TinyModel:
    """A folder with weights and tokenizer, and the text that its template puts around messages."""

    folder: Path

    def prompt_text(self, prompt: list[dict[str, str]]) -> str:
        return "".join(f"<|im_start|>{m['role']}\n{m['content']}{END}\n" for m in prompt) + "<|im_start|>assistant\n"

    def answer_text(self, answer: list[dict[str, str]]) -> str:
        return f"{answer[0]['content']}{END}\n"


@pytest.fixture(scope="session", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No network, no usage pings, and no cache from an earlier run; must hold before these libraries load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        # The last one is of TRL before 1.0, which says of its KTO trainer where it will move.
        names = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_DATASETS_DISABLE_PROGRESS_BARS")
        for name in (*names, "TRL_EXPERIMENTAL_SILENCE"):
            patch.setenv(name, "1")
        # Where a machine has a GPU, the figures must still be those of the CPU.
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> WarehouseUrl:
    """Rated answers and decided picks, some of them deep in a conversation with a system prompt."""
    url = WarehouseUrl.parse(f"ducklake:{tmp_path_factory.mktemp('warehouse')}/catalog.sqlite")
    with contextlib.closing(DuckLakeStore(url)) as store:
        store.land("log-1", [records(_events(), project="text")])
        store.land("log-2", [records(_tool_events(), project="tools")])
    return url


def make_export(
    warehouse: WarehouseUrl,
    where: Path,
    kind: Any,
    format_: Any = "jsonl",
    *,
    test: float = 0.0,
    profile: Any = "trl",
    project: str = "text",
) -> Exported:
    """A real export of the warehouse into `where/export`."""
    options = ExportOptions(
        kind=kind, project=project, output=Output(format=format_, profile=profile), split=Split(test=test)
    )
    return Exported(kind, export(warehouse, where / "export", options), _expected(kind))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """A Llama of two layers over bytes. In a folder: the trainers load the reference model by its name."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    set_seed(0)
    folder = tmp_path_factory.mktemp("tiny-model")
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    by_bytes = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    by_bytes.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    by_bytes.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=by_bytes,
        eos_token=END,
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = _CHATML
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return TinyModel(folder)


def _prompt(i: int) -> list[dict[str, str]]:
    question = {"role": "user", "content": f"What is {i} times {i}?\nAnswer in one line. \u2028 \U0001f9ee"}
    if i % 3:
        return [question]
    before = [
        {"role": "user", "content": f"Hello, I am number {i}."},
        {"role": "assistant", "content": f"Hello {i}."},
    ]
    return [{"role": "system", "content": 'Be brief: "yes" or "no".'}, *before, question]


def _answer(i: int, which: str) -> str:
    # One looks like a date: readers that guess types would make a time of it.
    return "2026-11-24" if i == 7 and which == "a" else f"{which}: {i * i}, \u00e0 peu pr\u00e8s {'!' * (i % 5)}"


def _events() -> list[dict[str, Any]]:
    events = []
    for i in range(COUNT):
        events += [completion(f"{which}{i}", text=_answer(i, which), messages=_prompt(i)) for which in ("a", "b")]
        events.append(thumb(f"a{i}", "down" if i % 4 == 0 else "up"))
        events.append(event("comparison", comparison_id=f"x{i}", completion_ids=[f"a{i}", f"b{i}"]))
        said = {"outcome": "winner", "winner_id": f"{'ab'[i % 2]}{i}", "strength": 4 + i % 2, "scale": 5}
        events.append(event("pick", target_id=f"x{i}", **said))
    return events


def _tool_events() -> list[dict[str, Any]]:
    """Some answers call a tool, some follow its result, some know none."""
    function = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    calls = [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}]
    calling = {"role": "assistant", "content": None, "tool_calls": calls}
    events = []
    for i in range(24):
        prompt: list[dict[str, Any]] = [{"role": "user", "content": f"The weather of {i}?"}]
        prompt += [calling, {"role": "tool", "tool_call_id": "c1", "content": f"{i} degrees"}] if i % 3 == 1 else []
        more = {"tools": [{"type": "function", "function": function}]} if i % 3 else {}
        events.append(completion(f"a{i}", messages=prompt, **more, **({"response": calling} if i % 3 == 2 else {})))
        events.append(completion(f"b{i}", messages=prompt, text=f"No idea, {i}.", **more))
        events.append(thumb(f"a{i}", "down" if i % 4 == 0 else "up"))
        events.append(event("comparison", comparison_id=f"x{i}", completion_ids=[f"a{i}", f"b{i}"]))
        events.append(event("pick", target_id=f"x{i}", outcome="winner", winner_id=f"a{i}"))
    return events


def _expected(kind: str) -> list[dict[str, Any]]:
    rows = {"kto": _rated, "pairs": _picked, "reward": _picked, "sft": _liked, "prompts": _asked}[kind]()
    return [row | {"margin": 1.0 + i % 2} for i, row in enumerate(rows)] if kind == "reward" else rows


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _rated() -> list[dict[str, Any]]:
    return [{"prompt": _prompt(i), "completion": _said(_answer(i, "a")), "label": i % 4 != 0} for i in range(COUNT)]


def _picked() -> list[dict[str, Any]]:
    won = [("a", "b") if i % 2 == 0 else ("b", "a") for i in range(COUNT)]
    return [
        {"prompt": _prompt(i), "chosen": _said(_answer(i, winner)), "rejected": _said(_answer(i, loser))}
        for i, (winner, loser) in enumerate(won)
    ]


def _liked() -> list[dict[str, Any]]:
    return [{"prompt": row["prompt"], "completion": row["completion"]} for row in _rated() if row["label"]]


def _asked() -> list[dict[str, Any]]:
    return [{"prompt": _prompt(i)} for i in range(COUNT)]
