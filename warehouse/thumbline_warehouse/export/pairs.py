"""
Pairs, and the same with a margin for reward models: one row a preference.

    "Capital of France?" answered "Paris." (shown first) and "Lyon.", and a pick of "Paris."
    ->  {"prompt": [{"role": "user", "content": "Capital of France?"}],
         "chosen": [{"role": "assistant", "content": "Paris."}],
         "rejected": [{"role": "assistant", "content": "Lyon."}], "chosen_position": 1, ...}
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from . import judgements, preferences
from .contributions import first_rule, make_table, raters_of, rules_of, sources_of
from .funnel import MATCH_STEPS, ROW_STEPS, RULE_STEPS, Step
from .judgements import cap_raters, judge
from .matches import add_evidence, keep_where, make_labels, match_ratings, match_siblings
from .options import ExportOptions
from .profiles import Profile
from .recipe import JsonColumn, MetadataColumn, answer_sql, plain_sql, prompt_sql, shuffle_of, tools_sql
from .tallies import answer_columns, votes_reason

_DIRECT = ("pick", "ranking", "edit")


class Pairs:
    """
    The recipe of `pairs` and `reward`.

    Args:
        options: the export's.
    """

    metadata = (
        MetadataColumn("conversation_id", "VARCHAR", "p.conversation_id"),
        MetadataColumn("source", "VARCHAR", sources_of("p.rule")),
        MetadataColumn("rule", "VARCHAR", rules_of("p.rule")),
        MetadataColumn("raters", "VARCHAR", raters_of("p.raters")),
        MetadataColumn("chosen_model", "VARCHAR", "c.model"),
        MetadataColumn("rejected_model", "VARCHAR", "d.model"),
        MetadataColumn("chosen_policy", "VARCHAR", "c.policy"),
        MetadataColumn("rejected_policy", "VARCHAR", "d.policy"),
        MetadataColumn("n_votes", "BIGINT", "p.n_votes"),
        MetadataColumn("agreement", "DOUBLE", "p.agreement"),
        MetadataColumn("chosen_position", "BIGINT", "p.position"),
        MetadataColumn("shown_answers", "BIGINT", "p.shown"),
        MetadataColumn("strength", "BIGINT", "p.strength"),
        MetadataColumn("scale", "BIGINT", "p.scale"),
        MetadataColumn("feedback_ts_ms", "BIGINT", "epoch_ms(p.feedback_at)"),
    )

    answers = "[p.chosen, p.rejected]"
    example_id = f"sha256('pairs' || chr(0) || d.project || chr(0) || {first_rule('p.rule')} || chr(0) || p.example)"

    def __init__(self, options: ExportOptions) -> None:
        self._options = options

    def make_rows(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> Sequence[Step]:
        options = self._options
        make_table(db, preferences.COLUMNS)
        steps = preferences.prefer(db, options, profile, [s for s in options.sources if s in _DIRECT])
        steps += self._match(db, profile)
        cap_raters(db, options, "contributions")
        if options.conflicts != "keep":
            _count_together(db)
        _tally(db)
        self._make_rows(db)
        _drop_duplicates(db)
        return [*dict.fromkeys(steps), *RULE_STEPS, *MATCH_STEPS, *ROW_STEPS]

    def text_sources(self, table: str = "plan") -> str:
        return (
            f"{table} p JOIN events c ON c.event_key = p.chosen AND c.kind IN ('completion', 'edit') "
            "JOIN events d ON d.event_key = p.rejected AND d.kind = 'completion'"
        )

    def text_columns(self, rich: bool) -> dict[str, JsonColumn]:
        # The prompt is that of the answer that was not preferred: an edit has none of its own.
        columns = {
            "prompt": prompt_sql("d", rich),
            "chosen": answer_sql("c", rich, self._options),
            "rejected": answer_sql("d", rich, self._options),
        }
        if self._options.kind == "reward":
            columns["margin"] = plain_sql("p.margin" if self._options.output.margin == "strength" else "0.0::DOUBLE")
        return columns | ({"tools": tools_sql("d")} if rich else {})

    def _match(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> list[Step]:
        options = self._options
        judged = [s for s in ("thumb", "rating") if s in options.sources]
        if "regenerate" in options.sources and "thumb" not in judged:
            judged.append("thumb")
        if not judged:
            return []
        db.execute("CREATE OR REPLACE TEMP TABLE judged AS SELECT * FROM contributions WHERE false")
        for name, type_ in judgements.COLUMNS.items():
            db.execute(f"ALTER TABLE judged ADD COLUMN {name} {type_}")
        # The condition is about pairs: it waits until there are some.
        alone = options.model_copy(update={"filters": options.filters.model_copy(update={"where": None})})
        steps = judge(db, alone, profile, judged, "judged")
        make_labels(db)
        if "regenerate" in options.sources:
            steps += preferences.prefer(db, options, profile, ["regenerate"])
            add_evidence(db)
        if "thumb" in options.sources:
            match_siblings(db, options)
        if "rating" in options.sources:
            match_ratings(db, options)
        keep_where(db, options)
        return steps

    def _make_rows(self, db: duckdb.DuckDBPyConnection) -> None:
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE rows AS
            SELECT t.*, c.response_hash AS completion_hash, d.prompt_hash, {answer_columns("d", self._options)},
                   coalesce(c.response_chars, 0) AS chosen_chars, coalesce(d.response_chars, 0) AS rejected_chars,
                   c.form = 'rich' AS is_chosen_rich, round(t.agreeing / t.n_votes, 4) AS agreement,
                   {shuffle_of(self._options.seed, "d.project || chr(0) || t.example")} AS shuffle, {votes_reason(self._options)} AS reason
            FROM tallies t JOIN events c ON c.event_key = t.chosen AND c.kind IN ('completion', 'edit')
            JOIN events d ON d.event_key = t.rejected AND d.kind = 'completion'"""
        )
        db.execute("UPDATE rows SET is_rich = true WHERE is_chosen_rich")


def _count_together(db: duckdb.DuckDBPyConnection) -> None:
    """Give all votes on the same two answers one row: that of the side that most of them are for."""
    db.execute(
        """CREATE OR REPLACE TEMP TABLE winners AS
        WITH sides AS (SELECT pair_key, chosen_key, count(DISTINCT rater) AS votes, min(event_key) AS first_vote FROM contributions
                       WHERE reason IS NULL AND pair_key IS NOT NULL GROUP BY ALL),
             best AS (SELECT * FROM sides QUALIFY row_number() OVER (PARTITION BY pair_key ORDER BY votes DESC, first_vote) = 1)
        SELECT b.pair_key, b.chosen_key, c.row_key, c.chosen, c.rejected
        FROM best b JOIN contributions c ON c.event_key = b.first_vote AND c.pair_key = b.pair_key AND c.reason IS NULL"""
    )
    # Thumbs that a regenerated answer rests on have no side of their own: they go with its row.
    db.execute(
        """UPDATE contributions SET row_key = m.new, agrees = (contributions.agrees = m.stays)
        FROM (SELECT c.row_key AS old, any_value(w.row_key) AS new, any_value(c.chosen_key = w.chosen_key) AS stays
              FROM contributions c JOIN winners w ON w.pair_key = c.pair_key WHERE c.reason IS NULL GROUP BY c.row_key) m
        WHERE m.old = contributions.row_key AND contributions.pair_key IS NULL AND contributions.reason IS NULL"""
    )
    db.execute(
        """UPDATE contributions SET row_key = w.row_key, agrees = contributions.chosen_key = w.chosen_key, chosen = w.chosen,
        rejected = w.rejected, example = 'votes' || chr(0) || w.chosen || chr(0) || w.rejected
        FROM winners w WHERE w.pair_key = contributions.pair_key AND contributions.reason IS NULL"""
    )


def _tally(db: duckdb.DuckDBPyConnection) -> None:
    """
    Make `tallies`: one row a pair, with the votes on its two answers. Who says that none is better has voted, too.

        contributions (p1, chosen a), (p1, chosen a), (p1, tie)  ->  tallies (p1, n_votes=3, agreeing=2)
    """
    # By rater: one's two ratings are one vote on the pair.
    db.execute(
        """CREATE OR REPLACE TEMP TABLE pair_votes AS SELECT pair_key, count(DISTINCT rater) AS votes FROM contributions
        WHERE pair_key IS NOT NULL AND (reason IS NULL OR reason IN ('tie', 'both_bad')) GROUP BY 1"""
    )
    db.execute(
        """CREATE OR REPLACE TEMP TABLE side_votes AS SELECT pair_key, chosen_key, count(DISTINCT rater) AS votes
        FROM contributions WHERE pair_key IS NOT NULL AND reason IS NULL GROUP BY ALL"""
    )
    db.execute(
        """CREATE OR REPLACE TEMP TABLE tallies AS
        WITH made AS (
            SELECT row_key, any_value(chosen) AS chosen, any_value(rejected) AS rejected, any_value(example) AS example,
                   any_value(conversation_id ORDER BY event_key) AS conversation_id, any_value(pair_key) AS pair_key,
                   any_value(chosen_key) FILTER (agrees) AS chosen_key, bit_or(rule) AS rule, bit_or(rater_kind) AS raters,
                   any_value(rater ORDER BY event_key) AS rater, max(occurred_at) AS feedback_at,
                   avg(margin) FILTER (agrees) AS margin, any_value(position ORDER BY event_key) FILTER (agrees) AS position,
                   any_value(shown ORDER BY event_key) AS shown, any_value(strength ORDER BY event_key) FILTER (agrees) AS strength,
                   any_value(scale ORDER BY event_key) FILTER (agrees) AS scale, count(*) AS votes, count(*) FILTER (agrees) AS agreeing
            FROM contributions WHERE reason IS NULL GROUP BY row_key)
        SELECT m.* EXCLUDE (votes, agreeing, margin), coalesce(m.margin, 0) AS margin, true AS label,
               coalesce(p.votes, m.votes) AS n_votes, coalesce(s.votes, m.agreeing) AS agreeing
        FROM made m LEFT JOIN pair_votes p ON p.pair_key = m.pair_key
        LEFT JOIN side_votes s ON s.pair_key = m.pair_key AND s.chosen_key = m.chosen_key"""
    )


def _drop_duplicates(db: duckdb.DuckDBPyConnection) -> None:
    """The same two answers by the same rater, or found by two rules, make one row: that of the first rule."""
    db.execute(
        """UPDATE rows SET reason = 'duplicate' WHERE reason IS NULL AND row_key IN (
        SELECT row_key FROM rows WHERE reason IS NULL
        QUALIFY row_number() OVER (PARTITION BY chosen, rejected, CASE WHEN rule < 256 THEN rater END ORDER BY rule, shuffle, row_key) > 1)"""
    )
