"""
Prompts, for methods that draw their own answers: one row a prompt that people sent.

    an answer to "Capital of France?"  ->  {"prompt": [{"role": "user", "content": "Capital of France?"}], ...}
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from .contributions import bit, make_table
from .filters import ANSWER, answer_steps, vote_steps
from .funnel import ROW_STEPS, Step, reason_case
from .options import ExportOptions
from .profiles import Profile
from .recipe import JsonColumn, MetadataColumn, prompt_sql, shuffle_of, tools_sql
from .tallies import answer_columns

# An answer is nobody's vote.
_VOTE_ONLY = ("superseded", "raters", "own_prompt", "vote_consent")


class Prompts:
    """
    The recipe of `prompts`.

    Args:
        options: the export's.
    """

    metadata = (
        MetadataColumn("conversation_id", "VARCHAR", "c.conversation_id"),
        MetadataColumn("source", "VARCHAR", "'answer'"),
        MetadataColumn("rule", "VARCHAR", "'prompt/1'"),
        MetadataColumn("n_answers", "BIGINT", "p.n_votes"),
        MetadataColumn("asked_ts_ms", "BIGINT", "epoch_ms(p.answered_at)"),
    )

    answers = "[p.answer]"
    example_id = "sha256('prompts' || chr(0) || p.row_key)"

    def __init__(self, options: ExportOptions) -> None:
        self._options = options

    def make_rows(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> Sequence[Step]:
        options = self._options
        make_table(db, {})
        before = [s for s in vote_steps(options.filters, ANSWER) if s.name not in _VOTE_ONLY]
        after = answer_steps(db, options, profile, ANSWER)
        key = (
            "md5(answer.project || chr(0) || answer.prompt_hash)::UUID"
            if options.rules.dedupe == "exact"
            else "answer.event_key"
        )
        db.execute(
            f"""INSERT INTO contributions BY NAME
            SELECT answer.event_key, {bit("prompt/1")} AS rule, 0 AS rater_kind, answer.occurred_at, {key} AS row_key,
                   {reason_case(before, after)} AS reason
            FROM (SELECT *, NULL::VARCHAR AS undecided FROM answers) vote JOIN answers answer ON answer.event_key = vote.event_key"""
        )
        self._make_rows(db)
        return [*before, *after, *ROW_STEPS]

    def text_sources(self, table: str = "plan") -> str:
        return f"{table} p JOIN events c ON c.event_key = p.answer AND c.kind = 'completion'"

    def text_columns(self, rich: bool) -> dict[str, JsonColumn]:
        return {"prompt": prompt_sql("c", rich)} | ({"tools": tools_sql("c")} if rich else {})

    def _make_rows(self, db: duckdb.DuckDBPyConnection) -> None:
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE rows AS
            SELECT t.*, true AS label, c.prompt_hash, c.prompt_hash AS completion_hash, {answer_columns("c", self._options)}, 1.0 AS agreement,
                   {shuffle_of(self._options.seed, "t.row_key")} AS shuffle, NULL::VARCHAR AS reason
            FROM (SELECT row_key, arg_min(event_key, (occurred_at, event_key)) AS answer, count(*) AS n_votes, bit_or(rule) AS rule,
                         0 AS raters, max(occurred_at) AS feedback_at
                  FROM contributions WHERE reason IS NULL GROUP BY row_key) t
            JOIN events c ON c.event_key = t.answer AND c.kind = 'completion'"""
        )
