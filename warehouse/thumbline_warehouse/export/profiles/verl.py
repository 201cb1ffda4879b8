r"""
verl, from Parquet: prompts for reinforcement learning, and rendered text for reward models.

    {"prompt": [{"role": "user", "content": "Hi"}], "data_source": "thumbline",
     "reward_model": {"style": "rule", "ground_truth": ""}, "extra_info": {"example_id": "9f31…"}}

    {"prompt": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "chosen": "Hello.<|im_end|>\n",
     "rejected": "What?<|im_end|>\n"}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from .base import ANY_TEXT_CHAT, PAIRED, TEXT_MESSAGES, Facts, Format, Kind, Profile, Row, Settings
from .chat import answer_of, text_message, turns_of
from .checks import TEXT, different_problems, field_problems, prompt_problems, text_problems, value_problems
from .render import rendered_pair

_TEXTS: Final = ("prompt", "chosen", "rejected")
_RESERVED: Final = frozenset({"images", "videos", "input_ids", "attention_mask", "position_ids", "raw_prompt", "index"})
_RL: Final = """#!/bin/sh
# sh recipes/verl.sh MODEL REWARD.py [more options]; REWARD.py defines compute_score(data_source, solution_str,
# ground_truth, extra_info): verl has no reward of its own for this data. Prompts over max_prompt_length go.
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)
model=$1
reward=$2
shift 2
python -m verl.trainer.main_ppo \\
  algorithm.adv_estimator=grpo \\
  data.train_files="$folder/{train}" \\
  data.val_files="$folder/{validation}" \\
  data.max_prompt_length=1024 \\
  actor_rollout_ref.model.path="$model" \\
  custom_reward_function.path="$reward" "$@"
"""
_RM: Final = '''"""
The pairs as verl's RMDataset: python recipes/verl_rm.py MODEL

add_eos is off because the texts end with the template's end of turn.
"""

import sys
from pathlib import Path

from verl.utils.dataset.rm_dataset import RMDataset

train = Path(__file__).parent.parent / "{train}"
dataset = RMDataset([str(train)], sys.argv[1], max_length=1024, add_eos=False)
print(len(dataset), "pairs")
'''


class Verl(Profile):
    """Rows of verl's `RLHFDataset` (prompts) and `RMDataset` (pairs and reward)."""

    name: ClassVar[str] = "verl"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"prompts", "pairs", "reward"})
    formats: ClassVar[tuple[Format, ...]] = ("parquet",)

    def prompt_roles(self, settings: Settings) -> str:
        return ANY_TEXT_CHAT

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = [text_message(turn) for turn in turns_of(example["prompt"], settings)]
        if settings.kind == "prompts":
            return {
                "prompt": prompt,
                "data_source": "thumbline",
                "reward_model": {"style": "rule", "ground_truth": ""},
                "extra_info": {"example_id": str(example.get("example_id") or "")},
            }
        answers = [text_message(answer_of(example, name, settings)) for name in ("chosen", "rejected")]
        texts = [rendered_pair(prompt, answer, settings.chat_template) for answer in answers]
        return {"prompt": texts[0][0], "chosen": texts[0][1], "rejected": texts[1][1]}

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, [*self.types(settings)], _RESERVED)]
        if settings.kind in PAIRED:
            found += text_problems(row, *_TEXTS)
            return [*found, *different_problems(row.get("chosen"), row.get("rejected"))]
        found += prompt_problems("prompt", row.get("prompt"), self.prompt_roles(settings), TEXT)
        return [*found, *_reward_problems(row)]

    def types(self, settings: Settings) -> dict[str, str]:
        if settings.kind in PAIRED:
            return dict.fromkeys(_TEXTS, "VARCHAR")
        return {
            "prompt": TEXT_MESSAGES,
            "data_source": "VARCHAR",
            "reward_model": "STRUCT(style VARCHAR, ground_truth VARCHAR)",
            "extra_info": "STRUCT(example_id VARCHAR)",
        }

    def papers(self, facts: Facts) -> dict[str, str]:
        train = facts.path_of("train")
        if facts.kind in PAIRED:
            return {"recipes/verl_rm.py": _RM.format(train=train)}
        return {"recipes/verl.sh": _RL.format(train=train, validation=facts.held_out_path or train)}


def _reward_problems(row: Row) -> Iterator[str]:
    if not (isinstance(row.get("data_source"), str) and row["data_source"]):
        yield "data_source must name where the prompt is from: the reward is chosen by it"
    reward: Any = row.get("reward_model")
    if not (isinstance(reward, dict) and "ground_truth" in reward):
        yield "reward_model must have ground_truth"
    if not (isinstance(row.get("extra_info"), dict) and row["extra_info"]):
        yield "extra_info must be an object that is not empty"
