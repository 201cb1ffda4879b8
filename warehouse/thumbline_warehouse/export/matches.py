"""
Rules that match judgements of different answers to one prompt: thumbs of siblings, ratings by one rater.

    thumb up on a1, thumb down on a2, both to the prompt p  ->  (chosen a1, rejected a2, sibling/1)
    one rater's ratings 5 of a1 and 2 of a2                 ->  (chosen a1, rejected a2, margin 3, rating_pair/1)

They start from the table `judged`, made by judgements.py with the filters applied.
"""

from __future__ import annotations

from typing import Final

import duckdb

from .contributions import bit
from .options import ExportOptions

_TEXT: Final = "SELECT event_key, project, completion_id, conversation_id, prompt_hash, response_hash FROM completions"
_ROW_KEY: Final = "md5(m.chosen || chr(0) || m.rejected || chr(0) || m.rater)::UUID"


def _key(alias: str) -> str:
    return f"hash({alias}.project, {alias}.prompt_hash, {alias}.response_hash)"


def _pair_key(one: str, other: str) -> str:
    """The same as that of a pick between the two: whoever rated them has voted on them."""
    return f"hash(least({_key(one)}, {_key(other)}), greatest({_key(one)}, {_key(other)}))"


def make_labels(db: duckdb.DuckDBPyConnection) -> None:
    """Make `labels`: what most thumbs in `judged` say of each answer; none where as many say the opposite."""
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE labels AS
        SELECT answer, 2 * count(*) FILTER (label) > count(*) AS label, max(occurred_at) AS feedback_at,
               bit_or(rater_kind) AS raters
        FROM judged WHERE reason IS NULL AND rule = {bit("thumb/1")} GROUP BY answer
        HAVING 2 * count(*) FILTER (label) <> count(*)"""
    )


def match_siblings(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """Pairs of an answer that people liked and one to the same prompt that they did not; from thumbs in `judged`."""
    per_chosen = (
        "" if options.rules.nway == "all" else "QUALIFY row_number() OVER (PARTITION BY chosen ORDER BY draw) = 1"
    )
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE matched AS
        WITH known AS (SELECT l.*, a.* FROM labels l JOIN ({_TEXT}) a ON a.event_key = l.answer),
             every AS (SELECT b.event_key AS chosen, w.event_key AS rejected, b.project, b.prompt_hash, 0.0 AS margin,
                              b.completion_id || chr(0) || w.completion_id AS example, b.conversation_id,
                              greatest(b.feedback_at, w.feedback_at) AS feedback_at, b.raters | w.raters AS raters, 0::UBIGINT AS rater,
                              NULL::UBIGINT AS chosen_key, NULL::UBIGINT AS pair_key,
                              md5('{options.seed}' || chr(0) || b.completion_id || chr(0) || w.completion_id) AS draw
                       FROM known b JOIN known w ON w.project = b.project AND w.prompt_hash = b.prompt_hash
                         AND b.label AND NOT w.label AND b.response_hash <> w.response_hash),
             few AS (SELECT * FROM every {per_chosen})
        SELECT * FROM few QUALIFY row_number() OVER (PARTITION BY project, prompt_hash ORDER BY draw) <= {options.rules.max_pairs}"""
    )
    _contribute(db, "sibling/1", "j.answer IN (m.chosen, m.rejected)", bit("thumb/1"), "no_sibling")


def match_ratings(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """Pairs of one rater's ratings of answers to one prompt that differ enough; from ratings in `judged`."""
    count = options.rules.max_pairs if options.rules.nway == "all" else 1
    best = (
        ""
        if options.rules.nway == "all"
        else "QUALIFY rank() OVER (PARTITION BY rater, project, prompt_hash ORDER BY score DESC) = 1"
    )
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE matched AS
        WITH known AS (SELECT j.event_key AS rating, j.rater, j.rater_kind, j.score, j.occurred_at AS rated_at, a.*
                       FROM judged j JOIN ({_TEXT}) a ON a.event_key = j.answer WHERE j.reason IS NULL AND j.rule = {bit("rating/1")}),
             bests AS (SELECT * FROM known {best}),
             every AS (SELECT b.event_key AS chosen, w.event_key AS rejected, b.project, b.prompt_hash,
                              round(b.score - w.score, 4) AS margin, b.rater, b.conversation_id,
                              b.rater || chr(0) || b.completion_id || chr(0) || w.completion_id AS example,
                              greatest(b.rated_at, w.rated_at) AS feedback_at, b.rater_kind AS raters,
                              {_key("b")} AS chosen_key, {_pair_key("b", "w")} AS pair_key,
                              md5('{options.seed}' || chr(0) || b.completion_id || chr(0) || w.completion_id) AS draw
                       FROM bests b JOIN known w ON w.project = b.project AND w.prompt_hash = b.prompt_hash AND w.rater = b.rater
                         AND b.score - w.score >= {options.rules.rating_difference} AND b.response_hash <> w.response_hash)
        SELECT * FROM every QUALIFY row_number() OVER (PARTITION BY rater, project, prompt_hash ORDER BY draw) <= {count}"""
    )
    _contribute(
        db,
        "rating_pair/1",
        "j.answer IN (m.chosen, m.rejected) AND j.rater = m.rater",
        bit("rating/1"),
        "no_counterpart",
    )
    if options.conflicts != "keep":
        _add_level_ratings(db, options)


def _add_level_ratings(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """Who rated two answers alike has voted on the pair, too: that none is better."""
    db.execute(
        f"""INSERT INTO contributions BY NAME
        WITH known AS (SELECT j.event_key AS rating, j.rater, j.rater_kind, j.score, a.*
                       FROM judged j JOIN ({_TEXT}) a ON a.event_key = j.answer WHERE j.reason IS NULL AND j.rule = {bit("rating/1")})
        SELECT b.rating AS event_key, {bit("rating_pair/1")} AS rule, b.rater_kind, b.rater, {_pair_key("b", "w")} AS pair_key, 'tie' AS reason
        FROM known b JOIN known w ON w.project = b.project AND w.prompt_hash = b.prompt_hash AND w.rater = b.rater
          AND abs(b.score - w.score) < {options.rules.rating_difference} AND b.response_hash <> w.response_hash"""
    )


def keep_where(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """Leave out matched pairs for one of whose votes the condition does not hold."""
    if options.filters.where is None:
        return
    matched = bit("sibling/1") | bit("rating_pair/1")
    db.execute(
        f"""UPDATE contributions SET reason = 'where' WHERE reason IS NULL AND rule & {matched} > 0 AND row_key IN (
            SELECT m.row_key FROM contributions m JOIN opinions vote ON vote.event_key = m.event_key
            JOIN answers chosen ON chosen.event_key = m.chosen JOIN answers rejected ON rejected.event_key = m.rejected
            WHERE NOT coalesce(({options.filters.where}), false))"""
    )


def add_evidence(db: duckdb.DuckDBPyConnection) -> None:
    """Thumbs on the answers of a pair of regenerate/1 are part of what the pair came from."""
    db.execute(
        f"""INSERT INTO contributions BY NAME
        SELECT j.event_key, c.rule, j.rater_kind, c.row_key, j.label = (j.answer = c.chosen) AS agrees
        FROM judged j JOIN contributions c ON j.answer IN (c.chosen, c.rejected)
        WHERE j.reason IS NULL AND j.rule = {bit("thumb/1")} AND c.reason IS NULL AND c.rule = {bit("regenerate/1")}"""
    )


def _contribute(db: duckdb.DuckDBPyConnection, rule: str, belongs: str, judged_by: int, unmatched: str) -> None:
    """Add the judgements that are in a pair of `matched` to `contributions`, and the others with the reason."""
    db.execute(
        f"""INSERT INTO contributions BY NAME
        SELECT j.event_key, {bit(rule)} AS rule, m.raters AS rater_kind, m.rater, m.feedback_at AS occurred_at,
               {_ROW_KEY} AS row_key, m.chosen, m.rejected, m.chosen_key, m.pair_key, m.margin, m.conversation_id, m.example,
               j.rule <> {bit("thumb/1")} OR j.label = (j.answer = m.chosen) AS agrees
        FROM judged j JOIN matched m ON {belongs} WHERE j.reason IS NULL AND j.rule = {judged_by}"""
    )
    db.execute(
        f"""INSERT INTO contributions BY NAME SELECT j.event_key, {bit(rule)} AS rule, coalesce(j.reason, '{unmatched}') AS reason
        FROM judged j WHERE j.rule = {judged_by} AND (j.reason IS NOT NULL OR j.event_key NOT IN (
            SELECT event_key FROM contributions WHERE rule = {bit(rule)}))"""
    )
