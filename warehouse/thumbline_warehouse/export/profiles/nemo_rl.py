"""
NeMo RL: the context, and two completions by rank.

    {"context": [{"role": "user", "content": "Hi"}],
     "completions": [{"rank": 0, "completion": [{"role": "assistant", "content": "Hello."}]},
                     {"rank": 1, "completion": [{"role": "assistant", "content": "What?"}]}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from .base import ANY_TEXT_CHAT, TEXT_MESSAGES, Facts, Kind, Profile, Row, Settings
from .chat import answer_of, text_message, turns_of
from .checks import TEXT, answer_problems, different_problems, field_problems, prompt_problems, value_problems

_COMPLETIONS: Final = f'STRUCT("rank" BIGINT, completion {TEXT_MESSAGES})[]'
_YAML: Final = """# uv run examples/run_{script}.py --config examples/configs/nemo_rl.yaml \\
#   policy.model_name=MODEL policy.tokenizer.name=MODEL
# Copy this into examples/configs of NeMo RL, and put the folder of this export before the paths. Pairs over max_total_sequence_length stay, with a loss of 0.
defaults: {script}.yaml
data:
  train:
    data_path: {train}
{validation}  default:
    dataset_name: PreferenceDataset
    prompt_file: null
    system_prompt_file: null
"""


class NemoRl(Profile):
    """Rows of NeMo RL's `PreferenceDataset`, for DPO and reward models."""

    name: ClassVar[str] = "nemo-rl"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"pairs", "reward"})

    def prompt_roles(self, settings: Settings) -> str:
        return ANY_TEXT_CHAT

    def fields(self, example: Row, settings: Settings) -> Row:
        answers = [text_message(answer_of(example, name, settings)) for name in ("chosen", "rejected")]
        return {
            "context": [text_message(turn) for turn in turns_of(example["prompt"], settings)],
            "completions": [{"rank": rank, "completion": [answer]} for rank, answer in enumerate(answers)],
        }

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, [*self.types(settings)], ("task_name",))]
        found += prompt_problems("context", row.get("context"), self.prompt_roles(settings), TEXT)
        return [*found, *_completion_problems(row)]

    def types(self, settings: Settings) -> dict[str, str]:
        return {"context": TEXT_MESSAGES, "completions": _COMPLETIONS}

    def papers(self, facts: Facts) -> dict[str, str]:
        test = facts.held_out_path
        yaml = _YAML.format(
            script="dpo" if facts.kind == "pairs" else "rm",
            train=facts.path_of("train"),
            validation=f"  validation:\n    data_path: {test}\n" if test else "  validation: null\n",
        )
        return {"recipes/nemo_rl.yaml": yaml}


def _completion_problems(row: Row) -> Iterator[str]:
    completions = row.get("completions")
    if not isinstance(completions, list) or len(completions) != 2:
        yield "completions must be a list of exactly two"
        return
    if not all(isinstance(one, dict) and set(one) == {"rank", "completion"} for one in completions):
        yield "completions must each have rank and completion, and nothing else"
        return
    ranks: list[Any] = [one["rank"] for one in completions]
    if ranks[0] == ranks[1]:
        yield "completions have the same rank: ties are refused"
    elif ranks != [0, 1] or bool in map(type, ranks):
        yield f"completions must have the ranks 0 and 1, not {ranks[0]!r} and {ranks[1]!r}"
    for number, one in enumerate(completions):
        yield from answer_problems(f"completions[{number}].completion", one["completion"], row.get("context"), TEXT)
    names = ("the completion of rank 0", "the completion of rank 1")
    yield from different_problems(completions[0]["completion"], completions[1]["completion"], names)
