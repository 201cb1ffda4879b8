"""Answers of `chat.completions`, whole and in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._messages import is_given, plain, tidy
from ._replies import Answered, Prompt, Reply, usage_of


def prompt_of(arguments: Mapping[str, Any]) -> Prompt:
    """What the model sees before its answer."""
    messages = arguments.get("messages")
    if not isinstance(messages, Iterable):
        return Prompt([], unknown="it was asked for without messages")
    return Prompt([plain(message) for message in messages])


def tools_of(arguments: Mapping[str, Any]) -> list[Any] | None:
    """The tools of a call; `functions`, their form of 2023, as tools."""
    if is_given(arguments.get("tools")):
        return [*arguments["tools"]] or None
    if is_given(arguments.get("functions")):
        return [{"type": "function", "function": function} for function in arguments["functions"]] or None
    return None


def whole(reply: Any) -> Reply:
    """A reply that came in one piece."""
    answers = [
        Answered(
            choice.index if isinstance(choice.index, int) else place,
            plain(choice.message),
            choice.finish_reason,
            bool(getattr(choice.message, "refusal", None)),
        )
        for place, choice in enumerate(reply.choices or ())
    ]
    return Reply(reply.id, reply.model, answers, usage_of(reply), getattr(reply, "system_fingerprint", None))


# Fields of a delta that are pieces of text. The last two are those of vLLM, DeepSeek and OpenRouter.
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


class Pieces:
    """A reply that comes in chunks."""

    def __init__(self) -> None:
        self._reply = Reply()
        self._choices: dict[int, _Choice] = {}

    def take(self, chunk: Any) -> bool:
        """
        Add a chunk.

        Returns:
            Whether it held a piece of an answer.
        """
        reply = self._reply
        reply.id = reply.id or chunk.id or None  # Azure's first chunk has none
        reply.model = reply.model or chunk.model or None
        reply.fingerprint = reply.fingerprint or getattr(chunk, "system_fingerprint", None)
        if getattr(chunk, "usage", None) is not None:
            reply.usage = usage_of(chunk)
        is_piece = False
        for choice in chunk.choices or ():
            known = self._choices.get(choice.index)
            if known is None:
                known = self._choices[choice.index] = _Choice()
            if choice.finish_reason is not None:
                known.finish_reason = choice.finish_reason
            if choice.delta is not None:
                is_piece = known.take(choice.delta) or is_piece
        return is_piece

    @property
    def id(self) -> str | None:
        """The API's, once a piece has told it."""
        return self._reply.id

    @property
    def reply(self) -> Reply:
        """What there is so far; without answers of which nothing came."""
        self._reply.answers = [
            Answered(index, tidy(choice.message()), choice.finish_reason, bool(choice.texts["refusal"]))
            for index, choice in sorted(self._choices.items())
            if not choice.is_empty or choice.finish_reason is not None
        ]
        return self._reply


class _Choice:
    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.texts: dict[str, list[str]] = {name: [] for name in _TEXTS}
        self.is_empty = True
        self._calls: list[dict[str, Any]] = []
        self._call_at: dict[int, dict[str, Any]] = {}
        self._function: dict[str, str] = {}
        self._speech: dict[str, Any] = {}

    def take(self, delta: Any) -> bool:
        is_piece = False
        for name, pieces in self.texts.items():
            piece = getattr(delta, name, None)
            if isinstance(piece, str) and piece:
                pieces.append(piece)
                is_piece = True
        for call in getattr(delta, "tool_calls", None) or ():
            self._take_call(call)
            is_piece = True
        function = getattr(delta, "function_call", None)
        if function is not None:
            _take_function(self._function, function)
            is_piece = True
        speech = getattr(delta, "audio", None)
        if speech is not None:
            self._take_speech(speech)
            is_piece = True
        if is_piece:
            self.is_empty = False
        return is_piece

    def _take_call(self, delta: Any) -> None:
        # Some servers leave the index out, or give all calls the index 0, each with an id of its own.
        index = delta.index if isinstance(delta.index, int) else len(self._calls) - (0 if delta.id else 1)
        call = self._call_at.get(index)
        if call is None or (delta.id and call["id"] and delta.id != call["id"]):
            call = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
            self._call_at[index] = call
            self._calls.append(call)
        call["id"] = call["id"] or delta.id
        call["type"] = getattr(delta, "type", None) or call["type"]
        if getattr(delta, "function", None) is not None:
            _take_function(call["function"], delta.function)

    def _take_speech(self, delta: Any) -> None:
        if getattr(delta, "id", None):
            self._speech["id"] = delta.id
        self._speech["transcript"] = self._speech.get("transcript", "") + (getattr(delta, "transcript", None) or "")

    def message(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self.texts.items() if pieces}
        has_calls = bool(self._calls or self._function or self._speech)
        return {
            "role": "assistant",
            "content": None if has_calls or "refusal" in texts else "",
            **texts,
            "tool_calls": self._calls,
            "function_call": self._function,
            "audio": self._speech,
        }


def _take_function(function: dict[str, str], delta: Any) -> None:
    # The name comes once; servers that repeat it with every piece mean the same one.
    function["name"] = function.get("name") or delta.name or ""
    function["arguments"] = function.get("arguments", "") + (delta.arguments or "")
