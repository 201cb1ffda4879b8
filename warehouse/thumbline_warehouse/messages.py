"""
SQL over chat messages stored as JSON: what form they have, and how to write them canonically.

The canonical form is what trainers read: a list of `{"role": ..., "content": "<text>"}`.

    [{"content": [{"type": "text", "text": "Hi"}], "role": "developer"}]
    ->  [{"role":"system","content":"Hi"}]
"""

from __future__ import annotations

from typing import Final

from .schema import listed

_MESSAGE: Final = (
    '{"role":"VARCHAR","content":"JSON","tool_calls":"JSON","function_call":"JSON","refusal":"JSON",'
    '"reasoning_content":"JSON","reasoning":"JSON","thinking":"JSON"}'
)
# Types of parts that are text, and of those that are what a model thought before it. The names are those of OpenAI's
# chat and responses, and of Anthropic's messages.
_TEXT_PARTS: Final = ("text", "output_text", "input_text", "refusal")
_REASONING_PARTS: Final = ("reasoning", "thinking", "redacted_thinking")
# Fields of a message that hold reasoning: DeepSeek's and vLLM's, OpenRouter's and newer vLLM's, Ollama's.
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")


TEXT_PARTS: Final = listed(_TEXT_PARTS)
"""SQL: the types of parts that are text, as a list in brackets."""
REASONING_PARTS: Final = listed(_REASONING_PARTS)
"""SQL: the types of parts that are reasoning."""


def parsed_list(column: str) -> str:
    """SQL: a JSON list of messages as a list of structs; NULL where the column is."""
    return f"CASE WHEN {column} IS NOT NULL THEN from_json({column}, '[{_MESSAGE}]') END"


def parsed_one(column: str) -> str:
    """SQL: one JSON message as a struct; NULL where the column is."""
    return f"CASE WHEN {column} IS NOT NULL THEN from_json({column}, '{_MESSAGE}') END"


def text_of(message: str) -> str:
    """
    SQL: the text of a parsed message: its content, or its text parts joined; NULL where it has none.

    A refusal is what the person read: it is the text where there is no other.
    """
    content = f"{message}.content"
    parts = f'from_json({content}, \'[{{"type":"VARCHAR","text":"VARCHAR","refusal":"VARCHAR"}}]\')'
    part = f"CASE WHEN p.type IN {REASONING_PARTS} THEN '' ELSE coalesce(p.text, p.refusal, '') END"
    text = (
        f"CASE json_type({content}) WHEN 'VARCHAR' THEN json_extract_string({content}, '$') "
        f"WHEN 'ARRAY' THEN list_aggregate(list_transform({parts}, lambda p: {part}), 'string_agg', '') END"
    )
    return f"CASE WHEN {_is_string(f'{message}.refusal')} THEN coalesce(nullif({text}, ''), json_extract_string({message}.refusal, '$')) ELSE {text} END"


def has_reasoning(message: str) -> str:
    """SQL: whether a parsed message holds reasoning beside its text."""
    fields = " OR ".join(
        f"coalesce(json_type({message}.{name}) IN ('VARCHAR', 'OBJECT', 'ARRAY') "
        f"AND {message}.{name}::VARCHAR NOT IN ('\"\"', '[]', '{{}}'), false)"
        for name in _REASONING_FIELDS
    )
    return f"({fields} OR {_has_reasoning_part(message)})"


def reasoning_of(message: str) -> str:
    """SQL: the text of a parsed message's reasoning; NULL where there is none, or only what is no text."""
    fields = ", ".join(
        f"CASE WHEN {_is_string(f'{message}.{name}')} THEN nullif(json_extract_string({message}.{name}, '$'), '') END"
        for name in _REASONING_FIELDS
    )
    parts = f'from_json({message}.content, \'[{{"type":"VARCHAR","text":"VARCHAR","thinking":"VARCHAR"}}]\')'
    thought = f"lambda p: CASE WHEN p.type IN {REASONING_PARTS} THEN coalesce(p.thinking, p.text, '') ELSE '' END"
    joined = f"list_aggregate(list_transform({parts}, {thought}), 'string_agg', '')"
    return f"coalesce({fields}, CASE WHEN {_has_reasoning_part(message)} THEN nullif({joined}, '') END)"


def canonical_list(parsed: str) -> str:
    """SQL: the canonical JSON of a parsed list of messages that hold only text."""
    return f"to_json(list_transform({parsed}, lambda x: {_canonical('x')}))"


def canonical_one(parsed: str) -> str:
    """SQL: the canonical JSON of one parsed message that holds only text."""
    return f"to_json({_canonical(parsed)})"


def thinking_one(parsed: str) -> str:
    r"""
    SQL: the same with the reasoning before the text, as most open models write it.

        {"content": "Paris.", "reasoning_content": "France.", ...}  ->  "<think>\nFrance.\n</think>\n\nParis."
    """
    thought = f"'<think>' || chr(10) || {reasoning_of(parsed)} || chr(10) || '</think>' || chr(10) || chr(10)"
    return f"to_json({{'role': 'assistant', 'content': coalesce({thought}, '') || coalesce({text_of(parsed)}, '')}})"


def form(prompt: str, prompt_json: str, answer: str, answer_json: str) -> str:
    """
    SQL: `canonical`, `text` or `rich`; NULL where there is no answer. See the column `form`.

    Args:
        prompt: SQL of the parsed prompt, a list (NULL for an edit).
        prompt_json: SQL of its JSON.
        answer: SQL of the parsed answer.
        answer_json: SQL of its JSON.
    """
    rich = f"NOT {_is_text(answer)} OR coalesce(list_bool_or(list_transform({prompt}, lambda x: NOT {_is_text('x')})), false)"
    same = (
        f"{canonical_one(answer)}::VARCHAR = {answer_json}::VARCHAR "
        f"AND ({prompt} IS NULL OR {canonical_list(prompt)}::VARCHAR = {prompt_json}::VARCHAR)"
    )
    return f"CASE WHEN {answer} IS NULL THEN NULL WHEN {rich} THEN 'rich' WHEN {same} THEN 'canonical' ELSE 'text' END"


def _canonical(message: str) -> str:
    role = f"CASE WHEN {message}.role = 'developer' THEN 'system' ELSE {message}.role END"
    return f"{{'role': {role}, 'content': {text_of(message)}}}"


def _is_string(json: str) -> str:
    return f"coalesce(json_type({json}), 'NULL') = 'VARCHAR'"


def _has_reasoning_part(message: str) -> str:
    types = f"json_extract_string({message}.content, '$[*].type')"
    found = f"list_bool_or(list_transform({types}, lambda t: t IN {REASONING_PARTS}))"
    return f"CASE WHEN json_type({message}.content) = 'ARRAY' THEN coalesce({found}, false) ELSE false END"


def _is_text(message: str) -> str:
    parts = f'from_json({message}.content, \'[{{"type":"VARCHAR","text":"JSON","refusal":"JSON"}}]\')'
    is_other = (
        f"lambda p: p.type NOT IN {REASONING_PARTS} AND (p.type NOT IN {TEXT_PARTS} "
        f"OR coalesce(json_type(coalesce(p.text, p.refusal)), 'NULL') <> 'VARCHAR')"
    )
    only_text = f"NOT coalesce(list_bool_or(list_transform({parts}, {is_other})), false)"
    return (
        f"(coalesce(json_type({message}.tool_calls), 'NULL') = 'NULL' AND coalesce(json_type({message}.function_call), 'NULL') = 'NULL' "
        f"AND {message}.role NOT IN ('tool', 'function') AND CASE coalesce(json_type({message}.content), 'NULL') "
        f"WHEN 'VARCHAR' THEN true WHEN 'ARRAY' THEN {only_text} ELSE {_is_string(f'{message}.refusal')} END)"
    )
