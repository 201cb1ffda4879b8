"""
HALOs: one JSON array; binary feedback for KTO, pairwise feedback for pairs.

    {"type": "binary_feedback", "prompt_id": "5f2c…", "prompt": [{"role": "user", "content": "Hi"}],
     "output": [{"role": "assistant", "content": "Hello."}], "label": 1, "reward": 1.0, "split": "train"}

Its loader keeps one prompt an id, so that the id is a hash of the whole context; and it takes the split of
an id's first row for all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from .base import TEXT_MESSAGES, Facts, Format, Kind, Profile, Row, Settings
from .chat import answer_of, text_message, to_json, turns_of
from .checks import TEXT, answer_problems, different_problems, field_problems, prompt_problems, value_problems

_TYPES: Final[dict[Kind, str]] = {"kto": "binary_feedback", "pairs": "pairwise_feedback"}
_OUTPUTS: Final[dict[Kind, tuple[str, ...]]] = {"kto": ("output",), "pairs": ("output_A", "output_B")}
_REWARDS: Final[dict[Kind, tuple[str, ...]]] = {"kto": ("reward",), "pairs": ("reward_A", "reward_B")}
_NOTE: Final = """# HALOs

    python launch.py loss={loss} datasets=[{train}]{test} n_examples={rows} max_prompt_length=1024

Set `n_examples`: from `n_epochs` HALOs counts pairs, and binary feedback has none, which makes 0 steps.
`max_prompt_length` is 128 unless set, and longer prompts are cut.
"""


class Halos(Profile):
    """Rows of `get_feedback` in HALOs' loader."""

    name: ClassVar[str] = "halos"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"kto", "pairs"})
    formats: ClassVar[tuple[Format, ...]] = ("json",)

    def prompt_roles(self, settings: Settings) -> str:
        return "s?(ua)*u"

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = [text_message(turn) for turn in turns_of(example["prompt"], settings)]
        row: Row = {"type": _TYPES[settings.kind], "prompt_id": prompt_id(prompt), "prompt": prompt}
        if settings.kind == "kto":
            label = int(example["label"])
            row |= {"output": [text_message(answer_of(example, "completion", settings))], "label": label}
            row |= {"reward": float(label)}
        else:
            row |= {"output_A": [text_message(answer_of(example, "chosen", settings))]}
            row |= {"output_B": [text_message(answer_of(example, "rejected", settings))]}
            row |= {"label": 1, "reward_A": 1.0, "reward_B": 0.0}
        # Its loader knows these two; what is not for training it evaluates on.
        return row | {"split": "train" if settings.split == "train" else "test"}

    def problems(self, row: Row, settings: Settings) -> list[str]:
        own = [*self.types(settings)]
        found = [*value_problems(row), *field_problems(row, own, ())]
        prompt = row.get("prompt")
        found += prompt_problems("prompt", prompt, self.prompt_roles(settings), TEXT)
        for name in _OUTPUTS[settings.kind]:
            found += answer_problems(name, row.get(name), prompt, TEXT)
        if settings.kind == "pairs":
            found += different_problems(row.get("output_A"), row.get("output_B"), ("output_A", "output_B"))
        return [*found, *_loader_problems(row, settings)]

    def types(self, settings: Settings) -> dict[str, str]:
        types = {"type": "VARCHAR", "prompt_id": "VARCHAR", "prompt": TEXT_MESSAGES}
        types |= dict.fromkeys(_OUTPUTS[settings.kind], TEXT_MESSAGES)
        types |= {"label": "BIGINT"} | dict.fromkeys(_REWARDS[settings.kind], "DOUBLE")
        return types | {"split": "VARCHAR"}

    def papers(self, facts: Facts) -> dict[str, str]:
        test = facts.held_out_path
        note = _NOTE.format(
            loss="kto" if facts.kind == "kto" else "dpo",
            train=facts.path_of("train"),
            test=f" test_datasets=[{test}]" if test else "",
            rows=facts.rows.get("train", 0),
        )
        return {"recipes/halos.md": note}


def prompt_id(prompt: list[Row]) -> str:
    """A hash of roles and contents of the whole context."""
    return hashlib.sha256(to_json([[message["role"], message["content"]] for message in prompt]).encode()).hexdigest()


def _loader_problems(row: Row, settings: Settings) -> Iterator[str]:
    if row.get("type") != _TYPES[settings.kind]:
        yield f"type must be {_TYPES[settings.kind]}, not {row.get('type')!r}"
    if not _is_whole(row.get("label")) or row["label"] not in (0, 1):
        yield f"label must be 1 or 0, not {row.get('label')!r}"
    elif settings.kind == "pairs" and row["label"] != 1:
        yield "label must be 1: the loader takes any other for a win of output_B, a tie too"
    for name in _REWARDS[settings.kind]:
        if name in row and (isinstance(row[name], bool) or not isinstance(row[name], (int, float))):
            yield f"{name} must be a number, not {row[name]!r}"
    if row.get("split") not in ("train", "test"):
        yield f"split must be train or test, not {row.get('split')!r}"
    if _is_other_context(row):
        yield "prompt_id is not the hash of the whole prompt: the loader gives all rows of an id one prompt"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_other_context(row: Row) -> bool:
    try:
        return bool(row["prompt_id"] != prompt_id(row["prompt"]))
    except (KeyError, TypeError, UnicodeEncodeError):
        # Said by another rule.
        return False
