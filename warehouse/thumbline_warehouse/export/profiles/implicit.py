"""
Implicit prompts, as torchtune and RewardBench read them: both answers are whole conversations.

    {"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
     "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What?"}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from .base import TEXT_MESSAGES, Facts, Format, Kind, Profile, Row, Settings
from .chat import answer_of, text_message, turns_of
from .checks import (
    TEXT,
    different_problems,
    field_problems,
    margin_problems,
    message_problems,
    one_answer_problems,
    prompt_problems,
    value_problems,
)

_SIDES: Final = ("chosen", "rejected")
# `prompt` beside whole conversations would be taken for an explicit prompt.
_RESERVED: Final = frozenset({"prompt", "messages", "text", "tools", "images", "image", "completion"})
_TORCHTUNE: Final = """# tune run lora_dpo_single_device --config CONFIG with this dataset, from this export's folder.
# torchtune also trains on the assistant's earlier turns, on both sides.
dataset:
  _component_: torchtune.datasets.preference_dataset
  source: {source}
  data_files: {train}
  split: train
"""
_REWARDBENCH: Final = """#!/bin/sh
# sh recipes/rewardbench.sh MODEL [more options]; give one file, since all splits of a folder are merged.
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)
model=$1
shift
rewardbench --model "$model" --dataset "$folder/{file}" --load_json "$@"
"""


class Implicit(Profile):
    """Rows without `prompt`: what the two conversations share is the prompt."""

    name: ClassVar[str] = "implicit"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"pairs", "reward"})
    formats: ClassVar[tuple[Format, ...]] = ("jsonl", "parquet")

    def prompt_roles(self, settings: Settings) -> str:
        return "s?(ua)*u"

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = [text_message(turn) for turn in turns_of(example["prompt"], settings)]
        row: Row = {name: [*prompt, text_message(answer_of(example, name, settings))] for name in _SIDES}
        return row | ({"margin": float(example["margin"])} if settings.kind == "reward" else {})

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, [*self.types(settings)], _RESERVED)]
        for name in _SIDES:
            found += _conversation_problems(name, row.get(name), self.prompt_roles(settings))
        chosen, rejected = row.get("chosen"), row.get("rejected")
        found += different_problems(chosen, rejected)
        if isinstance(chosen, list) and isinstance(rejected, list) and chosen[:-1] != rejected[:-1]:
            found.append("chosen and rejected differ before their last message: that is no one prompt")
        return [*found, *(margin_problems(row) if settings.kind == "reward" else ())]

    def types(self, settings: Settings) -> dict[str, str]:
        margin = {"margin": "DOUBLE"} if settings.kind == "reward" else {}
        return dict.fromkeys(_SIDES, TEXT_MESSAGES) | margin

    def papers(self, facts: Facts) -> dict[str, str]:
        source = "json" if facts.format == "jsonl" else facts.format
        papers = {"recipes/torchtune.yaml": _TORCHTUNE.format(source=source, train=facts.path_of("train"))}
        if facts.format == "jsonl":
            file = facts.path_of("test") or facts.held_out_path or facts.path_of("train")
            papers["recipes/rewardbench.sh"] = _REWARDBENCH.format(file=file)
        return papers


def _conversation_problems(name: str, conversation: Any, roles: str) -> Iterator[str]:
    if not isinstance(conversation, list) or not conversation:
        yield from message_problems(name, conversation, TEXT)
        if conversation == []:
            yield f"{name} is empty"
        return
    yield from prompt_problems(f"{name} before its last message", conversation[:-1], roles, TEXT)
    place = f"{name}[{len(conversation) - 1}]"
    yield from message_problems(place, conversation[-1:], TEXT)
    if isinstance(conversation[-1], dict):
        yield from one_answer_problems(place, conversation[-1])
