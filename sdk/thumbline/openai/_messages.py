"""Messages of the API as the contract has them: plain dicts, without what is empty or huge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

# What shapes an answer. A list of what to keep, because what is left may name people and hold keys.
_SAMPLING: Final = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "seed",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "reasoning_effort",
    "reasoning",
    "verbosity",
    "text",
    "modalities",
    "response_format",
    "text_format",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "truncation",
)
# OpenAI's marks for "not given".
_NOT_GIVEN: Final = frozenset({"NotGiven", "Omit"})


def is_given(value: object) -> bool:
    """Whether an argument says something."""
    return value is not None and type(value).__name__ not in _NOT_GIVEN


def listed(arguments: dict[str, Any], names: Iterable[str]) -> None:
    """Make lists of arguments that can be read only once, so that both the API and we can."""
    for name in names:
        if isinstance(arguments.get(name), Iterator):
            arguments[name] = list(arguments[name])


def sampling_of(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The sampling parameters of a call; those that OpenAI does not know travel in `extra_body`."""
    more = arguments.get("extra_body")
    every = {**arguments, **(more if isinstance(more, Mapping) else {})}
    found = {name: every[name] for name in _SAMPLING if is_given(every.get(name))}
    for name in ("response_format", "text_format"):
        if isinstance(found.get(name), type):
            found[name] = found[name].__name__
    return found or None


def plain(message: Any) -> Any:
    """
    A message as a dict.

    A dict stays as it is. Of an object of the package `openai` what is null or empty is left out, and so are what
    `parse` made of the text and the bytes of speech. A refusal is what the person read: it becomes the content.
    """
    if not hasattr(message, "model_dump"):
        return message
    dumped = message.model_dump(mode="json", exclude_unset=True, exclude={"parsed"}, warnings=False)
    return tidy(dumped)


def tidy(message: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a message what says nothing; see `plain`."""
    refusal = message.pop("refusal", None)
    kept = {
        name: value for name, value in message.items() if name in ("role", "content") or value not in (None, [], {})
    }
    kept.setdefault("role", "assistant")
    kept["content"] = kept.get("content") or refusal or kept.get("content")
    for call in kept.get("tool_calls") or ():
        if isinstance(call.get("function"), dict):
            call["function"].pop("parsed_arguments", None)
    if isinstance(kept.get("audio"), dict):
        kept["audio"].pop("data", None)
    return kept
