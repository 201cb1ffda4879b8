"""Answers of `responses`: items in, items out, and events in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ._messages import is_given
from ._replies import Answered, Prompt, Reply, usage_of

# Where the text before the answer lies at OpenAI, and not in the call.
_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
_FINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_REASONS: Final = {"max_output_tokens": "length"}


def prompt_of(arguments: Mapping[str, Any]) -> Prompt:
    """
    What the model sees before its answer: the items of the input as messages.

    Reasoning items are left out, as chat has none. So are the calls of tools that OpenAI runs itself, and these are
    named in `left_out`.
    """
    elsewhere = [name for name in _ELSEWHERE if is_given(arguments.get(name))]
    if elsewhere:
        return Prompt([], unknown=f"responses with {elsewhere[0]} leave what the model saw at OpenAI")
    messages: list[Any] = []
    instructions, given = arguments.get("instructions"), arguments.get("input")
    if is_given(instructions):
        messages.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        messages.append({"role": "user", "content": given})
        return Prompt(messages)
    left_out = set()
    for item in given if isinstance(given, Iterable) else ():
        item = _dict(item)
        kind = item.get("type") or "message"
        if kind == "item_reference":
            return Prompt([], unknown="responses with item_reference leave what the model saw at OpenAI")
        if not _add(messages, kind, item):
            left_out.add(kind)
    return Prompt(messages, frozenset(left_out - {"reasoning"}))


def tools_of(arguments: Mapping[str, Any]) -> list[Any] | None:
    """The tools of a call; functions in chat's form, what OpenAI runs itself as it is."""
    tools = arguments.get("tools")
    return [_tool(_dict(tool)) for tool in tools] or None if is_given(tools) and isinstance(tools, Iterable) else None


def whole(response: Any) -> Reply:
    """A response that came in one piece; without an answer where it is still to be made (`background=True`)."""
    reply = Reply(response.id, response.model, usage=usage_of(response))
    if response.status in ("queued", "in_progress"):
        return reply
    items = [_dict(item) for item in response.output or ()]
    _answer(reply, items, _reason(response))
    if response.status in ("failed", "cancelled"):
        reply.cut = "error"
        if not items:
            reply.answers = []
    return reply


class Pieces:
    """A response that comes in events."""

    def __init__(self) -> None:
        self._reply = Reply()
        self._final: Any = None
        self._done: dict[int, dict[str, Any]] = {}  # whole items, by their place in the output
        self._texts: dict[tuple[int, int, str], list[str]] = {}  # pieces of items that are not

    @property
    def id(self) -> str | None:
        """The API's, once an event has told it."""
        return self._reply.id

    def take(self, event: Any) -> bool:
        """
        Add an event.

        Returns:
            Whether it held a piece of an answer.
        """
        kind = event.type
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            place = (event.output_index, event.content_index, kind)
            self._texts.setdefault(place, []).append(event.delta)
            return True
        if kind == "response.output_item.done":
            self._done[event.output_index] = _dict(event.item)
        elif kind in _FINAL:
            self._final = event.response
        elif kind == "error":
            self._reply.cut = "error"
        response = getattr(event, "response", None)
        if response is not None:
            self._reply.id = self._reply.id or response.id
            self._reply.model = self._reply.model or response.model
        return bool(kind == "response.function_call_arguments.delta")

    @property
    def reply(self) -> Reply:
        """What there is so far; without an answer where nothing of it came."""
        if self._final is not None and (self._final.output or not (self._done or self._texts)):
            return whole(self._final)
        items = dict(self._done)
        for (place, _, kind), pieces in sorted(self._texts.items()):
            if place not in self._done:
                item = items.setdefault(place, {"type": "message", "role": "assistant", "content": []})
                field = "refusal" if "refusal" in kind else "text"
                item["content"].append({"type": field, field: "".join(pieces)})
        if items:
            _answer(self._reply, [item for _, item in sorted(items.items())], None)
        if self._final is not None:
            self._reply.cut = "error"
        return self._reply


def _answer(reply: Reply, items: list[dict[str, Any]], reason: str | None) -> None:
    """Put the one answer that output items are into a reply."""
    messages: list[dict[str, Any]] = []
    reply.left_out = frozenset(
        kind for item in items if not _add(messages, kind := item.get("type") or "message", item)
    ) - {"reasoning"}
    texts = [message["content"] for message in messages if message["content"]]
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    answer: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(texts) if texts or not calls else None}
    if calls:
        answer["tool_calls"] = calls
    is_refused = any(part.get("refusal") for item in items for part in _parts(item))
    if reason == "stop" and calls:
        reason = "tool_calls"
    reply.answers = [Answered(0, answer, reason, is_refused)]


def _reason(response: Any) -> str | None:
    """Why it ended, in chat's words."""
    if response.status == "completed":
        return "stop"
    why = getattr(getattr(response, "incomplete_details", None), "reason", None)
    return _REASONS.get(str(why), why) if response.status == "incomplete" else None


def _add(messages: list[Any], kind: str, item: dict[str, Any]) -> bool:
    """Add an item to messages; False where no message can hold it."""
    if kind == "message":
        role = item.get("role", "assistant")
        messages.append({"role": role, "content": _content(item.get("content"), role)})
    elif kind == "function_call":
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        function = {"name": item["name"], "arguments": item["arguments"]}
        messages[-1].setdefault("tool_calls", []).append(
            {"id": item["call_id"], "type": "function", "function": function}
        )
    elif kind == "function_call_output":
        content = _content(item["output"], "tool")
        messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
    else:
        return False
    return True


def _content(content: Any, role: str) -> Any:
    """Content in chat's form: the same text, or the same parts under chat's names."""
    if not isinstance(content, list):
        return content
    parts = [_part(_dict(part)) for part in content]
    if all(part["type"] == "text" for part in parts) and (role == "assistant" or len(parts) == 1):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text", "")}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal", "")}
    if kind == "input_image" and part.get("image_url"):
        image = {name: part[name] for name in ("detail",) if part.get(name)}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **image}}
    return part


def _parts(item: dict[str, Any]) -> list[dict[str, Any]]:
    content = item.get("content")
    return [_dict(part) for part in content] if isinstance(content, list) and item.get("type") == "message" else []


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function" or "function" in tool:
        return tool
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _dict(item: Any) -> dict[str, Any]:
    if hasattr(item, "model_dump"):
        item = item.model_dump(mode="json", exclude_unset=True, warnings=False)
    return dict(item)
