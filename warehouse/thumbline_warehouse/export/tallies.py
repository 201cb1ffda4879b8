"""From what votes say of single answers to one row an answer: counting, and what a row keeps of the answer."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from .contributions import make_table
from .funnel import ROW_STEPS, RULE_STEPS, Step
from .judgements import COLUMNS, cap_raters, count_twins_together, judge, one_vote_each
from .options import ExportOptions
from .profiles import Profile
from .relations import kinds_present


def tally_judgements(db: duckdb.DuckDBPyConnection, options: ExportOptions, profile: Profile) -> Sequence[Step]:
    """Make `contributions` and `tallies` of all that votes say of single answers; gives the steps taken, in order."""
    make_table(db, COLUMNS)
    steps = judge(db, options, profile, options.sources, "contributions")
    cap_raters(db, options, "contributions")
    _tally(db, options)
    return [*steps, *RULE_STEPS, *ROW_STEPS]


def _tally(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """
    Make `tallies`: one row an answer with what its votes say, or one a vote where conflicts are kept.

    A vote that says neither (a rating between the thresholds) makes no row, and counts among the votes.

        contributions (a1, up), (a1, up), (a1, down)    ->  tallies (a1, label=true, n_votes=3, agreeing=2)
        contributions (a2, up), (a2, NULL), (a2, NULL)  ->  tallies (a2, label=true, n_votes=3, agreeing=1): no majority
    """
    if options.conflicts == "keep":
        db.execute("UPDATE contributions SET row_key = md5(event_key || answer)::UUID WHERE reason IS NULL")
        db.execute(
            """CREATE OR REPLACE TEMP TABLE tallies AS
            SELECT * FROM (
                SELECT row_key, answer, event_key, label, rule, rater_kind AS raters, occurred_at AS feedback_at,
                       count(*) OVER (PARTITION BY answer) AS n_votes, count(*) OVER (PARTITION BY answer, label) AS agreeing
                FROM contributions WHERE reason IS NULL) WHERE label IS NOT NULL"""
        )
        _leave_out_middle(db)
        return
    twins = options.rules.dedupe == "exact" and count_twins_together(db, "contributions")
    if twins or len(kinds_present(db, options.sources)) > 1:
        one_vote_each(db, "contributions")
    db.execute(
        """CREATE OR REPLACE TEMP TABLE tallies AS
        SELECT row_key, ups > downs AS label, n_votes, greatest(ups, downs) AS agreeing, rule, raters, feedback_at
        FROM (SELECT row_key, count(*) AS n_votes, count(*) FILTER (label) AS ups, count(*) FILTER (NOT label) AS downs,
                     bit_or(rule) FILTER (label IS NOT NULL) AS rule, bit_or(rater_kind) FILTER (label IS NOT NULL) AS raters,
                     max(occurred_at) FILTER (label IS NOT NULL) AS feedback_at
              FROM contributions WHERE reason IS NULL GROUP BY row_key) WHERE ups + downs > 0"""
    )
    _leave_out_middle(db)


def _leave_out_middle(db: duckdb.DuckDBPyConnection) -> None:
    # Only now: until here they are votes like the others.
    db.execute("UPDATE contributions SET reason = 'middle' WHERE reason IS NULL AND label IS NULL")


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
        steps = {"no_majority": "2 * t.agreeing <= t.n_votes"} | steps
    if options.conflicts == "drop":
        steps = {"conflict": "t.agreeing < t.n_votes"} | steps
    if filters.min_agreement > 0:
        steps["min_agreement"] = f"t.agreeing < {filters.min_agreement} * t.n_votes"
    whens = " ".join(f"WHEN {condition} THEN '{name}'" for name, condition in steps.items())
    return f"CASE {whens} END" if whens else "NULL::VARCHAR"
