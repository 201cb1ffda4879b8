"""
Rules that judge one answer: desirable or not.

    thumb up by r1 on the answer a1  ->  (a1, r1, true, thumb/1)
    both bad by r2 on a1 and a2      ->  (a1, r2, false, both_bad/1), (a2, r2, false, both_bad/1)
    rating 3 of 5 by r3 on a1        ->  (a1, r3, NULL, rating/1): a vote that says neither; it counts among the votes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from ..current import retracted
from .contributions import bit, rater_bit
from .filters import ANSWER, answer_steps, vote_steps
from .funnel import Step, reason_case
from .options import ExportOptions, Rules
from .profiles import Profile
from .relations import kinds_present

ORPHAN: Final = Step("orphan", "the answer, or the comparison, has not come", "answer.event_key IS NULL")
# A score on 1 to 5, whatever the scale was.
STARS: Final = "(1 + 4 * (o.score - o.scale_min) / (o.scale_max - o.scale_min))"

COLUMNS: Final = {"label": "BOOLEAN", "score": "FLOAT", "text_key": "UBIGINT", "answer": "UUID"}


def judge(
    db: duckdb.DuckDBPyConnection, options: ExportOptions, profile: Profile, sources: Sequence[str], into: str
) -> list[Step]:
    """
    Put what each vote says of each answer into a table.

    Args:
        db: holds the relations (see relations.py).
        options: the export's.
        profile: the reader.
        sources: kinds of event to read: thumb, rating, pick, edit (an edit approves of itself).
        into: a table with the columns of `contributions` and COLUMNS.

    Returns:
        The steps taken, in order.
    """
    before = vote_steps(options.filters, ANSWER)
    after = [ORPHAN, *answer_steps(db, options, profile, ANSWER)]
    for source in kinds_present(db, sources):
        answers = "edited" if source == "edit" else "answers"
        sql = _insert(_SQL[source](options.rules), reason_case(before, after), into, answers, options.rules.dedupe)
        db.execute(sql)
    return [*before, *after]


def cap_raters(db: duckdb.DuckDBPyConnection, options: ExportOptions, table: str) -> None:
    """Leave out, by the seed's draw, votes of a rater beyond `max_per_rater`."""
    cap = options.filters.max_per_rater
    if cap is None:
        return
    db.execute(
        f"""UPDATE {table} SET reason = 'rater_cap' WHERE reason IS NULL AND event_key IN (
            SELECT event_key FROM (SELECT DISTINCT event_key, rater FROM {table} WHERE reason IS NULL)
            QUALIFY row_number() OVER (PARTITION BY rater ORDER BY md5('{options.seed}' || event_key), event_key) > {cap})"""
    )


def one_vote_each(db: duckdb.DuckDBPyConnection, table: str) -> None:
    """
    Where a rater has said several things of one answer, only the latest counts.

    But for picks that were taken apart: each compares the answer with another one.
    """
    db.execute(
        f"""UPDATE {table} SET reason = 'same_rater' WHERE reason IS NULL AND (event_key, row_key) IN (
            SELECT (event_key, row_key) FROM {table} WHERE reason IS NULL AND rule <> {bit("unpair/1")}
            QUALIFY row_number() OVER (PARTITION BY row_key, rater ORDER BY occurred_at DESC, event_key DESC) > 1)"""
    )


def count_twins_together(db: duckdb.DuckDBPyConnection, table: str) -> bool:
    """
    Give votes on word-for-word the same answer to the same prompt one row: that of the earliest of the answers.

    Returns:
        Whether there were any.
    """
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE twins AS
        WITH texts AS (SELECT text_key FROM {table} WHERE reason IS NULL GROUP BY 1 HAVING min(answer) <> max(answer)),
             each_once AS (SELECT DISTINCT text_key, answer FROM {table} SEMI JOIN texts USING (text_key) WHERE reason IS NULL)
        SELECT t.answer, first_value(t.answer) OVER (PARTITION BY t.text_key ORDER BY a.occurred_at, a.event_key) AS earliest
        FROM each_once t JOIN events a ON a.event_key = t.answer"""
    )
    (found,) = db.execute("SELECT count(*) FROM twins").fetchone() or (0,)
    if found:
        db.execute(f"UPDATE {table} SET row_key = t.earliest FROM twins t WHERE t.answer = {table}.answer")
    return bool(found)


def _insert(sql: str, reason: str, into: str, answers: str, dedupe: str) -> str:
    key = "hash(answer.project, answer.prompt_hash, answer.response_hash)" if dedupe == "exact" else "NULL"
    return f"""INSERT INTO {into} BY NAME
        SELECT vote.event_key, vote.rule, {rater_bit("vote.rater_kind")} AS rater_kind, hash(vote.project, vote.rater_id) AS rater,
               vote.occurred_at, answer.event_key AS row_key, answer.event_key AS answer, vote.label, vote.score,
               {key} AS text_key, {reason} AS reason
        FROM ({sql}) vote LEFT JOIN {answers} answer ON answer.project = vote.project AND answer.completion_id = vote.answer_id"""


def _thumbs(rules: Rules) -> str:
    return f"""SELECT *, {bit("thumb/1")} AS rule, target_id AS answer_id, value = 'up' AS label,
        CASE WHEN {retracted("o")} THEN 'retracted' END AS undecided FROM opinions o WHERE kind = 'thumb'"""


def _ratings(rules: Rules) -> str:
    return f"""SELECT * EXCLUDE (score), {bit("rating/1")} AS rule, target_id AS answer_id, {STARS} AS score,
        CASE WHEN {STARS} >= {rules.rating_up} THEN true WHEN {STARS} <= {rules.rating_down} THEN false END AS label,
        CASE WHEN {retracted("o")} THEN 'retracted' WHEN target_type <> 'completion' THEN 'conversation' END AS undecided
        FROM opinions o WHERE kind = 'rating'"""


def _edits(rules: Rules) -> str:
    return f"""SELECT *, {bit("edit/1")} AS rule, event_key::VARCHAR AS answer_id, true AS label, NULL::VARCHAR AS undecided
        FROM opinions o WHERE kind = 'edit'"""


def _picks(rules: Rules) -> str:
    nothing = "[{'answer_id': NULL::VARCHAR, 'label': NULL::BOOLEAN, 'undecided': o.outcome}]"
    relative = nothing.replace("o.outcome", "'relative'")
    each = (
        "list_transform(x.completion_ids, lambda i: {{'answer_id': i, 'label': {label}, 'undecided': NULL::VARCHAR}})"
    )
    missing = nothing.replace("o.outcome", "CASE WHEN o.outcome IN ('retracted', 'skip') THEN o.outcome END")
    cases = f"WHEN o.outcome = 'both_bad' THEN {each.format(label='false')}"
    if rules.ties == "keep-kto":
        cases += f" WHEN o.outcome = 'tie' THEN {each.format(label='true')}"
    winner = each.format(label="i = o.winner_id") if rules.unpair_picks else relative
    return f"""SELECT * EXCLUDE (said), said.answer_id, said.label, said.undecided,
        CASE outcome WHEN 'both_bad' THEN {bit("both_bad/1")} WHEN 'tie' THEN {bit("tie/1")} ELSE {bit("unpair/1")} END AS rule
        FROM (SELECT o.*, unnest(CASE WHEN x.comparison_id IS NULL AND o.outcome NOT IN ('retracted', 'skip') THEN {missing} {cases}
                                 WHEN o.outcome = 'winner' THEN {winner} ELSE {nothing} END) AS said
              FROM opinions o LEFT JOIN comparisons x ON x.project = o.project AND x.comparison_id = o.target_id
              WHERE o.kind = 'pick')"""


_SQL: Final = {"thumb": _thumbs, "rating": _ratings, "edit": _edits, "pick": _picks}
