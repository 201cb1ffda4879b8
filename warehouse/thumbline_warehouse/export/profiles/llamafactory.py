"""
LLaMA-Factory: ShareGPT with tags, and `dataset_info.json` that names exact files.

    kto    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], "label": true}
    pairs  {"messages": [{"role": "user", "content": "Hi"}], "chosen": {"role": "assistant", "content": "Hello."},
            "rejected": {"role": "assistant", "content": "What?"}}

Its loader drops every row whose roles do not alternate, and says so only in a warning. A call is a message
of the role `function_call`, JSON text of all calls at once; one result, of the role `observation`, answers
it. Images are `<image>` in the text and bytes in `images`, in Parquet only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from .base import PAIRED, TEXT_MESSAGES, Facts, Format, Kind, Profile, ProfileError, Row, Settings
from .chat import IMAGE_COLUMN, IMAGES, LETTERS, Turn, answer_of, image_bytes, to_json, turns_of
from .checks import (
    MessageShape,
    different_problems,
    field_problems,
    image_problems,
    is_blank,
    label_problems,
    message_problems,
    one_message_problems,
    order_problems,
    parsed,
    tools_problems,
    value_problems,
)
from .llamafactory_papers import papers

_IMAGE: Final = "<image>"
_MESSAGE: Final = "STRUCT(role VARCHAR, content VARCHAR)"
_SIDES: Final = ("chosen", "rejected")
_SHAPE: Final = MessageShape()
_RICH_SHAPE: Final = MessageShape(frozenset({"system", "user", "assistant", "function_call", "observation"}))
_LETTERS: Final = LETTERS | {"function_call": "a", "observation": "t"}


class LlamaFactory(Profile):
    """Rows of its `sharegpt` converter."""

    name: ClassVar[str] = "llamafactory"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"kto", "pairs", "reward", "sft"})
    formats: ClassVar[tuple[Format, ...]] = ("jsonl", "parquet")
    carries_tools: ClassVar[bool] = True
    carries_images: ClassVar[bool] = True

    def refusals(self, settings: Settings) -> list[str]:
        found = super().refusals(settings)
        if settings.images and settings.format != "parquet":
            found.append("images need Parquet: JSON Lines cannot hold their bytes")
        return found

    def prompt_roles(self, settings: Settings) -> str:
        # An answer, call or not, and then the user or one result.
        return "s?u(a[ut])*"

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = turns_of(example["prompt"], settings)
        row: Row = {"messages": [_message(turn) for turn in prompt]}
        if settings.kind in PAIRED:
            row |= {name: _answer(example, name, settings) for name in _SIDES}
        else:
            row["messages"].append(_answer(example, "completion", settings))
        if settings.kind == "kto":
            row["label"] = example["label"]
        if settings.rich:
            row["tools"] = to_json(example["tools"]) if example.get("tools") else ""
        if settings.images:
            row["images"] = [image_bytes(image) for turn in prompt for image in turn.images]
        return row

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, [*self.types(settings)], ())]
        found += self._conversation_problems(row.get("messages"), settings)
        if settings.kind in PAIRED:
            for name in _SIDES:
                found += _side_problems(name, row.get(name), settings)
            found += different_problems(row.get("chosen"), row.get("rejected"))
        if settings.kind == "kto":
            found += label_problems(row)
        if settings.rich:
            found += tools_problems(row, empty=("",))
        if settings.images:
            found += image_problems(row, _places(row.get("messages")))
        return found

    def types(self, settings: Settings) -> dict[str, str]:
        types = {"messages": TEXT_MESSAGES}
        if settings.kind in PAIRED:
            types |= dict.fromkeys(_SIDES, _MESSAGE)
        if settings.kind == "kto":
            types["label"] = "BOOLEAN"
        if settings.rich:
            types["tools"] = "VARCHAR"
        if settings.images:
            types["images"] = IMAGES
        return types

    def columns(self, settings: Settings) -> dict[str, str]:
        return {"images": IMAGE_COLUMN} if settings.images else {}

    def papers(self, facts: Facts) -> dict[str, str]:
        return papers(facts)

    def _conversation_problems(self, messages: Any, settings: Settings) -> Iterator[str]:
        yield from message_problems("messages", messages, _shape(settings))
        if not (isinstance(messages, list) and all(isinstance(message, dict) for message in messages)):
            return
        if not messages:
            yield "messages is empty: the row is dropped"
            return
        letters = "".join(_LETTERS.get(str(message.get("role")), "?") for message in messages)
        if settings.kind not in PAIRED:
            if not letters.endswith("a"):
                yield "messages does not end with the assistant's answer: the row is dropped"
                return
            letters = letters[:-1]
            if is_blank(messages[-1].get("content")):
                yield "messages ends with an empty answer: a desirable one counts as undesirable"
        yield from order_problems("messages", letters, self.prompt_roles(settings))
        for number, message in enumerate(messages):
            yield from _call_problems(f"messages[{number}]", message)


def _message(turn: Turn) -> Row:
    if turn.role == "tool":
        return {"role": "observation", "content": turn.with_placeholders(_IMAGE)}
    if turn.calls:
        if turn.text.strip():
            raise ProfileError("text beside a tool call has no place in LLaMA-Factory's rows")
        calls = [{"name": call.name, "arguments": call.object} for call in turn.calls]
        return {"role": "function_call", "content": to_json(calls)}
    return {"role": turn.role, "content": turn.with_placeholders(_IMAGE)}


def _answer(example: Row, name: str, settings: Settings) -> Row:
    turn = answer_of(example, name, settings)
    if turn.images:
        raise ProfileError("an image in an answer cannot be carried")
    return _message(turn)


def _shape(settings: Settings) -> MessageShape:
    return _RICH_SHAPE if settings.rich else _SHAPE


def _side_problems(name: str, message: Any, settings: Settings) -> Iterator[str]:
    yield from one_message_problems(name, message, _shape(settings))
    if not isinstance(message, dict):
        return
    if message.get("role") not in ("assistant", "function_call"):
        yield f"{name}.role must be the assistant's in an answer, not {message.get('role')!r}"
    if is_blank(message.get("content")):
        yield f"{name}.content is empty: only the end of the turn would be learnt"
    yield from _call_problems(name, message)


def _call_problems(where: str, message: Row) -> Iterator[str]:
    if message.get("role") != "function_call":
        return
    calls = parsed(message.get("content"))
    if not (isinstance(calls, list) and calls and all(map(_is_call, calls))):
        yield f"{where}.content must be JSON text of a list of calls, each with name and arguments"


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)


def _places(messages: Any) -> int:
    if not isinstance(messages, list):
        return 0
    return sum(str(message.get("content")).count(_IMAGE) for message in messages if isinstance(message, dict))
