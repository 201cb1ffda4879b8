"""
Pairs: one row a decided pick (rule `pick/1`).

    "Capital of France?" answered "Paris." (shown first) and "Lyon.", and a pick of "Paris."
    ->  {"prompt": [{"role": "user", "content": "Capital of France?"}],
         "chosen": [{"role": "assistant", "content": "Paris."}],
         "rejected": [{"role": "assistant", "content": "Lyon."}], "chosen_position": 1, ...}

Ties, both bad and skips give no pair; they are counted apart. Where more than two answers were
shown, the winner is paired with one other that the seed draws.

An empty answer stays: people did choose between it and the other. The manifest counts such rows.
"""

from __future__ import annotations

from typing import Final

import duckdb

from ..views import superseded
from .funnel import Funnel, Step, reason_case, steps_in_force
from .kto import answer_sql, prompt_sql
from .options import ExportOptions
from .recipe import MetadataColumn, consent_of

_STEPS: Final = (
    Step("superseded", "NOT is_latest", "a later pick by the same rater on the same comparison took its place"),
    Step("retracted", "outcome = 'retracted'", "the pick was taken back"),
    Step("tie", "outcome = 'tie'", "no answer was better, both were good"),
    Step("both_bad", "outcome = 'both_bad'", "no answer was better, both were bad"),
    Step("skip", "outcome = 'skip'", "the comparison was skipped"),
    Step(
        "orphan",
        "x_id IS NULL OR chosen IS NULL OR rejected IS NULL",
        "the comparison or one of its answers has not come",
    ),
    Step("not_shown", "winner_position IS NULL", "the answer picked is not one of the comparison"),
    Step("not_human", "rater_kind <> 'human'", "the rater is a model or a rule"),
    Step("vote_consent", "vote_consent <> 'granted'", "the rater has not given the pick for training"),
    Step(
        "answer_consent",
        "chosen.consent <> 'granted' OR rejected.consent <> 'granted'",
        "the author has not given the conversation for training",
    ),
    Step("different_prompts", "chosen.prompt_hash <> rejected.prompt_hash", "the two answers are to different prompts"),
    Step(
        "rich",
        "chosen.form = 'rich' OR rejected.form = 'rich'",
        "tool calls, images or other parts, which this profile cannot carry",
    ),
    Step(
        "prompt_end",
        "coalesce(chosen.prompt_end, '') NOT IN ('user', 'tool')",
        "the prompt does not end with the user or a tool",
    ),
    Step("identical", "chosen.response_hash = rejected.response_hash", "the two answers are the same"),
)
_EXAMPLE_ID: Final = "sha256('pairs' || chr(0) || project || chr(0) || target_id || chr(0) || rater_id)"


class Pairs:
    """The recipe of `pairs`."""

    metadata = (
        MetadataColumn("example_id", "VARCHAR", "p.example_id"),
        MetadataColumn("conversation_id", "VARCHAR", "p.conversation_id"),
        MetadataColumn("source", "VARCHAR", "'pick'"),
        MetadataColumn("rule", "VARCHAR", "'pick/1'"),
        MetadataColumn("chosen_model", "VARCHAR", "p.chosen.model"),
        MetadataColumn("rejected_model", "VARCHAR", "p.rejected.model"),
        MetadataColumn("chosen_policy", "VARCHAR", "p.chosen.policy"),
        MetadataColumn("rejected_policy", "VARCHAR", "p.rejected.policy"),
        MetadataColumn("chosen_position", "BIGINT", "p.winner_position"),
        MetadataColumn("shown_answers", "BIGINT", "p.shown_answers"),
        MetadataColumn("strength", "BIGINT", "p.strength"),
        MetadataColumn("scale", "BIGINT", "p.scale"),
        MetadataColumn("feedback_ts_ms", "BIGINT", "p.feedback_ts_ms"),
    )

    def make_plan(self, db: duckdb.DuckDBPyConnection, options: ExportOptions) -> Funnel:
        steps = steps_in_force(_STEPS, options)
        _make_votes(db, reason_case(steps), options.seed)
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE plan AS
               SELECT row_number() OVER () - 1 AS row, md5_number_lower('{options.seed}' || {_EXAMPLE_ID}) AS shuffle, chosen, rejected, winner_position, shown_answers, strength, scale,
                      coalesce(conversation_id, chosen.conversation_id) AS conversation_id,
                      epoch_ms(occurred_at) AS feedback_ts_ms,
                      coalesce(chosen.response_chars, 0) = 0 AS is_chosen_empty,
                      coalesce(rejected.response_chars, 0) = 0 AS is_rejected_empty,
                      {_EXAMPLE_ID} AS example_id,
                      chosen.prompt_hash AS prompt_hash, chosen.response_hash AS completion_hash
               FROM votes WHERE reason IS NULL"""
        )
        found = dict(db.execute("SELECT reason, count(*) FROM votes GROUP BY reason").fetchall())
        dropped = {step.name: found.get(step.name, 0) for step in steps}
        return Funnel(sum(found.values()), dropped, 0, found.get(None, 0))

    def text_sources(self) -> str:
        return (
            "plan p JOIN events c ON c.event_id = p.chosen.event_id AND c.kind = 'completion' "
            "JOIN events d ON d.event_id = p.rejected.event_id AND d.kind = 'completion'"
        )

    def text_columns(self) -> dict[str, str]:
        return {"prompt": prompt_sql("c"), "chosen": answer_sql("c"), "rejected": answer_sql("d")}

    def text_types(self) -> dict[str, str]:
        messages = "STRUCT(role VARCHAR, content VARCHAR)[]"
        return {"prompt": messages, "chosen": messages, "rejected": messages}


def _make_votes(db: duckdb.DuckDBPyConnection, reason: str, seed: int) -> None:
    # The opponent: of the others, the one whose hash with seed, comparison and rater is lowest.
    drawn = (
        f"list_sort(list_transform(list_filter(x.completion_ids, lambda i: i <> v.winner_id), "
        f"lambda i: {{'h': md5('{seed}' || chr(0) || v.target_id || chr(0) || v.rater_id || chr(0) || i), 'i': i}}))[1].i"
    )
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE votes AS
        WITH superseded AS ({superseded("kind = 'pick'")}),
             answers AS (SELECT project, completion_id,
                                {{'event_id': event_id, 'form': form, 'prompt_end': prompt_end, 'prompt_hash': prompt_hash,
                                 'response_hash': response_hash, 'response_chars': response_chars, 'model': model,
                                 'policy': policy, 'conversation_id': conversation_id,
                                 'consent': {consent_of("c", "author")}}} AS answer
                         FROM completions c),
             picked AS (SELECT v.event_id, v.project, v.target_id, v.rater_id, v.rater_kind, v.outcome, v.winner_id, v.strength,
                               v.scale, v.occurred_at, coalesce(v.conversation_id, x.conversation_id) AS conversation_id, {consent_of("v", "rater_id")} AS vote_consent,
                               l.event_id IS NULL AS is_latest, x.event_id AS x_id, len(x.completion_ids) AS shown_answers,
                               list_position(x.completion_ids, v.winner_id) AS winner_position, {drawn} AS opponent_id
                        FROM picks v LEFT JOIN superseded l ON l.event_id = v.event_id
                        LEFT JOIN comparisons x ON x.project = v.project AND x.comparison_id = v.target_id)
        SELECT *, {reason} AS reason
        FROM (SELECT v.*, a.answer AS chosen, b.answer AS rejected FROM picked v
              LEFT JOIN answers a ON a.project = v.project AND a.completion_id = v.winner_id
              LEFT JOIN answers b ON b.project = v.project AND b.completion_id = v.opponent_id)"""
    )
