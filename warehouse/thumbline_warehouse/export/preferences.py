"""
Rules that say directly which answer is better: picks, rankings, edits, and answers regenerated.

    pick of a2 in the comparison [a1, a2]  ->  (chosen a2, rejected a1, shown second, pick/1)
    ranking [[a3], [a1, a2]]               ->  (chosen a3, rejected a1 or a2, by the seed, ranking/1)
    edit of a1                             ->  (chosen the edit, rejected a1, edit/1)
    a2 regenerated from a1, thumb up on a2 ->  (chosen a2, rejected a1, regenerate/1)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from ..current import retracted
from .contributions import bit, rater_bit
from .filters import PAIR, answer_steps, vote_steps
from .funnel import Step, reason_case
from .options import ExportOptions
from .profiles import Profile

_PAIR_STEPS: Final = (
    Step(
        "orphan",
        "the comparison or one of its answers has not come",
        "vote.is_orphan OR chosen.event_key IS NULL OR rejected.event_key IS NULL",
    ),
    Step("not_shown", "an answer that is not one of the comparison", "vote.is_not_shown"),
    Step("different_prompts", "the two answers are to different prompts", "chosen.prompt_hash <> rejected.prompt_hash"),
)
_IDENTICAL: Final = Step("identical", "the two answers are the same", "chosen.response_hash = rejected.response_hash")

# Own columns of `contributions` for pairs.
COLUMNS: Final = {
    "chosen": "UUID",
    "rejected": "UUID",
    "pair_key": "UBIGINT",
    "chosen_key": "UBIGINT",
    "margin": "DOUBLE",
    "position": "UTINYINT",
    "shown": "UTINYINT",
    "strength": "UTINYINT",
    "scale": "UTINYINT",
    "agrees": "BOOLEAN",
    "conversation_id": "VARCHAR",
    "example": "VARCHAR",
}


def prefer(
    db: duckdb.DuckDBPyConnection, options: ExportOptions, profile: Profile, sources: Sequence[str]
) -> list[Step]:
    """
    Put what each pick, ranking and edit says into `contributions`, one row a pair.

    Returns:
        The steps taken, in order.
    """
    before = vote_steps(options.filters, PAIR)
    after = [*_PAIR_STEPS, *answer_steps(db, options, profile, PAIR), _IDENTICAL]
    for source in sources:
        db.execute(
            _insert(_SQL[source](options), reason_case(before, after), "edited" if source == "edit" else "answers")
        )
    return [*before, *after]


def _insert(sql: str, reason: str, chosen_from: str) -> str:
    # A pair is the same whichever of its answers won: of the same words, or of the same two answers.
    one, other = (f"hash(vote.project, {side}.prompt_hash, {side}.response_hash)" for side in PAIR.aliases)
    return f"""INSERT INTO contributions BY NAME
        SELECT vote.event_key, vote.rule, {rater_bit("vote.rater_kind")} AS rater_kind, hash(vote.project, vote.rater_id) AS rater,
               vote.occurred_at, md5(vote.event_key || chr(0) || chosen.event_key || chr(0) || rejected.event_key)::UUID AS row_key,
               chosen.event_key AS chosen, rejected.event_key AS rejected, {one} AS chosen_key,
               hash(least({one}, {other}), greatest({one}, {other})) AS pair_key, vote.margin, vote.position, vote.shown,
               vote.strength, vote.scale, true AS agrees, vote.example, coalesce(vote.conversation_id, vote.shown_in, rejected.conversation_id) AS conversation_id,
               {reason} AS reason
        FROM ({sql}) vote
        LEFT JOIN {chosen_from} chosen ON chosen.project = vote.project AND chosen.completion_id = vote.chosen_id
        LEFT JOIN answers rejected ON rejected.project = vote.project AND rejected.completion_id = vote.rejected_id"""


def drawn(ids: str, seed: int, count: int, salt: str) -> str:
    """SQL: so many of a list of ids, those whose hash with the seed and the salt is lowest."""
    hashed = f"list_transform({ids}, lambda i: {{'h': md5('{seed}' || chr(0) || {salt} || chr(0) || i), 'i': i}})"
    return f"list_transform(list_sort({hashed})[:{count}], lambda d: d.i)"


def _picks(options: ExportOptions) -> str:
    count = options.rules.max_pairs if options.rules.nway == "all" else 1
    salt = "o.target_id || chr(0) || o.rater_id"
    others = drawn("list_filter(x.completion_ids, lambda i: i <> o.winner_id)", options.seed, count, salt)
    # A tie is about its two answers: it counts among the votes on them.
    shown = f"""CASE WHEN o.outcome = 'winner' THEN list_transform({others}, lambda i: {{'chosen_id': o.winner_id, 'rejected_id': i}})
        WHEN len(x.completion_ids) = 2 THEN [{{'chosen_id': x.completion_ids[1], 'rejected_id': x.completion_ids[2]}}] END"""
    nothing = "[{'chosen_id': o.winner_id, 'rejected_id': NULL::VARCHAR}]"
    example = "target_id || chr(0) || rater_id" + (" || chr(0) || said.rejected_id" if count > 1 else "")
    return f"""SELECT * EXCLUDE (said, completion_ids), said.chosen_id, said.rejected_id, {bit("pick/1")} AS rule,
        CASE WHEN outcome <> 'winner' THEN outcome END AS undecided, {example} AS example,
        CASE scale WHEN 5 THEN strength - 3 WHEN 8 THEN strength - 4 ELSE 0 END AS margin,
        list_position(completion_ids, said.chosen_id) AS position, len(completion_ids) AS shown,
        completion_ids IS NULL AS is_orphan, outcome = 'winner' AND NOT list_contains(completion_ids, winner_id) AS is_not_shown
        FROM (SELECT o.*, x.completion_ids, x.conversation_id AS shown_in, unnest(coalesce({shown}, {nothing})) AS said
              FROM opinions o LEFT JOIN comparisons x ON x.project = o.project AND x.comparison_id = o.target_id
              WHERE o.kind = 'pick')"""


def _rankings(options: ExportOptions) -> str:
    salt = "o.target_id || chr(0) || o.rater_id"
    # Every answer with the place of its group: better is lower.
    places = "flatten(list_transform(o.ranks, lambda g, n: list_transform(g, lambda i: {'i': i, 'n': n})))"
    every = f"flatten(list_transform({places}, lambda b: list_transform(list_filter({places}, lambda w: b.n < w.n), lambda w: {{'chosen_id': b.i, 'rejected_id': w.i, 'margin': w.n - b.n}})))"
    if options.rules.nway == "random":
        every = f"list_filter({every}, lambda p: list_contains(o.ranks[1], p.chosen_id))"
    count = options.rules.max_pairs if options.rules.nway == "all" else 1
    hashed = f"list_transform({every}, lambda p: {{'h': md5('{options.seed}' || chr(0) || {salt} || chr(0) || p.chosen_id || chr(0) || p.rejected_id), 'p': p}})"
    pairs = f"list_transform(list_sort({hashed})[:{count}], lambda d: d.p)"
    # Of two answers in one group the ranking says what a tie says.
    nothing = "[{'chosen_id': o.ranks[1][1], 'rejected_id': CASE WHEN len(o.ranks[1]) = 2 THEN o.ranks[1][2] END, 'margin': 0}]"
    example = "target_id || chr(0) || rater_id" + (
        " || chr(0) || said.chosen_id || chr(0) || said.rejected_id" if count > 1 else ""
    )
    return f"""SELECT * EXCLUDE (said, completion_ids), said.chosen_id, said.rejected_id, said.margin, {bit("ranking/1")} AS rule,
        CASE WHEN is_retracted THEN 'retracted' WHEN len(ranks) = 1 THEN 'tie' END AS undecided, {example} AS example,
        list_position(completion_ids, said.chosen_id) AS position, len(completion_ids) AS shown,
        completion_ids IS NULL AS is_orphan,
        NOT (list_contains(completion_ids, said.chosen_id) AND list_contains(completion_ids, said.rejected_id)) AS is_not_shown
        FROM (SELECT o.*, {retracted("o")} AS is_retracted, x.completion_ids, x.conversation_id AS shown_in,
                     unnest(CASE WHEN len(o.ranks) < 2 THEN {nothing} ELSE {pairs} END) AS said
              FROM opinions o LEFT JOIN comparisons x ON x.project = o.project AND x.comparison_id = o.target_id
              WHERE o.kind = 'ranking')"""


def _edits(options: ExportOptions) -> str:
    words = "trim(regexp_replace(json_extract_string({alias}.response, '$.content'), '\\s+', ' ', 'g'))"
    same = f"{words.format(alias='e')} = {words.format(alias='c')}"
    return f"""SELECT o.*, o.event_key::VARCHAR AS chosen_id, o.target_id AS rejected_id, {bit("edit/1")} AS rule,
        CASE WHEN {same} THEN 'identical' END AS undecided, o.target_id || chr(0) || o.rater_id AS example, 0 AS margin,
        0 AS position, 0 AS shown, NULL::VARCHAR AS shown_in, false AS is_orphan, false AS is_not_shown
        FROM opinions o JOIN edits e ON e.event_key = o.event_key
        LEFT JOIN completions c ON c.project = o.project AND c.completion_id = o.target_id WHERE o.kind = 'edit'"""


def _regenerated(options: ExportOptions) -> str:
    # `labels` holds what thumbs say of each answer (matches.py). The later answer is the next one to the same
    # prompt that names the first as its parent, or that has the same parent in the same conversation.
    implicit = str(options.rules.implicit_regenerate).lower()
    return f"""SELECT o.*, w.completion_id AS chosen_id, o.target_id AS rejected_id, {bit("regenerate/1")} AS rule,
        CASE WHEN f.completion_id IS NOT NULL AND w.completion_id IS NULL THEN 'not_regenerated'
             WHEN NOT coalesce(w.label, true) OR coalesce(f.label, false) THEN 'contradicted'
             WHEN w.label IS NULL AND f.label IS NULL AND f.completion_id IS NOT NULL AND NOT {implicit} THEN 'no_evidence' END AS undecided,
        o.target_id || chr(0) || w.completion_id AS example, 0 AS margin, 0 AS position, 0 AS shown,
        NULL::VARCHAR AS shown_in, false AS is_orphan, false AS is_not_shown
        FROM (SELECT * FROM opinions WHERE kind = 'signal') o
        LEFT JOIN (SELECT a.*, l.label FROM completions a LEFT JOIN labels l ON l.answer = a.event_key) f
          ON f.project = o.project AND f.completion_id = o.target_id
        LEFT JOIN (SELECT a.*, l.label FROM completions a LEFT JOIN labels l ON l.answer = a.event_key) w
          ON w.project = f.project AND w.prompt_hash = f.prompt_hash AND w.occurred_at > f.occurred_at
         AND (w.parent_id = f.completion_id
              OR (w.parent_id IS NOT DISTINCT FROM f.parent_id AND w.conversation_id = f.conversation_id))
        QUALIFY row_number() OVER (PARTITION BY o.event_key ORDER BY w.occurred_at, w.event_id) = 1"""


_SQL: Final = {"pick": _picks, "ranking": _rankings, "edit": _edits, "regenerate": _regenerated}
