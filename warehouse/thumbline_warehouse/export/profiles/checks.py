"""
Rules that several readers share, each as the sentences that say where a row breaks it.

    label_problems({"label": 1}) -> ["label must be true or false, not 1: ..."]
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from .base import Row, Settings
from .chat import roles_of

_TEXT_KEYS: Final = frozenset({"role", "content"})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

# Columns that TRL, or a trainer with TRL inside, gives a meaning to.
TRL_COLUMNS: Final = frozenset(
    {
        "messages", "image", "images", "tools", "chat_template_kwargs", "prompt", "completion", "chosen", "rejected",
        "label", "margin", "prompt_ids", "completion_ids", "chosen_ids", "rejected_ids", "prompt_input_ids",
        "prompt_attention_mask", "chosen_input_ids", "rejected_input_ids", "chosen_attention_mask",
        "rejected_attention_mask", "completion_input_ids", "completion_attention_mask", "chosen_labels",
        "rejected_labels", "completion_labels", "KL_completion_ids", "KL_prompt_ids", "ref_logps", "ref_chosen_logps",
        "ref_rejected_logps", "reference_logps", "reference_KL_logps", "input_ids", "attention_mask", "labels",
        "completion_mask", "assistant_masks", "seq_lengths", "pixel_values", "text",
    }
)  # fmt: skip


@dataclass(frozen=True)
class MessageShape:
    """
    What a reader's messages may be.

    Attributes:
        roles: roles that it knows.
        more_keys: keys that a message may have beside `role` and `content`.
        parts: whether content is a list of text and image parts.
        null_with_calls: whether content may be null beside tool calls.
        check: further sentences about one message, given the place and the message.
    """

    roles: frozenset[str] = frozenset({"system", "user", "assistant"})
    more_keys: frozenset[str] = frozenset()
    parts: bool = False
    null_with_calls: bool = False
    check: Callable[[str, Row], Iterable[str]] = lambda where, message: ()


TEXT: Final = MessageShape()


def field_problems(
    row: Row, own: Collection[str], reserved: Collection[str], *, metadata: bool = True
) -> Iterator[str]:
    """The reader's fields are there, and none beside them has a meaning for it, is null or is nested."""
    for name in own:
        if name not in row:
            yield f"{name} is missing"
    for name, value in row.items():
        if name in own:
            continue
        if not metadata:
            yield f"{name} is not a field of this format: its reader takes exactly {', '.join(own)}"
        elif name in reserved:
            yield f"{name} has a meaning of its own for the reader: metadata cannot have that name"
        elif value is None:
            yield f"{name} is null: readers cannot tell the type of a column that begins with nulls"
        elif isinstance(value, (dict, list)):
            yield f"{name} is nested: metadata is flat"


def value_problems(value: Any, where: str = "") -> Iterator[str]:
    """No string holds half a surrogate pair, no number is infinite or not one."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            yield f"{where} holds a lone surrogate: no reader opens a file with one"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{where} is {value}, not a number"
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from value_problems(name, f"a key of {where}" if where else "a field's name")
            yield from value_problems(item, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from value_problems(item, f"{where}[{number}]")


def label_problems(row: Row, name: str = "label") -> Iterator[str]:
    """The label is a boolean."""
    if name in row and type(row[name]) is not bool:
        yield (
            f"{name} must be true or false, not {row[name]!r}: trainers drop such rows, take them all "
            "for desirable or stop in the middle"
        )


def margin_problems(row: Row, name: str = "margin") -> Iterator[str]:
    """The margin is a finite number that is not negative."""
    if name not in row:
        return
    margin = row[name]
    if isinstance(margin, bool) or not isinstance(margin, (int, float)):
        yield f"{name} must be a number, not {margin!r}: a null stops the training when its row is drawn"
    elif not math.isfinite(margin):
        yield f"{name} must be finite"
    elif margin < 0:
        yield f"{name} is negative: it would turn the loss around"


def message_problems(where: str, messages: Any, shape: MessageShape) -> Iterator[str]:
    """A list of messages, each with the reader's keys, a role that it knows, and content of one type."""
    if not isinstance(messages, list):
        yield f"{where} must be a list of messages, not {type(messages).__name__}: readers stop where rows mix the two"
        return
    for number, message in enumerate(messages):
        yield from one_message_problems(f"{where}[{number}]", message, shape)


def one_message_problems(where: str, message: Any, shape: MessageShape) -> Iterator[str]:
    """The rules of `message_problems` for one."""
    if not isinstance(message, dict):
        yield f"{where} must be a message with role and content, not {type(message).__name__}"
        return
    if beyond := sorted(set(message) - _TEXT_KEYS - shape.more_keys):
        yield f"{where} has the key {', '.join(beyond)}: the reader keeps only {_listed(_TEXT_KEYS | shape.more_keys)}"
    if str(message.get("role")) not in shape.roles:
        yield f"{where}.role is {message.get('role')!r}: the reader knows {_listed(shape.roles)}"
    if not (shape.null_with_calls and message.get("tool_calls") and message.get("content") is None):
        yield from _content_problems(f"{where}.content", message.get("content"), shape)
    yield from shape.check(where, message)


def prompt_problems(where: str, prompt: Any, roles: str, shape: MessageShape) -> Iterator[str]:
    """
    A list of messages that the reader takes as a prompt.

    Args:
        where: the field.
        prompt: its value.
        roles: what `Profile.prompt_roles` says.
        shape: of the messages.
    """
    yield from message_problems(where, prompt, shape)
    if not (isinstance(prompt, list) and all(isinstance(message, dict) for message in prompt)):
        return
    if not prompt:
        yield f"{where} is empty: there is nothing to answer"
        return
    letters = roles_of(prompt)
    if letters[-1] in "as":
        last = prompt[-1].get("role")
        yield f"{where} ends with the {last}, not with the user or a tool: the reader learns from a wrong context"
    elif "?" not in letters and not re.fullmatch(roles, letters):
        yield f"{where} has its roles in the order {letters}, of which the reader takes {roles}"


def order_problems(where: str, letters: str, roles: str) -> Iterator[str]:
    """
    The messages before an answer, as letters, are in an order that the reader keeps.

    Args:
        where: the field that holds them and the answer.
        letters: of their roles.
        roles: what `Profile.prompt_roles` says.
    """
    if not letters:
        yield f"{where} has nothing before the answer"
    elif letters[-1] in "as":
        before = {"a": "assistant", "s": "system"}[letters[-1]]
        yield f"{where} has the {before}, not the user or a tool, before the answer: that is a wrong context"
    elif "?" not in letters and not re.fullmatch(roles, letters):
        yield f"{where} has its roles in the order {letters} before the answer, of which the reader takes {roles}"


def answer_problems(where: str, answer: Any, prompt: Any, shape: MessageShape) -> Iterator[str]:
    """A list of one message of the assistant that says something and does not repeat the prompt."""
    yield from message_problems(where, answer, shape)
    if not isinstance(answer, list):
        return
    if isinstance(prompt, list) and prompt and answer[: len(prompt)] == prompt:
        yield f"{where} begins with the prompt again: it would be trained on too"
    elif len(answer) != 1:
        yield f"{where} must hold one message, not {len(answer)}"
    elif isinstance(answer[0], dict):
        yield from one_answer_problems(f"{where}[0]", answer[0])


def one_answer_problems(where: str, answer: Row) -> Iterator[str]:
    """A message of the assistant that says something."""
    if answer.get("role") != "assistant":
        yield f"{where}.role must be assistant in an answer, not {answer.get('role')!r}"
    if not answer.get("tool_calls") and is_blank(answer.get("content")):
        yield f"{where}.content is empty: only the end of the turn would be learnt"


def different_problems(chosen: Any, rejected: Any, names: tuple[str, str] = ("chosen", "rejected")) -> Iterator[str]:
    """The two answers differ."""
    if chosen == rejected:
        yield f"{names[0]} and {names[1]} are the same: there is nothing to learn from them"


def text_problems(row: Row, *names: str) -> Iterator[str]:
    """Fields are strings that are not blank."""
    for name in names:
        value = row.get(name)
        if name in row and not isinstance(value, str):
            yield f"{name} must be a string, not {type(value).__name__}"
        elif name in row and is_blank(value):
            yield f"{name} is empty"


def tools_problems(row: Row, name: str = "tools", *, empty: tuple[str, ...] = ()) -> Iterator[str]:
    """
    Tool definitions are JSON text of a list.

    Args:
        row: the row.
        name: the field.
        empty: texts that stand for no tools.
    """
    if name not in row or row[name] in empty:
        return
    if not isinstance(row[name], str):
        yield f"{name} must be JSON text, not {type(row[name]).__name__}: tables would merge the tools' parameters"
    elif not isinstance(parsed(row[name]), list):
        yield f"{name} must be JSON text of a list of tools"


def image_problems(row: Row, places: int, name: str = "images") -> Iterator[str]:
    """Every image has its bytes and its place in the prompt."""
    images = row.get(name)
    if not isinstance(images, list):
        yield f"{name} must be a list"
        return
    for number, image in enumerate(images):
        if not isinstance(image, dict) or not image.get("bytes"):
            yield f"{name}[{number}] has no bytes: trainers would fetch it, or stop; log images as data: URIs"
    if len(images) != places:
        yield f"{name} holds {len(images)} images for {places} places in the messages"


def call_problems(where: str, message: Row, settings: Settings) -> Iterator[str]:
    """Arguments of tool calls are all text or all objects, as the settings say; in tables they are text."""
    for number, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") if isinstance(call, dict) else None
        place = f"{where}.tool_calls[{number}]"
        if not (isinstance(function, dict) and isinstance(function.get("name"), str) and function["name"]):
            yield f"{place}.function has no name"
        elif isinstance(function.get("arguments"), dict):
            if settings.format == "parquet":
                yield f"{place}.function.arguments is an object: Parquet gives every call the arguments of all others"
            elif settings.tool_arguments == "string":
                yield f"{place}.function.arguments is an object where others are JSON text"
        elif not isinstance(function.get("arguments"), str):
            yield f"{place}.function.arguments must be JSON text or an object"
        elif settings.tool_arguments == "object":
            yield f"{place}.function.arguments is text where others are objects"


def parsed(text: Any) -> Any:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def is_blank(content: Any) -> bool:
    """Whether content, a string or parts, shows nothing."""
    if isinstance(content, list):
        return all(
            isinstance(part, dict) and part.get("type") == "text" and is_blank(part.get("text")) for part in content
        )
    return content is None or (isinstance(content, str) and not content.strip())


def _content_problems(where: str, content: Any, shape: MessageShape) -> Iterator[str]:
    if shape.parts:
        if not isinstance(content, list):
            yield f"{where} must be a list of parts where other messages have images"
        elif any(not isinstance(part, dict) or part.get("type") not in ("text", "image") for part in content):
            yield f"{where} has a part that is neither text nor image"
    elif not isinstance(content, str):
        yield f"{where} must be a string, not {type(content).__name__}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
