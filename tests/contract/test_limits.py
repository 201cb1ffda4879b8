"""Each limit of `limits.py`: at it an event is fine, one above it is refused with the field named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tests.contract.test_golden import golden
from thumbline import limits
from thumbline.events import parse_event
from thumbline.problems import problems_of

Change = Callable[[dict[str, Any], int], None]


def put(*path: str | int, make: Callable[[int], Any] = lambda n: "x" * n) -> Change:
    def change(payload: dict[str, Any], size: int) -> None:
        inner: Any = payload
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = make(size)

    return change


def text_part(_: int) -> dict[str, Any]:
    return {"type": "text", "text": "x"}


def numbered(size: int) -> list[str]:
    return [str(n) for n in range(size)]


def mapping(size: int) -> dict[str, int]:
    return {str(n): n for n in range(size)}


CASES: dict[str, tuple[str, str, int, Change]] = {
    "id": ("thumb", "target_id", limits.MAX_ID_LENGTH, put("target_id")),
    "rater": ("thumb", "rater.id", limits.MAX_ID_LENGTH, put("rater", "id")),
    "conversation": ("thumb", "conversation_id", limits.MAX_ID_LENGTH, put("conversation_id")),
    "completion": ("completion", "completion_id", limits.MAX_ID_LENGTH, put("completion_id")),
    "author": ("completion", "author", limits.MAX_ID_LENGTH, put("author")),
    "compared": ("comparison", "completion_ids.1", limits.MAX_ID_LENGTH, put("completion_ids", 1)),
    "winner": ("pick", "winner_id", limits.MAX_ID_LENGTH, put("winner_id")),
    "ranked": ("ranking", "ranks.0.0", limits.MAX_ID_LENGTH, put("ranks", 0, 0)),
    "app": ("thumb", "app", limits.MAX_LABEL_LENGTH, put("app")),
    "surface": ("thumb", "surface", limits.MAX_LABEL_LENGTH, put("surface")),
    "app_version": ("thumb", "app_version", limits.MAX_LABEL_LENGTH, put("app_version")),
    "sdk": ("thumb", "sdk", limits.MAX_LABEL_LENGTH, put("sdk")),
    "model": ("completion", "model", limits.MAX_LABEL_LENGTH, put("model")),
    "policy": ("completion", "policy", limits.MAX_LABEL_LENGTH, put("policy")),
    "comment": ("thumb", "comment", limits.MAX_COMMENT_LENGTH, put("comment")),
    "comment of a ranking": ("ranking", "comment", limits.MAX_COMMENT_LENGTH, put("comment")),
    "tag": ("thumb", "tags.0", limits.MAX_TAG_LENGTH, put("tags", 0)),
    "tags": ("mark", "tags", limits.MAX_TAGS, put("tags", make=numbered)),
    "prompt": ("completion", "messages.1.content", limits.MAX_TEXT_LENGTH, put("messages", 1, "content")),
    "answer": ("completion", "response.content", limits.MAX_TEXT_LENGTH, put("response", "content")),
    "edit": ("edit", "response.content", limits.MAX_TEXT_LENGTH, put("response", "content")),
    "parts": (
        "completion",
        "messages.1.content",
        limits.MAX_PARTS,
        put("messages", 1, "content", make=lambda n: [text_part(n)] * n),
    ),
    "messages": (
        "completion",
        "messages",
        limits.MAX_MESSAGES,
        put("messages", make=lambda n: [{"role": "user", "content": "x"}] * n),
    ),
    "tools": ("completion", "tools", limits.MAX_TOOLS, put("tools", make=lambda n: [{}] * n)),
    "sampling": ("completion", "sampling", limits.MAX_PROPERTIES, put("sampling", make=mapping)),
    "properties": ("signal", "properties", limits.MAX_PROPERTIES, put("properties", make=mapping)),
    "answers": ("comparison", "completion_ids", limits.MAX_ANSWERS, put("completion_ids", make=numbered)),
    "ranks": (
        "ranking",
        "ranks",
        limits.MAX_ANSWERS,
        put("ranks", make=lambda n: [[str(i)] for i in range(n)]),
    ),
    "ties": ("ranking", "ranks.0", limits.MAX_ANSWERS, put("ranks", make=lambda n: [numbered(n)])),
    "mark": ("mark", "end", limits.MAX_TEXT_LENGTH, put("end", make=lambda n: n)),
}


def problem_fields(payload: dict[str, Any]) -> list[str]:
    try:
        parse_event(json.dumps(payload))
    except ValidationError as error:
        return [problem.field for problem in problems_of(error)]
    return []


@pytest.mark.parametrize("name", CASES)
def test_limit(name: str) -> None:
    """The limit itself is allowed, one more is not, and the field at fault is named."""
    kind, field, limit, change = CASES[name]
    payload = copy.deepcopy(golden(kind))

    change(payload, limit)
    assert problem_fields(payload) == []

    change(payload, limit + 1)
    assert problem_fields(payload) == [field]


def test_limits_fit_into_each_other() -> None:
    """A text at its largest fits into an event, an event into a request, a request into its inflated size."""
    assert limits.MAX_TEXT_LENGTH < limits.MAX_EVENT_BYTES < limits.MAX_BODY_BYTES < limits.MAX_INFLATED_BYTES
    # Kafka's default `message.max.bytes`, with room for envelope, key and headers.
    assert limits.MAX_EVENT_BYTES + 64 * 1024 < 1_048_588
