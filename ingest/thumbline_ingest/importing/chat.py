"""Conversations as sources write them, made into the contract's messages."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

from .refused import Refused

ChatMessage: TypeAlias = dict[str, Any]

_ROLES: Final = {"human": "user", "prompter": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_TURN: Final = re.compile(r"\n\n(Human|Assistant): ?")


def messages(value: Any, field: str) -> list[ChatMessage]:
    """
    A prompt: text, one message, or a list of messages.

        "Hi"                               ->  [{"role": "user", "content": "Hi"}]
        [{"from": "human", "value": "Hi"}] ->  the same

    Raises:
        Refused: it is none of these.
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if isinstance(value, dict):
        return [message(value, field)]
    if isinstance(value, list):
        return [message(one, f"{field}.{place}") for place, one in enumerate(value)]
    raise Refused(field, "must be text or a list of messages")


def message(value: Any, field: str) -> ChatMessage:
    """
    One message; what it has beside role and content is kept, except what is empty.

        {"from": "gpt", "value": "Hi", "weight": null}  ->  {"role": "assistant", "content": "Hi"}
    """
    if not isinstance(value, dict):
        raise Refused(field, "must be a message: role and content")
    role = value.get("role", value.get("from"))
    if not isinstance(role, str):
        raise Refused(f"{field}.role", "is missing")
    # Columnar files give every message the fields of all messages.
    rest = {
        name: part
        for name, part in value.items()
        if part is not None and name not in ("role", "from", "content", "value")
    }
    return {"role": _ROLES.get(role, role), "content": value.get("content", value.get("value")), **rest}


def answer(value: Any, prompt: list[ChatMessage], field: str) -> ChatMessage:
    """
    An answer: text, one message, or a list that may begin with the prompt again.

        "Paris."                                        ->  {"role": "assistant", "content": "Paris."}
        [{"role": "user", ...}, {"role": "assistant", "content": "Paris."}]  ->  the last one
    """
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    if isinstance(value, dict):
        return message(value, field)
    found = messages(value, field)
    rest = found[len(prompt) :] if found[: len(prompt)] == prompt else found
    if len(rest) != 1:
        raise Refused(field, f"must be one assistant message after the prompt, not {len(rest)} messages")
    return rest[0]


def shared(first: Any, second: Any, fields: tuple[str, str]) -> tuple[list[ChatMessage], ChatMessage, ChatMessage]:
    r"""
    Prompt and answers of two whole conversations: the prompt is what they share.

        [user A, assistant B], [user A, assistant C]  ->  [user A], assistant B, assistant C
        "\n\nHuman: A\n\nAssistant: B", "\n\nHuman: A\n\nAssistant: C"  ->  the same

    Raises:
        Refused: they differ before the last message, or are no conversations.
    """
    one, other = (_conversation(value, field) for value, field in zip((first, second), fields, strict=True))
    for found, field in ((one, fields[0]), (other, fields[1])):
        if len(found) < 2:
            raise Refused(field, "has no prompt: name a column for it, or give whole conversations")
    prompt = one[:-1]
    if prompt != other[:-1]:
        raise Refused(fields[1], f"differs from {fields[0]} before the last message, so they answer different prompts")
    return prompt, one[-1], other[-1]


def _conversation(value: Any, field: str) -> list[ChatMessage]:
    if not isinstance(value, str):
        return messages(value, field)
    parts = _TURN.split(value)
    if len(parts) < 3 or parts[0].strip():
        raise Refused(field, "has no prompt: name a column for it, or give whole conversations")
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[who], "content": said.strip()} for who, said in zip(parts[1::2], parts[2::2], strict=True)]
