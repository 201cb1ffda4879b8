"""
Hosted fine-tuning: OpenAI, Azure, Together and Fireworks.

    {"input": {"messages": [{"role": "user", "content": "Hi"}]},
     "preferred_output": [{"role": "assistant", "content": "Hello."}],
     "non_preferred_output": [{"role": "assistant", "content": "What?"}]}

They take these fields and no others, and none has KTO.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final

from .base import ANY_CHAT, Facts, Kind, Profile, Row, Settings
from .chat import Turn, answer_of, openai_message, turns_of
from .checks import (
    MessageShape,
    answer_problems,
    call_problems,
    different_problems,
    field_problems,
    prompt_problems,
    value_problems,
)

_OUTPUTS: Final = {"preferred_output": "chosen", "non_preferred_output": "rejected"}
_INPUT_KEYS: Final = frozenset({"messages", "tools", "parallel_tool_calls"})
_NOTE: Final = """# Hosted fine-tuning

Upload `{train}`{test}.

- Azure wants training and validation in separate files, which they are.
- Fireworks takes 3 to 3,000,000 rows, and neither tools nor tool calls; Together takes one assistant message an output.
- OpenAI has announced the end of its fine-tuning for new users.
"""


class OpenAi(Profile):
    """Rows of the preference format that OpenAI introduced; JSON Lines only."""

    name: ClassVar[str] = "openai"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"pairs"})
    carries_tools: ClassVar[bool] = True
    keeps_metadata: ClassVar[bool] = False

    def prompt_roles(self, settings: Settings) -> str:
        return ANY_CHAT

    def fields(self, example: Row, settings: Settings) -> Row:
        context: Row = {"messages": [_message(turn, settings) for turn in turns_of(example["prompt"], settings)]}
        if example.get("tools"):
            context["tools"] = example["tools"]
        outputs = {name: [_message(answer_of(example, side, settings), settings)] for name, side in _OUTPUTS.items()}
        return {"input": context, **outputs}

    def problems(self, row: Row, settings: Settings) -> list[str]:
        found = [*value_problems(row), *field_problems(row, ["input", *_OUTPUTS], (), metadata=False)]
        context = row.get("input")
        if not isinstance(context, dict):
            return [*found, "input must be an object with messages"]
        if beyond := sorted(set(context) - _INPUT_KEYS):
            found.append(f"input has the key {', '.join(beyond)}: it may have {', '.join(sorted(_INPUT_KEYS))}")
        if "tools" in context and not (isinstance(context["tools"], list) and context["tools"]):
            found.append("input.tools must be a list of tools, or absent")
        prompt, shape = context.get("messages"), _shape(_as_text(settings))
        found += prompt_problems("input.messages", prompt, self.prompt_roles(settings), shape)
        if isinstance(prompt, list):
            found += _result_problems(prompt)
        for name in _OUTPUTS:
            found += answer_problems(name, row.get(name), prompt, shape)
        preferred, other = _OUTPUTS
        found += different_problems(row.get(preferred), row.get(other), (preferred, other))
        return found

    def types(self, settings: Settings) -> dict[str, str]:
        return dict.fromkeys(("input", *_OUTPUTS), "JSON")

    def papers(self, facts: Facts) -> dict[str, str]:
        test = facts.held_out_path
        return {
            "recipes/openai.md": _NOTE.format(
                train=facts.path_of("train"), test=f", and `{test}` for validation" if test else ""
            )
        }


def _as_text(settings: Settings) -> Settings:
    # The API defines arguments as text.
    return replace(settings, tool_arguments="string")


def _message(turn: Turn, settings: Settings) -> Row:
    message = openai_message(turn, turn.text, _as_text(settings))
    if turn.calls and not turn.text:
        message["content"] = None
    return message


def _shape(settings: Settings) -> MessageShape:
    return MessageShape(
        roles=frozenset({"system", "user", "assistant", "tool"}),
        more_keys=frozenset({"tool_calls", "tool_call_id", "name"}),
        null_with_calls=True,
        check=lambda where, message: call_problems(where, message, settings),
    )


def _result_problems(prompt: list[Any]) -> Iterator[str]:
    """Every tool result names a call that was made before it."""
    made: list[Any] = []
    for number, message in enumerate(prompt):
        if not isinstance(message, dict):
            continue
        made += [call.get("id") for call in message.get("tool_calls") or () if isinstance(call, dict)]
        if message.get("role") == "tool" and message.get("tool_call_id") not in made:
            yield f"input.messages[{number}].tool_call_id names no call before it"
