"""
The relations that rules read: opinions with their standing, answers with what they need of a reader.

    opinions   one row an event that says something, with `is_latest` and the consent in force
    answers    one row an answer, with the consent in force, roles of its prompt, tools, images
    edited     one row an edit, in the columns of `answers`: the prompt is that of the answer edited
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from ..consent import in_force
from ..current import superseded
from ..messages import REASONING_PARTS, TEXT_PARTS

_OPINION_COLUMNS: Final = (
    "event_id, event_key, kind, project, occurred_at, load_id, rater_id, rater_kind, rater_wrote_prompt, conversation_id, app, "
    "surface, app_version, properties, target_type, target_id, value, outcome, winner_id, strength, scale, score, "
    "scale_min, scale_max, ranks, response_hash, tags, comment"
)
_ANSWER_COLUMNS: Final = (
    "event_id, event_key, project, completion_id, conversation_id, occurred_at, load_id, app, surface, app_version, properties, "
    "model, policy, sampling, latency_ms, finish_reason, turn, parent_id, author, prompt_hash, prompt_end, prompt_chars, "
    "response_hash, response_chars, reasoning_chars, prompt_reasoning, form"
)
_LETTERS: Final = "CASE r WHEN 'developer' THEN 's' WHEN 'function' THEN 't' ELSE r[1] END"
# `file`, `input_audio` and what is yet to come: no reader takes them, nor an image in an answer.
_IMAGES: Final = "'image_url'"
_CARRIED_ANSWER: Final = f"{TEXT_PARTS[:-1]}, {REASONING_PARTS[1:]}"
_CARRIED: Final = f"{_CARRIED_ANSWER[:-1]}, {_IMAGES})"


def make_relations(db: duckdb.DuckDBPyConnection, kinds: Sequence[str]) -> None:
    """
    Make the temporary views `opinions`, `answers` and `edited` over the snapshot.

    Args:
        db: a connection whose `events` and views are the snapshot.
        kinds: kinds of opinion that the export looks at.
    """
    # A signal is no opinion: none takes the place of another.
    of_kind = "kind IN (" + ", ".join(f"'{kind}'" for kind in (*kinds, "") if kind != "signal") + ")"
    signals = "OR v.kind = 'signal' AND v.name = 'regenerate'" if "signal" in kinds else ""
    # Tables of their own: their sizes are known then, and joins are built on them, not on the many votes.
    db.execute(f"CREATE OR REPLACE TEMP TABLE replaced AS {superseded(of_kind)}")
    db.execute(
        "CREATE OR REPLACE TEMP TABLE words AS SELECT project, person_id, training_consent, occurred_at FROM current_consents"
    )
    db.execute(
        f"""CREATE OR REPLACE TEMP VIEW opinions AS
        SELECT {_prefixed("v", _OPINION_COLUMNS)}, {in_force("v", "w")} AS consent,
               l.event_key IS NULL AS is_latest
        FROM events v LEFT JOIN replaced l ON l.event_key = v.event_key
        LEFT JOIN words w ON w.project = v.project AND w.person_id = v.rater_id
        WHERE v.{of_kind} {signals}"""
    )
    _make_needs(db)
    db.execute(
        f"""CREATE OR REPLACE TEMP VIEW answers AS
        SELECT {_prefixed("c", _ANSWER_COLUMNS)}, c.tools, {_roles("c.messages")} AS roles, {_needs(db)},
               {in_force("c", "w")} AS consent
        FROM completions c LEFT JOIN needs n ON n.event_key = c.event_key
        LEFT JOIN words w ON w.project = c.project AND w.person_id = c.author"""
    )
    db.execute(
        """CREATE OR REPLACE TEMP VIEW edited AS
        SELECT e.event_id, e.event_key, e.project, e.event_key::VARCHAR AS completion_id, a.* EXCLUDE (event_id, event_key, project,
               completion_id, policy, finish_reason, response_hash, response_chars, reasoning_chars, answer_calls_tools, has_other, form),
               NULL AS policy, NULL AS finish_reason, e.response_hash, e.response_chars, e.reasoning_chars, coalesce(n.answer_calls_tools, false) AS answer_calls_tools,
               a.has_other OR coalesce(n.has_other, false) AS has_other,
               CASE WHEN 'rich' IN (a.form, e.form) THEN 'rich' ELSE e.form END AS form
        FROM edits e LEFT JOIN needs n ON n.event_key = e.event_key
        LEFT JOIN answers a ON a.project = e.project AND a.completion_id = e.target_id"""
    )


def kinds_present(db: duckdb.DuckDBPyConnection, kinds: Sequence[str]) -> list[str]:
    """Those of the kinds of event that the snapshot has: a rule without events need not look at the answers."""
    found = {kind for (kind,) in db.execute("SELECT DISTINCT kind FROM events").fetchall()}
    return [kind for kind in kinds if kind in found]


def _make_needs(db: duckdb.DuckDBPyConnection) -> None:
    """Make `needs`: what answers and edits that hold more than text need of a reader; the others' texts are not read."""
    prompt, answer = "messages", "response"
    turns = f"list_has_any(json_extract_string({prompt}, '$[*].role'), ['tool', 'function']) OR {_any_calls(prompt)}"
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE needs AS
        SELECT event_key, coalesce(json_array_length(tools) > 0, false) OR {_calls(answer)} OR coalesce({turns}, false) AS has_tools,
               {_calls(answer)} AS answer_calls_tools, {_has_part("$[*].content[*].type", prompt, f"IN ({_IMAGES})")} AS has_images,
               {_has_part("$[*].content[*].type", prompt, f"NOT IN {_CARRIED}")}
               OR {_has_part("$.content[*].type", answer, f"NOT IN {_CARRIED_ANSWER}")} AS has_other
        FROM (SELECT * FROM events WHERE form = 'rich' UNION ALL SELECT * FROM events WHERE tools IS NOT NULL AND form <> 'rich')
        WHERE kind IN ('completion', 'edit')"""
    )


def _needs(db: duckdb.DuckDBPyConnection) -> str:
    names = ("has_tools", "answer_calls_tools", "has_images", "has_other")
    (any_of_them,) = db.execute("SELECT count(*) FROM needs").fetchone() or (0,)
    return ", ".join(f"coalesce(n.{name}, false) AS {name}" if any_of_them else f"false AS {name}" for name in names)


def _roles(prompt: str) -> str:
    roles = f"list_transform(json_extract_string({prompt}, '$[*].role'), lambda r: {_LETTERS})"
    return f"coalesce(list_aggregate({roles}, 'string_agg', ''), '')"


def _prefixed(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{name.strip()}" for name in columns.split(","))


def _calls(message: str) -> str:
    return f"(coalesce(json_array_length({message}, '$.tool_calls') > 0, false) OR coalesce(json_type({message}, '$.function_call') = 'OBJECT', false))"


def _any_calls(messages: str) -> str:
    calls = f"coalesce(list_bool_or(list_transform(json_extract({messages}, '$[*].tool_calls'), lambda t: json_array_length(t) > 0)), false)"
    legacy = f"coalesce(list_bool_or(list_transform(json_extract({messages}, '$[*].function_call'), lambda t: json_type(t) = 'OBJECT')), false)"
    return f"({calls} OR {legacy})"


def _has_part(path: str, json: str, condition: str) -> str:
    types = f"json_extract_string({json}, '{path}')"
    return f"coalesce(list_bool_or(list_transform({types}, lambda t: t {condition})), false)"
