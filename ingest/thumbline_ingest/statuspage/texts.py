"""What is an id, a word of ours, or a text of somebody's; texts are left out unless a setting allows them."""

from __future__ import annotations

import re
from typing import Any, Final

from thumbline.events import UUID_PATTERN

_UUID: Final = re.compile(UUID_PATTERN)
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}|-?[0-9.e+-]{1,32}")
_TEXTS: Final = ("prompt", "completion", "chosen", "rejected")


def is_event_id(text: str) -> bool:
    """Whether a text has the form of an event's id."""
    return _UUID.fullmatch(text) is not None


def plain_word(text: str) -> str:
    """A value such as `up`, `both_bad` or `4`; empty where it is something else."""
    return text if _WORD.fullmatch(text) else ""


def without_texts(row: dict[str, Any]) -> dict[str, Any]:
    """
    A row of an export with the length of each text in its place.

        {"prompt": [{"role": "user", "content": "Hi there"}], "label": true}
        ->  {"prompt": [{"role": "user", "content": "(8 characters)"}], "label": true}
    """
    shown = {name: [_message(one) for one in value] if name in _TEXTS else value for name, value in row.items()}
    if shown.get("tools") is not None:
        shown["tools"] = f"({len(row['tools'])} tools)"
    return shown


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    length = f"({len(content):,} characters)" if isinstance(content, str) else "(parts)" if content else None
    return {"role": plain_word(str(message.get("role", ""))), "content": length}
