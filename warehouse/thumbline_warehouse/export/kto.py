"""
KTO: one row a rated answer.

    thumb up by two people, down by one, on the answer "Paris." to "Capital of France?"
    ->  {"prompt": [{"role": "user", "content": "Capital of France?"}],
         "completion": [{"role": "assistant", "content": "Paris."}], "label": true,
         "n_votes": 3, "agreement": 0.6667, ...}

The label is what most of the votes say; where as many say the opposite, the answer is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from .contributions import raters_of, rules_of, sources_of
from .funnel import Step
from .options import ExportOptions
from .profiles import Profile
from .recipe import JsonColumn, MetadataColumn, answer_sql, plain_sql, prompt_sql, shuffle_of, tools_sql
from .tallies import answer_columns, tally_judgements, votes_reason

# What an answer is known by, over its event `c`.
_ANSWER = "c.project || chr(0) || c.completion_id"


class Kto:
    """
    The recipe of `kto`.

    Args:
        options: the export's.
    """

    metadata = (
        MetadataColumn("conversation_id", "VARCHAR", "c.conversation_id"),
        MetadataColumn("source", "VARCHAR", sources_of("p.rule")),
        MetadataColumn("rule", "VARCHAR", rules_of("p.rule")),
        MetadataColumn("raters", "VARCHAR", raters_of("p.raters")),
        MetadataColumn("model", "VARCHAR", "c.model"),
        MetadataColumn("policy", "VARCHAR", "c.policy"),
        MetadataColumn("n_votes", "BIGINT", "p.n_votes"),
        MetadataColumn("agreement", "DOUBLE", "p.agreement"),
        MetadataColumn("feedback_ts_ms", "BIGINT", "epoch_ms(p.feedback_at)"),
    )

    def __init__(self, options: ExportOptions) -> None:
        self._options = options
        self._answer = "answer" if options.conflicts == "keep" else "row_key"
        self.answers = f"[p.{self._answer}]"
        key = f"{_ANSWER} || chr(0) || p.event_key" if options.conflicts == "keep" else _ANSWER
        self.example_id = f"sha256('kto' || chr(0) || {key})"

    def make_rows(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> Sequence[Step]:
        steps = tally_judgements(db, self._options, profile)
        self._make_rows(db)
        return steps

    def text_sources(self, table: str = "plan") -> str:
        return f"{table} p JOIN events c ON c.event_key = p.{self._answer} AND c.kind = 'completion'"

    def text_columns(self, rich: bool) -> dict[str, JsonColumn]:
        columns = {
            "prompt": prompt_sql("c", rich),
            "completion": answer_sql("c", rich, self._options),
            "label": plain_sql("p.label"),
        }
        return columns | ({"tools": tools_sql("c")} if rich else {})

    def _make_rows(self, db: duckdb.DuckDBPyConnection) -> None:
        keeps = self._options.conflicts == "keep"
        key = f"{_ANSWER} || chr(0) || t.event_key" if keeps else _ANSWER
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE rows AS
            SELECT t.*, c.prompt_hash, c.response_hash AS completion_hash, {answer_columns("c", self._options)},
                   round(t.agreeing / t.n_votes, 4) AS agreement,
                   {shuffle_of(self._options.seed, key)} AS shuffle, {votes_reason(self._options)} AS reason
            FROM tallies t JOIN events c ON c.event_key = t.{self._answer} AND c.kind = 'completion'"""
        )
