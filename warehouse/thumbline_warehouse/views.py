"""
The views: what analysts query. Each carries its rule beside it and its comments in the database.

All ids are unique within a project only, so every join and every group names the project.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from . import consent
from .current import IS_OPINION, not_first, retracted, superseded
from .schema import EVENTS, quoted

_COMMENTS: Final = {column.name: column.comment for column in EVENTS}

_BASE: Final = ("event_id", "project", "event_key", "occurred_at", "claimed_at", "received_at", "load_id")
_RATER: Final = ("rater_id", "rater_kind", "rater_wrote_prompt")
_PLACE: Final = ("conversation_id", "app", "surface", "app_version", "sdk", "training_consent", "properties", "extra")
_TARGET: Final = ("target_type", "target_id")
_WORDS: Final = ("tags", "comment")
_ANSWER: Final = (
    "completion_id",
    "messages",
    "response",
    "tools",
    "model",
    "policy",
    "sampling",
    "latency_ms",
    "finish_reason",
    "turn",
    "parent_id",
    "author",
    "prompt_hash",
    "prompt_end",
    "prompt_chars",
    "response_hash",
    "response_chars",
    "reasoning_chars",
    "prompt_reasoning",
    "form",
)

# The 97.5% quantile of the normal distribution: 95% intervals.
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class View:
    """
    One view.

    Attributes:
        name: its name.
        comment: what a row is.
        sql: its query; table and view names without a qualifier.
        columns: column -> what it means; columns named in `events` take their comment from there.
    """

    name: str
    comment: str
    sql: str
    columns: dict[str, str] = field(default_factory=dict)

    def column_comment(self, name: str) -> str:
        """What a column of this view means."""
        return self.columns.get(name) or _COMMENTS[name]


def wilson(hits: str, total: str) -> tuple[str, str]:
    """
    SQL of the lower and upper end of Wilson's 95% score interval of a rate; NULL where `total` is 0.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    rate = f"(({hits}) / nullif({total}, 0)::DOUBLE)"
    middle = f"({rate} + {_Z**2 / 2} / ({total}))"
    half = f"({_Z} * sqrt({rate} * (1 - {rate}) / ({total}) + {_Z**2 / 4} / (({total})::DOUBLE ** 2)))"
    scale = f"(1 + {_Z**2} / ({total}))"
    # greatest() and least() pass over NULL, which would make 0 and 1 of "no votes".
    ends = f"greatest(0, ({middle} - {half}) / {scale})", f"least(1, ({middle} + {half}) / {scale})"
    low, high = (f"CASE WHEN ({total}) > 0 THEN {end} END" for end in ends)
    return low, high


def _rate(name: str, hits: str, total: str) -> str:
    low, high = wilson(hits, total)
    return f"{hits} / nullif({total}, 0)::DOUBLE AS {name}, {low} AS {name}_low, {high} AS {name}_high"


def _select(*columns: str) -> str:
    return "SELECT " + ", ".join(quoted(name) for name in columns)


def _kind(name: str, comment: str, kind: str, *groups: tuple[str, ...], first_of: str = "") -> View:
    sql = f"{_select(*(c for group in groups for c in group))} FROM events WHERE kind = '{kind}'"
    if first_of:
        later = not_first(f"kind = '{kind}'", f"project, {first_of}", "occurred_at, event_id")
        sql += f" AND event_key NOT IN ({later})"
    return View(name, comment, sql)


_KIND_VIEWS: Final = (
    _kind(
        "completions",
        "Answers, one row per project and completion_id (the first one logged).",
        "completion",
        _BASE,
        _ANSWER,
        _PLACE,
        first_of="completion_id",
    ),
    _kind(
        "comparisons",
        "Answers shown side by side, one row per project and comparison_id.",
        "comparison",
        _BASE,
        ("comparison_id", "completion_ids", "probability"),
        _PLACE,
        first_of="comparison_id",
    ),
    _kind(
        "exposures",
        "The rating control was shown, seen or dismissed; every event.",
        "exposure",
        _BASE,
        _RATER,
        _TARGET,
        ("state",),
        _PLACE,
    ),
    _kind(
        "thumbs",
        "Thumbs, every event: also earlier votes and votes taken back. See current_votes.",
        "thumb",
        _BASE,
        ("sequence",),
        _RATER,
        _TARGET,
        ("value",),
        _WORDS,
        _PLACE,
    ),
    _kind(
        "picks",
        "Picks, every event: also earlier ones. See current_votes and pick_results.",
        "pick",
        _BASE,
        ("sequence",),
        _RATER,
        _TARGET,
        ("outcome", "winner_id", "strength", "scale"),
        _WORDS,
        _PLACE,
    ),
    _kind(
        "ratings",
        "Ratings, every event. See current_votes.",
        "rating",
        _BASE,
        ("sequence",),
        _RATER,
        _TARGET,
        ("score", "scale_min", "scale_max"),
        _WORDS,
        _PLACE,
    ),
    _kind(
        "rankings",
        "Rankings, every event. See current_votes.",
        "ranking",
        _BASE,
        ("sequence",),
        _RATER,
        _TARGET,
        ("ranks", "comment"),
        _PLACE,
    ),
    _kind(
        "edits",
        "The raters' own versions of answers, every event. See current_votes.",
        "edit",
        _BASE,
        ("sequence",),
        _RATER,
        _TARGET,
        ("response", "comment", "response_hash", "response_chars", "reasoning_chars", "form"),
        _PLACE,
    ),
    _kind(
        "marks",
        "Marked spans of answers, every event.",
        "mark",
        _BASE,
        _RATER,
        _TARGET,
        ("start", "end", "text_sha256"),
        _WORDS,
        _PLACE,
    ),
    View(
        "signals",
        "Implicit signals: copy, regenerate, share, abandon ...; never summed with thumbs.",
        f"{_select(*_BASE, *_RATER, *_TARGET, 'name')}, TRY_CAST(value AS DOUBLE) AS value, "
        + ", ".join(quoted(c) for c in _PLACE)
        + " FROM events WHERE kind = 'signal'",
        {"value": "a number that goes with it"},
    ),
    _kind(
        "consents",
        "Training consents given and withdrawn, every event. See current_consents.",
        "consent",
        _BASE,
        ("sequence",),
        _RATER,
        _PLACE,
    ),
)

# What counts is said in current.py. A vote that takes itself back leaves no row.
_CURRENT_VOTES: Final = f"""
{_select("event_id", "kind", *_BASE[1:], "sequence", *_RATER, *_TARGET)},
       CASE WHEN kind = 'thumb' THEN value END AS value,
       outcome, winner_id, strength, scale, score, scale_min, scale_max, ranks,
       CASE WHEN kind = 'edit' THEN response END AS response,
       {", ".join(quoted(c) for c in (*_WORDS, *_PLACE))}
FROM events
WHERE {IS_OPINION} AND event_key NOT IN ({superseded()}) AND NOT {retracted("events")}
"""

# The cohort is the answers of a day: exposures and votes count for the day of the answer, so that
# numerator and denominator are of the same answers however late a vote comes.
_THUMB_RATES: Final = f"""
WITH answers AS (SELECT project, completion_id, model, policy, occurred_at::DATE AS day FROM completions),
     seen AS (SELECT DISTINCT project, target_id, rater_id, rater_kind FROM exposures
              WHERE target_type = 'completion' AND state IN ('shown', 'seen')),
     voted AS (SELECT project, target_id, rater_id, rater_kind, value FROM current_votes WHERE kind = 'thumb'),
     pairs AS (SELECT coalesce(v.project, s.project) AS project, coalesce(v.target_id, s.target_id) AS target_id,
                     coalesce(v.rater_kind, s.rater_kind) AS rater_kind,
                     s.rater_id IS NOT NULL AS is_exposed, v.value
              FROM voted v FULL JOIN seen s
                ON v.project = s.project AND v.target_id = s.target_id AND v.rater_id = s.rater_id
                AND v.rater_kind = s.rater_kind),
     counted AS (SELECT b.project, a.model, a.policy, a.day, b.rater_kind,
                        count(*) FILTER (is_exposed) AS exposures,
                        count(*) FILTER (is_exposed AND value IS NOT NULL) AS exposed_votes,
                        count(value) AS votes,
                        count(*) FILTER (value = 'up') AS ups,
                        count(*) FILTER (value = 'down') AS downs
                 FROM pairs b JOIN answers a ON a.project = b.project AND a.completion_id = b.target_id
                 GROUP BY ALL)
SELECT project, model, policy, day, rater_kind, exposures, exposed_votes, votes, ups, downs,
       {_rate("response_rate", "exposed_votes", "exposures")},
       {_rate("approval_rate", "ups", "votes")}
FROM counted
"""

# A pick with what was shown. The winner must be one of the answers shown: a pick of another answer says nothing of
# these, and is in no rate.
_PICKS: Final = """
SELECT v.event_id, v.project, v.event_key, v.occurred_at, v.load_id, v.target_id AS comparison_id, v.rater_id, v.rater_kind,
       v.outcome, CASE WHEN v.outcome = 'winner' THEN nullif(list_position(s.completion_ids, v.winner_id), 0) END AS winner_position,
       CASE WHEN v.outcome <> 'winner' THEN v.outcome
            WHEN coalesce(list_position(s.completion_ids, v.winner_id), 0) = 0 THEN 'unknown'
            ELSE coalesce(['first', 'second', 'third', 'fourth'][list_position(s.completion_ids, v.winner_id)], 'later') END AS result,
       v.winner_id, s.completion_ids, s.completion_ids[1] AS first_id, s.completion_ids[2] AS second_id, s.probability,
       v.strength, v.scale, v.tags, v.comment, coalesce(v.conversation_id, s.conversation_id) AS conversation_id
FROM current_votes v JOIN comparisons s ON s.project = v.project AND s.comparison_id = v.target_id
WHERE v.kind = 'pick'
"""

_PICK_RESULTS: Final = f"""
WITH picks AS ({_PICKS}), models AS (SELECT project, completion_id, model, policy FROM completions)
SELECT p.event_id, p.project, p.event_key, p.occurred_at, p.load_id, p.comparison_id, p.rater_id, p.rater_kind,
       p.outcome, p.result, p.winner_position, p.winner_id, w.model AS winner_model, w.policy AS winner_policy,
       p.completion_ids, p.first_id, a.model AS first_model, a.policy AS first_policy,
       p.second_id, b.model AS second_model, b.policy AS second_policy, p.probability, p.strength, p.scale, p.tags, p.comment,
       p.conversation_id
FROM picks p
LEFT JOIN models w ON w.project = p.project AND w.completion_id = p.winner_id
LEFT JOIN models a ON a.project = p.project AND a.completion_id = p.first_id
LEFT JOIN models b ON b.project = p.project AND b.completion_id = p.second_id
"""

# Counted by what was shown first, before each pick is looked at from both sides: the picks are read once.
_PICK_RATES: Final = f"""
WITH picks AS ({_PICKS}), models AS (SELECT project, completion_id, model, policy FROM completions),
     shown AS MATERIALIZED (
  SELECT p.project, p.rater_kind, a.model AS first_model, a.policy AS first_policy, b.model AS second_model,
         b.policy AS second_policy, p.result, count(*) AS n
  FROM (SELECT project, rater_kind, first_id, second_id, result FROM picks
        WHERE len(completion_ids) = 2 AND result <> 'unknown') p
  JOIN models a ON a.project = p.project AND a.completion_id = p.first_id
  JOIN models b ON b.project = p.project AND b.completion_id = p.second_id
  WHERE (a.model, coalesce(a.policy, '')) <> (b.model, coalesce(b.policy, ''))
  GROUP BY ALL),
     sides AS (
  SELECT project, rater_kind, first_model AS model, first_policy AS policy, second_model AS opponent,
         second_policy AS opponent_policy, result = 'first' AS is_won, result = 'second' AS is_lost, result, n FROM shown
  UNION ALL
  SELECT project, rater_kind, second_model, second_policy, first_model, first_policy, result = 'second',
         result = 'first', result, n FROM shown),
     counted AS (
  SELECT project, rater_kind, model, policy, opponent, opponent_policy, sum(n)::BIGINT AS picks,
         coalesce(sum(n) FILTER (is_won), 0)::BIGINT AS wins, coalesce(sum(n) FILTER (is_lost), 0)::BIGINT AS losses,
         coalesce(sum(n) FILTER (result = 'tie'), 0)::BIGINT AS ties,
         coalesce(sum(n) FILTER (result = 'both_bad'), 0)::BIGINT AS both_bad,
         coalesce(sum(n) FILTER (result = 'skip'), 0)::BIGINT AS skips
  FROM sides GROUP BY ALL)
SELECT *, {_rate("win_rate", "wins", "(wins + losses)")} FROM counted
"""

_ORPHANS: Final = """
WITH votes AS (SELECT event_id, kind, project, event_key, occurred_at, received_at, target_type, target_id, rater_id FROM events
               WHERE kind IN ('thumb', 'pick', 'rating', 'ranking', 'edit', 'mark') AND target_type <> 'conversation'),
     shown AS (SELECT DISTINCT project, comparison_id, unnest(completion_ids) AS completion_id FROM events
               WHERE kind = 'comparison'),
     answers AS (SELECT DISTINCT project, completion_id FROM events WHERE kind = 'completion'),
     missing AS (
  SELECT v.*, 'completion' AS missing FROM votes v ANTI JOIN answers a
    ON a.project = v.project AND a.completion_id = v.target_id WHERE v.target_type = 'completion'
  UNION ALL
  SELECT v.*, 'comparison' FROM votes v ANTI JOIN shown s
    ON s.project = v.project AND s.comparison_id = v.target_id WHERE v.target_type = 'comparison'
  UNION ALL
  SELECT DISTINCT v.*, 'completion' FROM votes v JOIN shown s
    ON s.project = v.project AND s.comparison_id = v.target_id
    ANTI JOIN answers a ON a.project = s.project AND a.completion_id = s.completion_id
    WHERE v.target_type = 'comparison')
SELECT *, epoch(make_timestamp(epoch_us(now())) - received_at) AS age_s FROM missing
"""

# What a number of each is worth knowing of before a rate is believed. Each row names one event to look at.
_DATA_QUALITY: Final = """
SELECT project, problem, count(*) AS events, min(event_id) AS example FROM (
  SELECT project, 'dated_ahead' AS problem, event_id FROM events WHERE claimed_at > received_at + INTERVAL 1 MINUTE
  UNION ALL
  SELECT project, 'winner_not_shown', event_id FROM pick_results WHERE result = 'unknown'
  UNION ALL
  SELECT v.project, 'ranked_not_shown', v.event_id FROM current_votes v
    JOIN comparisons s ON s.project = v.project AND s.comparison_id = v.target_id
    WHERE v.kind = 'ranking' AND NOT list_has_all(s.completion_ids, flatten(v.ranks))
  UNION ALL
  SELECT e.project, 'answer_sent_again_with_other_text', e.event_id FROM events e
    JOIN completions c ON c.project = e.project AND c.completion_id = e.completion_id
    WHERE e.kind = 'completion' AND e.event_key <> c.event_key
      AND (e.response_hash <> c.response_hash OR e.prompt_hash <> c.prompt_hash)
  UNION ALL
  SELECT project, 'id_conflict', event_id FROM conflicts)
GROUP BY ALL
"""

_INTERVAL: Final = "of its 95% Wilson interval"

VIEWS: Final = (
    *_KIND_VIEWS,
    View(
        "current_votes",
        "The latest opinion per target, rater and kind, with that event's own tags and comment; votes taken back have no row.",
        _CURRENT_VOTES,
        {"value": "thumb: up or down", "response": "edit: the answer as the rater would have it"},
    ),
    View(
        "current_consents",
        "The last word of each person on training. What it means for their events: consent_in_force.",
        consent.last_words("events"),
        {"person_id": "pseudonymous id of the person, as rater or as author", "training_consent": "granted or denied"},
    ),
    View(
        "consent_in_force",
        "Whether an answer, or what was said of one, may train: an event's own denied always wins, its own granted "
        "loses to a later withdrawal, unknown takes what the person says.",
        consent.in_force_sql("events", "current_consents"),
        {
            "person_id": "whose consent counts: the author of an answer, the rater of all else; NULL where nobody is known",
            "own_consent": "granted, denied or unknown, as the event says",
            "person_consent": "the person's last word; NULL where there is none",
            "person_consent_at": "when it was said, UTC",
            "consent": "granted, denied or unknown: what exports go by",
        },
    ),
    View(
        "thumb_rates",
        "Per model, policy, day of the answer and kind of rater: exposures and thumbs, response rate and approval rate apart.",
        _THUMB_RATES,
        {
            "day": "UTC day of the answer; exposures and votes count for it however late they come",
            "exposures": "pairs of answer and rater to whom the control was shown",
            "exposed_votes": "those of them with a current thumb",
            "votes": "current thumbs, exposed or not",
            "ups": "thumbs up among them",
            "downs": "thumbs down among them",
            "response_rate": "exposed_votes / exposures: how many say anything; NULL without exposures",
            "response_rate_low": f"lower end {_INTERVAL}",
            "response_rate_high": f"upper end {_INTERVAL}",
            "approval_rate": "ups / votes: how many of those who say something approve",
            "approval_rate_low": f"lower end {_INTERVAL}",
            "approval_rate_high": f"upper end {_INTERVAL}",
        },
    ),
    View(
        "pick_results",
        "One row per current pick, with what was shown where and who won.",
        _PICK_RESULTS,
        {
            "comparison_id": "the comparison",
            "result": "first, second, third, fourth or later (place of the winner as shown), tie, both_bad or skip; unknown where the winner was not shown: such a pick is in no rate",
            "winner_position": "place of the winner as shown, from 1; NULL where it was not shown",
            "winner_model": "model of the winner",
            "winner_policy": "checkpoint of the winner",
            "first_id": "answer shown first",
            "first_model": "its model",
            "first_policy": "its checkpoint",
            "second_id": "answer shown second",
            "second_model": "its model",
            "second_policy": "its checkpoint",
        },
    ),
    View(
        "pick_rates",
        "Per model and policy against another, over comparisons of two (a policy against itself is left out): picks, wins, losses, ties, and the win rate over decided picks.",
        _PICK_RATES,
        {
            "model": "the model",
            "policy": "its checkpoint",
            "opponent": "model on the other side",
            "opponent_policy": "its checkpoint",
            "picks": "current picks between the two: wins + losses + ties + both_bad + skips",
            "wins": "picks that the model won",
            "losses": "picks that it lost",
            "ties": "picks that called it a tie (both good)",
            "both_bad": "picks that called both bad",
            "skips": "comparisons that were skipped",
            "win_rate": "wins / (wins + losses)",
            "win_rate_low": f"lower end {_INTERVAL}",
            "win_rate_high": f"upper end {_INTERVAL}",
        },
    ),
    View(
        "orphans",
        "Votes whose answer or comparison has not come (yet); they join by themselves when it does.",
        _ORPHANS,
        {"missing": "what has not come: completion or comparison", "age_s": "seconds since the vote was received"},
    ),
    View(
        "data_quality",
        "Per project, events that no rate can be right about; a project without a row has none.",
        _DATA_QUALITY,
        {
            "problem": "dated_ahead (more than a minute after it was received), winner_not_shown, ranked_not_shown, "
            "answer_sent_again_with_other_text (the first counts) or id_conflict (see the table conflicts)",
            "events": "how many events",
            "example": "event_id of one of them",
        },
    ),
)
