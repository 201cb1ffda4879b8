"""
Chat messages as they were logged, read into turns that every profile can write its own way.

    {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]}
    ->  Turn(role="system", parts=("Be brief.",))
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from .base import ProfileError, Row, Settings

Feature = Literal["tools", "images", "other"]
Role = Literal["system", "user", "assistant", "tool"]

LETTERS: Final = {"system": "s", "developer": "s", "user": "u", "assistant": "a", "tool": "t", "function": "t"}
# DuckDB type of images in a row, whose bytes travel through JSON as base64, and SQL of their column in Parquet.
IMAGES: Final = "STRUCT(bytes VARCHAR, path VARCHAR)[]"
IMAGE_COLUMN: Final = "list_transform(images, lambda i: {'bytes': from_base64(i.bytes), 'path': i.path})"

_ROLES: Final[dict[str, Role]] = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
_DATA_URI: Final = re.compile(r"data:image/[\w.+-]+;base64,(?P<data>[A-Za-z0-9+/]+={0,2})")
_BETWEEN_MERGED: Final = "\n\n"


@dataclass(frozen=True)
class Image:
    """
    An image of a message.

    Attributes:
        url: a `data:` URI, or where it lies.
    """

    url: str

    @property
    def data(self) -> str | None:
        """Its bytes in base64; None when the URI does not hold them."""
        found = _DATA_URI.fullmatch(self.url)
        if found is None:
            return None
        try:
            b64decode(found["data"], validate=True)
        except binascii.Error:
            return None
        return found["data"]


@dataclass(frozen=True)
class Call:
    """
    A tool call.

    Attributes:
        id: what its result names.
        name: the function.
        arguments: as logged: JSON text as a rule, an object from some clients.
    """

    id: str
    name: str
    arguments: Any

    @property
    def text(self) -> str:
        """The arguments as JSON text; unchanged where they were text."""
        return self.arguments if isinstance(self.arguments, str) else to_json(self.arguments)

    @property
    def object(self) -> Row:
        """
        The arguments as an object.

        Raises:
            ProfileError: they are not one.
        """
        try:
            found = json.loads(self.arguments or "{}") if isinstance(self.arguments, str) else self.arguments
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ProfileError(f"the arguments of the tool call {self.name} are not a JSON object")
        return found


@dataclass(frozen=True)
class Turn:
    """
    A message, whatever client logged it.

    Attributes:
        role: one of four.
        parts: its texts and images in order; neighbouring texts are one.
        calls: tool calls that it makes.
        call_id: the call that a tool's message answers; else empty.
        name: the function that a tool's message comes from, when it says so; else empty.
    """

    role: Role
    parts: tuple[str | Image, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """
        Its text.

        Raises:
            ProfileError: it has images.
        """
        if self.images:
            raise ProfileError(f"an image in a message of the {self.role} cannot be carried")
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[Image, ...]:
        """Its images in order."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    def with_placeholders(self, placeholder: str) -> str:
        """Its text with a placeholder for each image."""
        return "".join(part if isinstance(part, str) else placeholder for part in self.parts)


def features_of(message: Row) -> frozenset[Feature]:
    """
    What a message needs beside text: `tools`, `images`, or `other`, which no profile carries.

        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}
        ->  {"images"}
    """
    found: set[Feature] = set()
    if message.get("tool_calls") or message.get("function_call") or message.get("role") in ("tool", "function"):
        found.add("tools")
    if message.get("role") not in LETTERS:
        found.add("other")
    content = message.get("content")
    if isinstance(content, list):
        found |= {_feature_of_part(part) for part in content} - {None}  # type: ignore[arg-type]
    elif not (content is None or isinstance(content, str)):
        found.add("other")
    return frozenset(found)


def roles_of(messages: Iterable[Row]) -> str:
    """The roles of messages, a letter each; `?` for what has no letter."""
    return "".join(LETTERS.get(str(message.get("role")), "?") for message in messages)


def turns_of(messages: Sequence[Row], settings: Settings) -> tuple[Turn, ...]:
    """
    Read messages; join user messages that follow one another where the settings say so.

    Raises:
        ProfileError: a message holds what no profile carries.
    """
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        turn = _turn(message, f"call_{number}", turns)
        if settings.merge_consecutive_user and turns and turn.role == turns[-1].role == "user":
            turns[-1] = replace(turns[-1], parts=_joined((*turns[-1].parts, _BETWEEN_MERGED, *turn.parts)))
        else:
            turns.append(turn)
    return tuple(turns)


def answer_of(example: Row, name: str, settings: Settings) -> Turn:
    """The one turn of an answer: `completion`, `chosen` or `rejected`."""
    found = turns_of(example[name], settings)
    if len(found) != 1 or found[0].role != "assistant":
        raise ProfileError(f"{name} must be one message of the assistant")
    return found[0]


def text_message(turn: Turn) -> Row:
    """
    A turn that is nothing but text: `{"role": "user", "content": "Hi"}`.

    Raises:
        ProfileError: it is more.
    """
    if turn.calls or turn.role == "tool":
        raise ProfileError("tool calls and their results cannot be carried")
    return {"role": turn.role, "content": turn.text}


def openai_message(turn: Turn, content: Any, settings: Settings) -> Row:
    """A turn in the shape of OpenAI's chat messages: only the keys that it needs."""
    message: Row = {"role": turn.role, "content": content}
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.object if settings.tool_arguments == "object" else call.text,
                },
            }
            for call in turn.calls
        ]
    if turn.role == "tool":
        message["tool_call_id"] = turn.call_id
        message |= {"name": turn.name} if turn.name else {}
    return message


def image_bytes(image: Image) -> Row:
    """An image as `datasets` knows it: `{"bytes": "<base64>", "path": None}`; its URL as the path, without bytes."""
    return {"bytes": image.data, "path": None if image.data else image.url}


def to_json(value: Any) -> str:
    """JSON text as readers expect it inside a field: one line, UTF-8."""
    return json.dumps(value, ensure_ascii=False)


def _turn(message: Row, made_up_id: str, before: list[Turn]) -> Turn:
    if "other" in features_of(message):
        raise ProfileError(f"a message of the role {message.get('role')} holds parts that no profile carries")
    role = _ROLES[LETTERS[message["role"]]]
    parts = _parts(message.get("content"))
    if role == "assistant":
        return Turn(role, parts, _calls(message, made_up_id))
    if role == "tool":
        return Turn(role, parts, (), message.get("tool_call_id") or _last_call(before), message.get("name") or "")
    return Turn(role, parts)


def _calls(message: Row, made_up_id: str) -> tuple[Call, ...]:
    if message.get("tool_calls"):
        calls = [
            (call.get("id") or f"{made_up_id}_{n}", call["function"]) for n, call in enumerate(message["tool_calls"])
        ]
    elif message.get("function_call"):
        # The form before `tool_calls`: one function and no id.
        calls = [(made_up_id, message["function_call"])]
    else:
        calls = []
    return tuple(Call(id_, function["name"], function.get("arguments", "")) for id_, function in calls)


def _last_call(before: list[Turn]) -> str:
    return next((turn.calls[-1].id for turn in reversed(before) if turn.calls), "")


def _parts(content: Any) -> tuple[str | Image, ...]:
    if isinstance(content, list):
        return _joined([part["text"] if part["type"] == "text" else Image(_url(part)) for part in content])
    return (content,) if content else ()


def _joined(parts: Iterable[str | Image]) -> tuple[str | Image, ...]:
    joined: list[str | Image] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        elif part:
            joined.append(part)
    return tuple(joined)


def _feature_of_part(part: Any) -> Feature | None:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return None
    if isinstance(part, dict) and part.get("type") == "image_url" and _url(part):
        return "images"
    return "other"


def _url(part: Row) -> str:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return url if isinstance(url, str) else ""
