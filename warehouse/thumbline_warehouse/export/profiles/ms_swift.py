"""
ms-swift: one conversation a row, with the label or the rejected answer beside it.

    kto    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "label": true}
    pairs  {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}],
            "rejected_response": "What?"}

Where rows have tools, a call is a message of the role `tool_call`, its result one of `tool_response`, and
the rejected conversation is whole, in `rejected_messages`. Images are `<image>` in the text and `data:` URIs
in `images`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

from .base import PAIRED, Facts, Kind, Profile, ProfileError, Row, Settings
from .chat import LETTERS, Turn, answer_of, to_json, turns_of
from .checks import (
    MessageShape,
    different_problems,
    field_problems,
    is_blank,
    label_problems,
    margin_problems,
    message_problems,
    order_problems,
    parsed,
    tools_problems,
    value_problems,
)

IMAGE: Final = "<image>"
NO_TOOLS: Final = "[]"
_ANSWER: Final[dict[Kind, str]] = {"kto": "completion", "pairs": "chosen", "reward": "chosen", "sft": "completion"}
_SHAPE: Final = MessageShape(frozenset({"system", "user", "assistant"}))
_RICH_SHAPE: Final = MessageShape(frozenset({"system", "user", "assistant", "tool_call", "tool_response"}))
_RESERVED: Final = frozenset(
    {"conversation", "conversations", "system", "system_prompt", "query", "response", "history", "channel", "objects"}
    | {"images", "image", "videos", "video", "audios", "audio", "tools", "label", "margin", "solution", "loss"}
    | {"rejected_response", "chat_template_kwargs"}
    | {f"{side}_{name}" for side in ("rejected", "positive", "negative") for name in ("messages", "images", "tools")}
)
_COMMANDS: Final[dict[Kind, str]] = {
    "kto": "swift rlhf --rlhf_type kto --desirable_weight {desirable} --undesirable_weight {undesirable}",
    "pairs": "swift rlhf --rlhf_type dpo",
    "reward": "swift rlhf --rlhf_type rm",
    "prompts": "swift rlhf --rlhf_type grpo",
    "sft": "swift sft --loss_scale last_round",
}
_SCRIPT: Final = """#!/bin/sh
# sh recipes/ms_swift.sh MODEL [more options]{more}
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)
model=$1
shift
{command} \\
  --model "$model" \\
  --dataset "$folder/{train}" \\
{validation}  --strict true \\
  --per_device_train_batch_size 4 "$@"
"""


class MsSwift(Profile):
    """Rows of ms-swift's standard format."""

    name: ClassVar[str] = "ms-swift"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"kto", "pairs", "reward", "prompts", "sft"})
    carries_tools: ClassVar[bool] = True
    carries_images: ClassVar[bool] = True

    def prompt_roles(self, settings: Settings) -> str:
        return "s?u(a(u|t+))*"

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = turns_of(example["prompt"], settings)
        context = _messages(prompt)
        answers = {name: _messages([_text_answer(example, name, settings)]) for name in _sides(settings)}
        row: Row = {"messages": [*context, *answers.get(_ANSWER.get(settings.kind, ""), [])]}
        if settings.kind in PAIRED:
            whole = {"rejected_messages": [*context, *answers["rejected"]]}
            row |= whole if settings.rich else {"rejected_response": answers["rejected"][0]["content"]}
        if settings.kind == "kto":
            row["label"] = example["label"]
        if settings.kind == "reward":
            row["margin"] = float(example["margin"])
        if settings.rich:
            row["tools"] = to_json(example.get("tools") or [])
        if settings.images:
            row["images"] = [image.url for turn in prompt for image in turn.images]
        return row

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, [*self.types(settings)], _RESERVED)]
        conversations = [name for name in ("messages", "rejected_messages") if name in row]
        for name in conversations:
            found += self._conversation_problems(name, row[name], settings)
        if settings.kind in PAIRED:
            found += _rejected_problems(row, settings)
        if settings.kind == "kto":
            found += label_problems(row)
        if settings.kind == "reward":
            found += margin_problems(row)
        if settings.rich:
            found += tools_problems(row)
        if settings.images:
            found += image_problems(row, "messages")
        return found

    def types(self, settings: Settings) -> dict[str, str]:
        messages = "STRUCT(role VARCHAR, content VARCHAR)[]"
        types = {"messages": messages}
        if settings.kind in PAIRED:
            types |= {"rejected_messages": messages} if settings.rich else {"rejected_response": "VARCHAR"}
        if settings.kind == "kto":
            types["label"] = "BOOLEAN"
        if settings.kind == "reward":
            types["margin"] = "DOUBLE"
        types |= {"tools": "VARCHAR"} if settings.rich else {}
        types |= {"images": "VARCHAR[]"} if settings.images else {}
        return types

    def papers(self, facts: Facts) -> dict[str, str]:
        test = facts.held_out_path
        command = _COMMANDS[facts.kind].format(desirable=facts.desirable_weight, undesirable=facts.undesirable_weight)
        script = _SCRIPT.format(
            command=command,
            more=", among them --reward_funcs" if facts.kind == "prompts" else "",
            train=facts.path_of("train"),
            validation=f'  --val_dataset "$folder/{test}" \\\n' if test else "",
        )
        return {"recipes/ms_swift.sh": script}

    def _conversation_problems(self, name: str, messages: Any, settings: Settings) -> Iterator[str]:
        yield from message_problems(name, messages, _RICH_SHAPE if settings.rich else _SHAPE)
        if not (isinstance(messages, list) and all(isinstance(message, dict) for message in messages)):
            return
        if not messages:
            yield f"{name} is empty"
            return
        letters = _letters(messages)
        if settings.kind != "prompts":
            if not letters.endswith("a"):
                yield f"{name} does not end with the assistant's answer"
                return
            letters = letters[:-1]
            if messages[-1].get("role") == "assistant" and is_blank(messages[-1].get("content")):
                yield f"{name} ends with an empty answer: only the end of the turn would be learnt"
        yield from order_problems(name, letters, self.prompt_roles(settings))
        yield from _call_problems(name, messages)


def image_problems(row: Row, name: str) -> Iterator[str]:
    """Every image has its bytes and its placeholder."""
    images, messages = row.get("images"), row.get(name)
    if not isinstance(images, list):
        yield "images must be a list"
        return
    for number, image in enumerate(images):
        if not (isinstance(image, str) and image.startswith("data:")):
            yield f"images[{number}] has no bytes: the trainer would fetch it; log images as data: URIs"
    if isinstance(messages, list):
        places = sum(str(message.get("content")).count(IMAGE) for message in messages if isinstance(message, dict))
        if places != len(images):
            yield f"images holds {len(images)} images for {places} placeholders {IMAGE} in {name}"


def _sides(settings: Settings) -> tuple[str, ...]:
    answer = _ANSWER.get(settings.kind)
    return (() if answer is None else (answer,)) + (("rejected",) if settings.kind in PAIRED else ())


def _text_answer(example: Row, name: str, settings: Settings) -> Turn:
    turn = answer_of(example, name, settings)
    if turn.images:
        raise ProfileError("an image in an answer cannot be carried")
    return turn


def _messages(turns: Sequence[Turn]) -> list[Row]:
    """A message a turn; a turn with calls is its text, where it has some, and a message a call."""
    messages: list[Row] = []
    for turn in turns:
        text = turn.with_placeholders(IMAGE)
        if turn.role == "tool":
            messages.append({"role": "tool_response", "content": text})
        elif text or not turn.calls:
            messages.append({"role": turn.role, "content": text})
        messages += [
            {"role": "tool_call", "content": to_json({"name": call.name, "arguments": call.object})}
            for call in turn.calls
        ]
    return messages


def _letters(messages: list[Row]) -> str:
    """A letter a turn: a call belongs to the text or the call before it."""
    letters = ""
    for message in messages:
        role = message.get("role")
        if role == "tool_call":
            letters += "" if letters.endswith("a") else "a"
        else:
            letters += "t" if role == "tool_response" else LETTERS.get(str(role), "?")
    return letters


def _call_problems(name: str, messages: list[Row]) -> Iterator[str]:
    for number, message in enumerate(messages):
        if message.get("role") == "tool_call":
            call = parsed(message.get("content"))
            if not (
                isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)
            ):
                yield f"{name}[{number}].content must be JSON text of a call with name and arguments"


def _rejected_problems(row: Row, settings: Settings) -> Iterator[str]:
    messages = row.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages and isinstance(messages[-1], dict) else {}
    if settings.rich:
        yield from different_problems(messages, row.get("rejected_messages"), ("messages", "rejected_messages"))
        return
    rejected = row.get("rejected_response")
    if "rejected_response" in row and not isinstance(rejected, str):
        yield f"rejected_response must be a string, not {type(rejected).__name__}: such rows are dropped"
    elif is_blank(rejected) and "rejected_response" in row:
        yield "rejected_response is empty: only the end of the turn would be learnt"
    elif "rejected_response" in row and rejected == last.get("content"):
        yield "rejected_response is the last message again: such rows are dropped"
