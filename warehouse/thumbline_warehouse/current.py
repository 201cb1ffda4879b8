"""
What counts: the latest of a rater's opinions of one thing, unless it takes itself back.

An opinion is keyed by project, kind, target and rater. The latest by time (`occurred_at`: the client's, but never
after it was received), then client sequence, then event_id is the current one, whole: tags and comment are those of
that event and of none before. This is the only place that says so: views, exports, searches and the status page all
take it from here.
"""

from __future__ import annotations

from typing import Final

from .schema import listed

OPINIONS: Final = ("thumb", "pick", "rating", "ranking", "edit")
"""Kinds of event of which the latest one counts."""

IS_OPINION: Final = f"kind IN {listed(OPINIONS)}"
"""SQL over an event: whether it is one of them."""


ORDER: Final = ("occurred_at", "coalesce(sequence, -1)", "event_id")
"""SQL over an event: by what the words of one person are told apart; the last of them counts."""


def retracted(event: str) -> str:
    """SQL: whether an opinion takes itself, and all before it, back; of an event by its alias."""
    return (
        f"({event}.kind = 'thumb' AND {event}.value = 'retracted' OR {event}.kind = 'pick' AND {event}.outcome = 'retracted' "
        f"OR {event}.kind = 'rating' AND {event}.score IS NULL OR {event}.kind = 'ranking' AND len({event}.ranks) = 0)"
    )


def not_first(condition: str, key: str, order: str) -> str:
    """
    SQL of the event_keys of the events under a condition that are not the first of their key in an order.

    Nearly every key is there once, which a count of hashes finds out in little memory; only the others
    are compared. (One state per key with all of its columns takes ten times as much.)
    """
    hashes = f"SELECT hash({key}) FROM events WHERE {condition} GROUP BY 1 HAVING count(*) > 1"
    return (
        f"SELECT event_key FROM events WHERE {condition} AND hash({key}) IN ({hashes}) "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) > 1"
    )


def superseded(condition: str = IS_OPINION) -> str:
    """SQL of the event_keys of opinions, of those under a condition, that a later one took the place of."""
    key = "project, kind, target_type, target_id, rater_id"
    return not_first(condition, key, ", ".join(f"{name} DESC" for name in ORDER))
