"""
TRL, and what has it inside (Unsloth): the canonical rows themselves.

    {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Yo"}],
     "label": true}

Where rows have tools, they are JSON text in `tools`, and `null` as JSON text where an example has none:
the column keeps one type, and templates see no tools at all. With images, content is parts, and the bytes
lie in `images`, in Parquet only.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from . import trl_recipes
from .base import ANSWERS, ANY_CHAT, PAIRED, TEXT_MESSAGES, Facts, Format, Kind, Profile, ProfileError, Row, Settings
from .chat import IMAGE_COLUMN, IMAGES, Turn, answer_of, image_bytes, openai_message, text_message, to_json, turns_of
from .checks import (
    TRL_COLUMNS,
    MessageShape,
    answer_problems,
    call_problems,
    different_problems,
    field_problems,
    image_problems,
    label_problems,
    margin_problems,
    prompt_problems,
    tools_problems,
    value_problems,
)

# JSON text of `None`: no tools.
NO_TOOLS: Final = "null"

_CALLS: Final = 'STRUCT(id VARCHAR, "type" VARCHAR, "function" STRUCT("name" VARCHAR, arguments {arguments}))[]'
_PARTS: Final = 'STRUCT("type" VARCHAR, "text" VARCHAR)[]'


class Trl(Profile):
    """Rows as TRL documents them: conversational, with an explicit prompt."""

    name: ClassVar[str] = "trl"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"kto", "pairs", "reward", "prompts", "sft"})
    formats: ClassVar[tuple[Format, ...]] = ("jsonl", "parquet")
    carries_tools: ClassVar[bool] = True
    carries_images: ClassVar[bool] = True

    def refusals(self, settings: Settings) -> list[str]:
        found = super().refusals(settings)
        if settings.images and settings.format != "parquet":
            found.append("images need Parquet: JSON Lines cannot hold their bytes")
        if settings.tool_arguments == "object" and settings.format == "parquet":
            found.append(
                "tool arguments as objects need JSON Lines: Parquet gives every call the arguments of all others"
            )
        return found

    def prompt_roles(self, settings: Settings) -> str:
        return ANY_CHAT

    def is_plain(self, settings: Settings) -> bool:
        return not settings.rich and not settings.merge_consecutive_user

    def fields(self, example: Row, settings: Settings) -> Row:
        prompt = turns_of(example["prompt"], settings)
        answers = {name: answer_of(example, name, settings) for name in ANSWERS[settings.kind]}
        row: Row = {"prompt": [_message(turn, settings) for turn in prompt]}
        if any(turn.images for turn in answers.values()):
            raise ProfileError("an image in an answer cannot be carried")
        row |= {name: [_message(turn, settings)] for name, turn in answers.items()}
        if settings.kind == "kto":
            row["label"] = example["label"]
        if settings.kind == "reward":
            row["margin"] = float(example["margin"])
        if settings.rich:
            row["tools"] = to_json(example.get("tools") or None)
        if settings.images:
            row["images"] = [image_bytes(image) for turn in prompt for image in turn.images]
        return row

    def problems(self, row: Row, settings: Settings) -> list[str]:
        own = [*self.types(settings)]
        found = [*value_problems(row), *field_problems(row, own, TRL_COLUMNS)]
        shape = _shape(settings)
        found += prompt_problems("prompt", row.get("prompt"), self.prompt_roles(settings), shape)
        for name in ANSWERS[settings.kind]:
            found += answer_problems(name, row.get(name), row.get("prompt"), shape)
        if settings.kind in PAIRED:
            found += different_problems(row.get("chosen"), row.get("rejected"))
        if settings.kind == "kto":
            found += label_problems(row)
        if settings.kind == "reward":
            found += margin_problems(row)
        if settings.rich:
            found += tools_problems(row, empty=(NO_TOOLS,))
        if settings.images:
            found += image_problems(row, _places(row.get("prompt")))
        return found

    def types(self, settings: Settings) -> dict[str, str]:
        messages = _message_type(settings)
        types = {"prompt": messages} | dict.fromkeys(ANSWERS[settings.kind], messages)
        if settings.kind == "kto":
            types["label"] = "BOOLEAN"
        if settings.kind == "reward":
            types["margin"] = "DOUBLE"
        if settings.rich:
            types["tools"] = "VARCHAR"
        if settings.images:
            types["images"] = IMAGES
        return types

    def columns(self, settings: Settings) -> dict[str, str]:
        return {"images": IMAGE_COLUMN} if settings.images else {}

    def papers(self, facts: Facts) -> dict[str, str]:
        return trl_recipes.papers(facts)


def _message(turn: Turn, settings: Settings) -> Row:
    if not settings.rich:
        return text_message(turn)
    return openai_message(turn, _with_parts(turn) if settings.images else turn.text, settings)


def _with_parts(turn: Turn) -> list[Row]:
    parts = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in turn.parts]
    return parts or [{"type": "text", "text": ""}]


def _message_type(settings: Settings) -> str:
    if not settings.rich:
        return TEXT_MESSAGES
    content = _PARTS if settings.images else "VARCHAR"
    calls = _CALLS.format(arguments="VARCHAR" if settings.tool_arguments == "string" else "JSON")
    return f'STRUCT(role VARCHAR, content {content}, tool_calls {calls}, tool_call_id VARCHAR, "name" VARCHAR)[]'


def _shape(settings: Settings) -> MessageShape:
    if not settings.rich:
        return MessageShape()
    return MessageShape(
        roles=frozenset({"system", "user", "assistant", "tool"}),
        more_keys=frozenset({"tool_calls", "tool_call_id", "name"}),
        parts=settings.images,
        check=lambda where, message: call_problems(where, message, settings),
    )


def _places(prompt: Any) -> int:
    contents = (
        [message.get("content") for message in prompt if isinstance(message, dict)] if isinstance(prompt, list) else []
    )
    return sum(
        1 for content in contents if isinstance(content, list) for part in content
        if isinstance(part, dict) and part.get("type") == "image"
    )  # fmt: skip
