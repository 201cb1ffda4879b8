"""What LLaMA-Factory needs beside the data: `dataset_info.json`, and a configuration to train with."""

from __future__ import annotations

import json
from typing import Any, Final

from .base import PAIRED, Facts, Kind

_STAGES: Final[dict[Kind, str]] = {"kto": "kto", "pairs": "dpo", "reward": "rm", "sft": "sft"}
_TAGS: Final = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
    "observation_tag": "observation",
    "function_tag": "function_call",
}


def papers(facts: Facts) -> dict[str, str]:
    """`dataset_info.json` in the export's root, where `dataset_dir` looks for it, and a YAML under recipes."""
    entries = {_name(facts, split): _entry(facts, path) for split, path in facts.files}
    return {
        "dataset_info.json": json.dumps(entries, indent=2) + "\n",
        f"recipes/llamafactory_{_STAGES[facts.kind]}.yaml": _yaml(facts),
    }


def _name(facts: Facts, split: str) -> str:
    return f"thumbline_{facts.kind}" + ("" if split == "train" else f"_{split}")


def _entry(facts: Facts, path: str) -> dict[str, Any]:
    columns = {"messages": "messages"}
    if facts.kind in PAIRED:
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    if facts.kind == "kto":
        columns["kto_tag"] = "label"
    columns |= {"tools": "tools"} if facts.settings.rich else {}
    columns |= {"images": "images"} if facts.settings.images else {}
    # The exact file: a folder would be loaded whole, test rows and all.
    entry: dict[str, Any] = {"file_name": path, "formatting": "sharegpt"}
    entry |= {"ranking": True} if facts.kind in PAIRED else {}
    return entry | {"columns": columns, "tags": _TAGS}


def _yaml(facts: Facts) -> str:
    stage = _STAGES[facts.kind]
    lines = [
        f"# llamafactory-cli train recipes/llamafactory_{stage}.yaml, from this export's folder.",
        "model_name_or_path: MODEL  # fill in, and its template; qwen adds a system prompt of its own",
        "template: TEMPLATE",
        f"stage: {stage}",
        "do_train: true",
        "finetuning_type: lora",
        "dataset_dir: .",
        f"dataset: {_name(facts, 'train')}",
    ]
    if facts.held_out:
        lines += [f"eval_dataset: {_name(facts, facts.held_out)}", "eval_strategy: epoch"]
    if facts.kind == "kto":
        lines += [f"kto_chosen_weight: {facts.desirable_weight}", f"kto_rejected_weight: {facts.undesirable_weight}"]
    if facts.kind == "sft":
        lines += ["mask_history: true  # learn the last answer only"]
    lines += ["cutoff_len: 2048", "per_device_train_batch_size: 4", "output_dir: trained"]
    return "\n".join(lines) + "\n"
