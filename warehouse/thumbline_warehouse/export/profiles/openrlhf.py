"""
OpenRLHF: TRL's text rows, read with flags that name the fields.

    {"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Hello."}],
     "rejected": [{"role": "assistant", "content": "What?"}]}

It has no KTO any more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from .base import ANY_TEXT_CHAT, Facts, Kind, Row, Settings
from .trl import Trl

_COMMANDS: Final[dict[Kind, tuple[str, str]]] = {
    "pairs": ("train_dpo", ""),
    "reward": ("train_rm", "  --model.margin_loss_enable \\\n"),
}
_SCRIPT: Final = """#!/bin/sh
# sh recipes/openrlhf.sh MODEL [more options]
# Without --data.prompt_key OpenRLHF finds an empty conversation.
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)
model=$1
shift
deepspeed --module openrlhf.cli.{command} \\
  --model.model_name_or_path "$model" \\
  --data.dataset "$folder" \\
  --data.prompt_key prompt --data.chosen_key chosen --data.rejected_key rejected \\
  --data.apply_chat_template \\
{more}  "$@"
"""


class OpenRlhf(Trl):
    """TRL's rows of pairs, text only."""

    name: ClassVar[str] = "openrlhf"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"pairs", "reward"})
    carries_tools: ClassVar[bool] = False
    carries_images: ClassVar[bool] = False

    def prompt_roles(self, settings: Settings) -> str:
        return ANY_TEXT_CHAT

    def fields(self, example: Row, settings: Settings) -> Row:
        return super().fields(example, _text_only(settings))

    def problems(self, row: Row, settings: Settings) -> list[str]:
        return super().problems(row, _text_only(settings))

    def types(self, settings: Settings) -> dict[str, str]:
        return super().types(_text_only(settings))

    def columns(self, settings: Settings) -> dict[str, str]:
        return {}

    def papers(self, facts: Facts) -> dict[str, str]:
        command, more = _COMMANDS[facts.kind]
        return {"recipes/openrlhf.sh": _SCRIPT.format(command=command, more=more)}


def _text_only(settings: Settings) -> Settings:
    # Rows with tools or images are refused earlier: these rows never widen.
    return replace(settings, rich=False, images=False)
