"""
SQL over chat messages stored as JSON: what form they have, and how to write them canonically.

The canonical form is what trainers read: a list of `{"role": ..., "content": "<text>"}`.

    [{"content": [{"type": "text", "text": "Hi"}], "role": "developer"}]
    ->  [{"role":"system","content":"Hi"}]
"""

from __future__ import annotations

from typing import Final

_MESSAGE: Final = '{"role":"VARCHAR","content":"JSON","tool_calls":"JSON","function_call":"JSON"}'


def parsed_list(column: str) -> str:
    """SQL: a JSON list of messages as a list of structs; NULL where the column is."""
    return f"CASE WHEN {column} IS NOT NULL THEN from_json({column}, '[{_MESSAGE}]') END"


def parsed_one(column: str) -> str:
    """SQL: one JSON message as a struct; NULL where the column is."""
    return f"CASE WHEN {column} IS NOT NULL THEN from_json({column}, '{_MESSAGE}') END"


def text_of(content: str) -> str:
    """SQL: the text of a message's content: itself, or its text parts joined; NULL where it has none."""
    parts = f'from_json({content}, \'[{{"type":"VARCHAR","text":"VARCHAR"}}]\')'
    return (
        f"CASE json_type({content}) WHEN 'VARCHAR' THEN json_extract_string({content}, '$') "
        f"WHEN 'ARRAY' THEN list_aggregate(list_transform({parts}, lambda p: coalesce(p.text, '')), 'string_agg', '') END"
    )


def canonical_list(parsed: str) -> str:
    """SQL: the canonical JSON of a parsed list of messages that hold only text."""
    return f"to_json(list_transform({parsed}, lambda x: {_canonical('x')}))"


def canonical_one(parsed: str) -> str:
    """SQL: the canonical JSON of one parsed message that holds only text."""
    return f"to_json({_canonical(parsed)})"


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
    return f"{{'role': {role}, 'content': {text_of(f'{message}.content')}}}"


def _is_text(message: str) -> str:
    parts = f'from_json({message}.content, \'[{{"type":"VARCHAR","text":"JSON"}}]\')'
    is_other = "lambda p: p.type <> 'text' OR coalesce(json_type(p.text), 'NULL') <> 'VARCHAR'"
    only_text = f"NOT coalesce(list_bool_or(list_transform({parts}, {is_other})), false)"
    return (
        f"(coalesce(json_type({message}.tool_calls), 'NULL') = 'NULL' AND coalesce(json_type({message}.function_call), 'NULL') = 'NULL' "
        f"AND {message}.role NOT IN ('tool', 'function') AND CASE coalesce(json_type({message}.content), 'NULL') "
        f"WHEN 'VARCHAR' THEN true WHEN 'ARRAY' THEN {only_text} ELSE false END)"
    )
