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

from .contributions import make_table, raters_of, rules_of, sources_of
from .funnel import ROW_STEPS, RULE_STEPS, Step
from .judgements import COLUMNS, cap_raters, count_twins_together, judge, one_vote_each
from .options import ExportOptions
from .profiles import Profile
from .recipe import JsonColumn, MetadataColumn, answer_sql, plain_sql, prompt_sql, shuffle_of, tools_sql
from .relations import kinds_present

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
        key = f"{_ANSWER} || chr(0) || p.event_id" if options.conflicts == "keep" else _ANSWER
        self.example_id = f"sha256('kto' || chr(0) || {key})"

    def make_rows(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> Sequence[Step]:
        options = self._options
        make_table(db, COLUMNS)
        steps = judge(db, options, profile, options.sources, "contributions")
        cap_raters(db, options, "contributions")
        tally(db, options)
        self._make_rows(db)
        return [*steps, *RULE_STEPS, *ROW_STEPS]

    def text_sources(self, table: str = "plan") -> str:
        return f"{table} p JOIN events c ON c.event_id = p.{self._answer} AND c.kind = 'completion'"

    def text_columns(self, rich: bool) -> dict[str, JsonColumn]:
        columns = {
            "prompt": prompt_sql("c", rich),
            "completion": answer_sql("c", rich),
            "label": plain_sql("p.label"),
        }
        return columns | ({"tools": tools_sql("c")} if rich else {})

    def _make_rows(self, db: duckdb.DuckDBPyConnection) -> None:
        keeps = self._options.conflicts == "keep"
        key = f"{_ANSWER} || chr(0) || t.event_id" if keeps else _ANSWER
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE rows AS
            SELECT t.*, c.prompt_hash, c.response_hash AS completion_hash, {answer_columns("c", self._options)},
                   round(t.agreeing / t.n_votes, 4) AS agreement,
                   {shuffle_of(self._options.seed, key)} AS shuffle, {votes_reason(self._options)} AS reason
            FROM tallies t JOIN events c ON c.event_id = t.{self._answer} AND c.kind = 'completion'"""
        )


def tally(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """
    Make `tallies`: one row an answer with what its votes say, or one a vote where conflicts are kept.

        contributions (a1, up), (a1, up), (a1, down)  ->  tallies (a1, label=true, n_votes=3, agreeing=2)
    """
    if options.conflicts == "keep":
        db.execute("UPDATE contributions SET row_key = md5(event_id || answer)::UUID WHERE reason IS NULL")
        db.execute(
            """CREATE OR REPLACE TEMP TABLE tallies AS
            SELECT row_key, answer, event_id, label, rule, rater_kind AS raters, occurred_at AS feedback_at,
                   count(*) OVER (PARTITION BY answer) AS n_votes, count(*) OVER (PARTITION BY answer, label) AS agreeing
            FROM contributions WHERE reason IS NULL"""
        )
        return
    twins = options.rules.dedupe == "exact" and count_twins_together(db, "contributions")
    if twins or len(kinds_present(db, options.sources)) > 1:
        one_vote_each(db, "contributions")
    db.execute(
        """CREATE OR REPLACE TEMP TABLE tallies AS
        SELECT row_key, 2 * ups > n_votes AS label, n_votes, greatest(ups, n_votes - ups) AS agreeing, rule, raters, feedback_at
        FROM (SELECT row_key, count(*) AS n_votes, count(*) FILTER (label) AS ups, bit_or(rule) AS rule,
                     bit_or(rater_kind) AS raters, max(occurred_at) AS feedback_at
              FROM contributions WHERE reason IS NULL GROUP BY row_key)"""
    )


def answer_columns(alias: str, options: ExportOptions) -> str:
    """SQL: what `rows` keeps of the answer for caps, splits and figures."""
    # Hashing names takes its time where there are millions.
    needs_conversation = options.split.test or options.split.validation or options.filters.max_per_conversation
    conversation = conversation_of(alias) if needs_conversation else "NULL::UBIGINT"
    return (
        f"{conversation} AS conversation, {alias}.occurred_at AS answered_at, {alias}.prompt_chars, "
        f"{alias}.response_chars AS completion_chars, "
        f"{alias}.form = 'rich' OR coalesce(json_array_length({alias}.tools) > 0, false) AS is_rich"
    )


def conversation_of(alias: str) -> str:
    """SQL: a hash of the conversation; an answer without one stands for itself, by its prompt."""
    return (
        f"CASE WHEN {alias}.conversation_id IS NULL THEN {alias}.prompt_hash "
        f"ELSE md5_number_lower({alias}.project || chr(0) || {alias}.conversation_id) END"
    )


def votes_reason(options: ExportOptions) -> str:
    """SQL: why a row of `tallies t` is left out for its votes; NULL for what stays."""
    filters = options.filters
    steps = {"min_votes": f"t.n_votes < {filters.min_votes}"} if filters.min_votes > 1 else {}
    if options.conflicts != "keep":
        steps = {"split_vote": "2 * t.agreeing = t.n_votes"} | steps
    if options.conflicts == "drop":
        steps = {"conflict": "t.agreeing < t.n_votes"} | steps
    if filters.min_agreement > 0:
        steps["min_agreement"] = f"t.agreeing < {filters.min_agreement} * t.n_votes"
    whens = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in steps.items())
    return f"CASE {whens} END" if whens else "NULL::VARCHAR"
