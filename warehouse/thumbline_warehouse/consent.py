"""
The consent in force: whether an event may train, of what it says itself and what its person says.

    own       the person's last word           in force
    denied    any                              denied: a temporary chat stays out whatever was said before or after
    granted   denied, at the event or later    denied: a withdrawal reaches what was given before it
    granted   none, granted, denied before     granted
    unknown   granted or denied, at any time   what the person says
    unknown   none                             unknown

The person of an answer is its author, that of all else its rater. This is the only place that says so: exports, the
view `consent_in_force`, `affected` and the status page's search all take it from here.
"""

from __future__ import annotations

from typing import Final

from .current import ORDER
from .schema import listed

# Kinds of event that hold what can be trained on: the answer with its prompt, and what people said of it.
KINDS: Final = ("completion", "thumb", "pick", "rating", "ranking", "edit", "signal")
PERSON: Final = "CASE WHEN kind = 'completion' THEN author ELSE rater_id END"
"""SQL over an event: the pseudonymous id of whose consent counts."""


def last_words(events: str) -> str:
    """SQL: the last word of each person, with its time; of a table with the columns of `events`."""
    # By the same order as votes: the last word is the one that would be the current vote.
    return (
        "SELECT project, rater_id AS person_id, "
        f"arg_max(training_consent, ({', '.join(ORDER)})) AS training_consent, "
        f"max(occurred_at) AS occurred_at FROM {events} WHERE kind = 'consent' GROUP BY project, rater_id"
    )


def in_force(event: str, word: str) -> str:
    """
    SQL: `granted`, `denied` or `unknown`.

    Args:
        event: alias of the event.
        word: alias of the person's row of `current_consents`, which may be absent (all NULL).
    """
    return (
        f"CASE WHEN {event}.training_consent = 'denied' THEN 'denied' "
        f"WHEN {event}.training_consent = 'granted' THEN "
        f"CASE WHEN {word}.training_consent = 'denied' AND {word}.occurred_at >= {event}.occurred_at THEN 'denied' ELSE 'granted' END "
        f"ELSE coalesce({word}.training_consent, {event}.training_consent, 'unknown') END"
    )


def in_force_sql(events: str, words: str) -> str:
    """
    SQL: the consent in force of each event that can be trained on, with what it comes from.

    Args:
        events: a table with the columns of `events`.
        words: a table with those of `current_consents`.
    """
    return (
        f"SELECT e.event_id, e.project, e.event_key, e.kind, e.person_id, e.training_consent AS own_consent, "
        f"w.training_consent AS person_consent, w.occurred_at AS person_consent_at, {in_force('e', 'w')} AS consent "
        f"FROM (SELECT event_id, project, event_key, kind, occurred_at, training_consent, {PERSON} AS person_id "
        f"FROM {events} WHERE kind IN {listed(KINDS)}) e "
        f"LEFT JOIN {words} w ON w.project = e.project AND w.person_id = e.person_id"
    )
