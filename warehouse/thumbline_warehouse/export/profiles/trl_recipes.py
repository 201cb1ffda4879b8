"""Short scripts that train on an export with TRL."""

from __future__ import annotations

from typing import Final

from .base import Facts, Kind

_TRAINERS: Final[dict[Kind, tuple[str, str]]] = {
    "kto": ("kto", "KTO"),
    "pairs": ("dpo", "DPO"),
    "reward": ("reward", "Reward"),
    "prompts": ("grpo", "GRPO"),
    "sft": ("sft", "SFT"),
}
# TRL's own advice; a step of fewer rows gives KTO no usable estimate of the KL term.
_BATCH: Final = 4

_HEAD: Final = '''"""
{what}

    python {path} MODEL{more} [--max_steps 100 --output_dir trained ...]

Every option of {config} can be given.
"""

'''
_LOAD: Final = """folder = Path(__file__).parent.parent
parser = HfArgumentParser({config})
parser.add_argument("model")
{arguments}parser.set_defaults(
{defaults}
)
config, given = parser.parse_args_into_dataclasses()

data = load_dataset(str(folder))
{cast}trainer = {trainer}(
    model=given.model,
{reward}    args=config,
    train_dataset=data["train"],
    eval_dataset=data.get("validation", data.get("test")),
    processing_class={processor}.from_pretrained(given.model),
)
trainer.train()
trainer.save_model()
"""
_CAST: Final = """# The bytes become images here.
data = data.cast_column("images", Sequence(Image()))
"""


def papers(facts: Facts) -> dict[str, str]:
    """The script of the kind: `{"recipes/trl_kto.py": ...}`."""
    short, prefix = _TRAINERS[facts.kind]
    path = f"recipes/trl_{short}.py"
    return {path: _head(facts, path, prefix) + _imports(facts, prefix) + _body(facts, prefix)}


def _head(facts: Facts, path: str, prefix: str) -> str:
    rows = ", ".join(f"{count:,} {split}" for split, count in facts.rows.items())
    what = f"Trains on this export ({rows} rows) with TRL's {prefix}Trainer."
    more = " --reward MODULE:FUNCTION" if facts.kind == "prompts" else ""
    return _HEAD.format(what=what, path=path, more=more, config=f"{prefix}Config")


def _imports(facts: Facts, prefix: str) -> str:
    lines = ["from pathlib import Path", ""]
    if facts.kind == "prompts":
        lines.insert(0, "import sys\nfrom importlib import import_module")
    datasets = "Image, Sequence, load_dataset" if facts.settings.images else "load_dataset"
    lines += [f"from datasets import {datasets}", f"from transformers import {_processor(facts)}, HfArgumentParser"]
    lines += [f"from trl import {prefix}Config, {prefix}Trainer", "", ""]
    return "\n".join(lines)


def _body(facts: Facts, prefix: str) -> str:
    prompts = facts.kind == "prompts"
    return _LOAD.format(
        config=f"{prefix}Config",
        trainer=f"{prefix}Trainer",
        processor=_processor(facts),
        defaults="\n".join(f"    {name}={value!r}," for name, value in _defaults(facts).items()),
        arguments=_REWARD_ARGUMENT if prompts else "",
        reward="    reward_funcs=reward,\n" if prompts else "",
        cast=(_CAST if facts.settings.images else "") + (_REWARD if prompts else ""),
    )


def _processor(facts: Facts) -> str:
    return "AutoProcessor" if facts.settings.images else "AutoTokenizer"


def _defaults(facts: Facts) -> dict[str, object]:
    defaults: dict[str, object] = {"output_dir": "trained", "per_device_train_batch_size": _BATCH}
    if facts.kind == "kto":
        defaults["desirable_weight"] = facts.desirable_weight
        defaults["undesirable_weight"] = facts.undesirable_weight
    if facts.kind in ("kto", "pairs"):
        defaults["learning_rate"] = 1e-6
    if facts.held_out and facts.kind != "prompts":
        # GRPO draws answers to evaluate, and is particular about how many.
        defaults["eval_strategy"] = "epoch"
    return defaults


_REWARD_ARGUMENT: Final = """parser.add_argument(
    "--reward",
    required=True,
    help="MODULE:FUNCTION that takes prompts, completions and **columns and gives a number for each completion",
)
"""
_REWARD: Final = """sys.path.insert(0, "")
module, _, function = given.reward.partition(":")
reward = getattr(import_module(module), function)
"""
