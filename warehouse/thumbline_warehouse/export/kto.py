"""
KTO: one row a rated answer, from thumbs (rule `thumb/1`).

    thumb up by two people, down by one, on the answer "Paris." to "Capital of France?"
    ->  {"prompt": [{"role": "user", "content": "Capital of France?"}],
         "completion": [{"role": "assistant", "content": "Paris."}], "label": true,
         "n_votes": 3, "agreement": 0.667, ...}

The label is what most current votes say; where as many say up as down, the answer is left out.
"""

from __future__ import annotations

from typing import Final

import duckdb

from ..messages import canonical_list, canonical_one, parsed_list, parsed_one
from ..views import superseded
from .funnel import Funnel, Step, reason_case, steps_in_force
from .options import ExportOptions
from .recipe import MetadataColumn, consent_of

_STEPS: Final = (
    Step("superseded", "NOT is_latest", "a later vote by the same rater on the same answer took its place"),
    Step("retracted", "value = 'retracted'", "the vote was taken back"),
    Step("orphan", "c_id IS NULL", "the answer has not come"),
    Step("not_human", "rater_kind <> 'human'", "the rater is a model or a rule"),
    Step("vote_consent", "vote_consent <> 'granted'", "the rater has not given the vote for training"),
    Step("answer_consent", "answer_consent <> 'granted'", "the author has not given the conversation for training"),
    Step("rich", "form = 'rich'", "tool calls, images or other parts, which this profile cannot carry"),
    Step(
        "prompt_end",
        "coalesce(prompt_end, '') NOT IN ('user', 'tool')",
        "the prompt does not end with the user or a tool",
    ),
    Step("empty", "coalesce(response_chars, 0) = 0", "the answer is empty"),
)


def example_id(answer: str) -> str:
    """SQL: the id of the row of an answer: equal in every export that has it."""
    return f"sha256('kto' || chr(0) || {answer}.project || chr(0) || {answer}.completion_id)"


class Kto:
    """The recipe of `kto`."""

    metadata = (
        MetadataColumn("example_id", "VARCHAR", example_id("c")),
        MetadataColumn("conversation_id", "VARCHAR", "c.conversation_id"),
        MetadataColumn("source", "VARCHAR", "'thumb'"),
        MetadataColumn("rule", "VARCHAR", "'thumb/1'"),
        MetadataColumn("model", "VARCHAR", "c.model"),
        MetadataColumn("policy", "VARCHAR", "c.policy"),
        MetadataColumn("n_votes", "BIGINT", "p.n_votes"),
        MetadataColumn("agreement", "DOUBLE", "p.agreement"),
        MetadataColumn("feedback_ts_ms", "BIGINT", "p.feedback_ts_ms"),
    )

    def make_plan(self, db: duckdb.DuckDBPyConnection, options: ExportOptions) -> Funnel:
        steps = steps_in_force(_STEPS, options)
        _make_votes(db, reason_case(steps))
        shuffle = f"md5_number_lower('{options.seed}' || {example_id('c')})"
        db.execute(
            """CREATE OR REPLACE TEMP TABLE answers AS
               SELECT c_id, count(*) AS n_votes, count(*) FILTER (value = 'up') AS ups,
                      epoch_ms(max(occurred_at)) AS feedback_ts_ms
               FROM votes WHERE reason IS NULL GROUP BY c_id"""
        )
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE plan AS
               SELECT row_number() OVER () - 1 AS row, {shuffle} AS shuffle, a.c_id, a.n_votes, a.feedback_ts_ms,
                      2 * a.ups > a.n_votes AS label,
                      round(greatest(a.ups, a.n_votes - a.ups) / a.n_votes, 4) AS agreement,
                      c.prompt_hash, c.response_hash AS completion_hash, c.model
               FROM answers a JOIN events c ON c.event_id = a.c_id AND c.kind = 'completion'
               WHERE 2 * a.ups <> a.n_votes"""
        )
        return _funnel(db, [step.name for step in steps])

    def text_sources(self) -> str:
        return "plan p JOIN events c ON c.event_id = p.c_id AND c.kind = 'completion'"

    def text_columns(self) -> dict[str, str]:
        return {
            "prompt": prompt_sql("c"),
            "completion": answer_sql("c"),
            "label": "CASE WHEN p.label THEN 'true' ELSE 'false' END",
        }

    def text_types(self) -> dict[str, str]:
        messages = "STRUCT(role VARCHAR, content VARCHAR)[]"
        return {"prompt": messages, "completion": messages, "label": "BOOLEAN"}


def prompt_sql(alias: str) -> str:
    """SQL: the prompt as a canonical JSON list."""
    rewritten = canonical_list(parsed_list(f"{alias}.messages"))
    return f"CASE WHEN {alias}.form = 'canonical' THEN {alias}.messages::VARCHAR ELSE {rewritten}::VARCHAR END"


def answer_sql(alias: str) -> str:
    """SQL arguments of concat(): the answer as a canonical JSON list of one message."""
    rewritten = canonical_one(parsed_one(f"{alias}.response"))
    text = f"CASE WHEN {alias}.form = 'canonical' THEN {alias}.response::VARCHAR ELSE {rewritten}::VARCHAR END"
    return f"'[', {text}, ']'"


def _make_votes(db: duckdb.DuckDBPyConnection, reason: str) -> None:
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE votes AS
        WITH superseded AS ({superseded("kind = 'thumb'")}),
             voted AS (SELECT v.event_id, v.project, v.target_id, v.rater_kind, v.value, v.occurred_at,
                              {consent_of("v", "rater_id")} AS vote_consent, l.event_id IS NULL AS is_latest
                       FROM thumbs v LEFT JOIN superseded l ON l.event_id = v.event_id),
             answered AS (SELECT c.event_id AS c_id, c.project, c.completion_id, c.form, c.prompt_end, c.response_chars,
                                 {consent_of("c", "author")} AS answer_consent FROM completions c)
        SELECT c_id, value, occurred_at, {reason} AS reason
        FROM (SELECT v.*, a.* EXCLUDE (project) FROM voted v
              LEFT JOIN answered a ON a.project = v.project AND a.completion_id = v.target_id)"""
    )


def _funnel(db: duckdb.DuckDBPyConnection, names: list[str]) -> Funnel:
    found = dict(db.execute("SELECT reason, count(*) FROM votes GROUP BY reason").fetchall())
    split, kept, rows = db.execute(
        "SELECT coalesce(sum(n_votes) FILTER (2 * ups = n_votes), 0), "
        "coalesce(sum(n_votes) FILTER (2 * ups <> n_votes), 0), count(*) FILTER (2 * ups <> n_votes) FROM answers"
    ).fetchone() or (0, 0, 0)
    dropped = {name: found.get(name, 0) for name in names} | {"split_vote": int(split)}
    return Funnel(sum(found.values()), dropped, int(kept) - rows, rows)
