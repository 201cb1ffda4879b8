"""
All events that can have a say in the rows of some: few enough to plan an export of them in a moment.

    a vote  ->  its answer, all answers to the same prompt, the comparisons that show them, with all of their answers,
                every opinion on any of these, and the consents of the people behind them

The rules of the exports look no further than this: votes count together where prompt and answer are word for word
the same, pairs are of one prompt, an opinion is replaced by one on the same thing, and a consent is a person's. Caps,
balance and splits look at everything; the plain exports that are planned here have none.
"""

from __future__ import annotations

from typing import Final

import duckdb

from ..connect import NAME
from .index import INDEX

NEAR: Final = "memory.main.near_events"
"""Name of the table of the events, in the columns of `events`."""

_BODIES: Final = "memory.main.event_bodies"
# Above `MAX_EVENTS`, so that one look always fits.
_MAX_HELD: Final = 10_000

MAX_EVENTS: Final = 5_000
"""Above this many the rows are not worked out: the prompt is one of very many answers."""


def near_ids(db: duckdb.DuckDBPyConnection, found: str) -> list[tuple[str, int]]:
    """
    The event keys, and their loads, of everything that is connected with some events.

    Args:
        db: a connection with an index.
        found: SQL of the rows of the index that the search found.

    Returns:
        At most `MAX_EVENTS + 1` of them.
    """
    rows = db.execute(
        f"""WITH found AS MATERIALIZED ({found}),
        things AS MATERIALIZED (SELECT unnest([target_id, completion_id, comparison_id]) AS id FROM found),
        first_shown AS MATERIALIZED (
            SELECT comparison_id, completion_ids FROM {INDEX} WHERE kind = 'comparison' AND
            (comparison_id IN (SELECT id FROM things) OR list_has_any(completion_ids, (SELECT coalesce(list(id), []) FROM things))
        )),
        first_answers AS (SELECT id FROM things UNION SELECT unnest(completion_ids) FROM first_shown),
        prompts AS (SELECT prompt_hash FROM {INDEX} WHERE kind = 'completion' AND completion_id IN (SELECT id FROM first_answers)),
        answers AS MATERIALIZED (
            SELECT id FROM first_answers UNION
            SELECT completion_id FROM {INDEX} WHERE kind = 'completion' AND prompt_hash IN (SELECT prompt_hash FROM prompts)),
        shown AS MATERIALIZED (
            SELECT comparison_id, completion_ids FROM {INDEX} WHERE kind = 'comparison' AND
            (comparison_id IN (SELECT id FROM things) OR list_has_any(completion_ids, (SELECT coalesce(list(id), []) FROM answers)))),
        all_answers AS (SELECT id FROM answers UNION SELECT unnest(completion_ids) FROM shown),
        all_things AS MATERIALIZED (SELECT id FROM all_answers UNION SELECT comparison_id FROM shown),
        near AS MATERIALIZED (
            SELECT event_key, load_id, rater_id, author FROM {INDEX}
            WHERE kind IN ('completion', 'comparison') AND coalesce(completion_id, comparison_id) IN (SELECT id FROM all_things)
               OR kind NOT IN ('completion', 'comparison', 'exposure', 'consent') AND target_id IN (SELECT id FROM all_things)
               OR event_key IN (SELECT event_key FROM found)),
        people AS (SELECT rater_id AS id FROM near UNION SELECT author FROM near)
        SELECT event_key::VARCHAR, load_id FROM near UNION
        SELECT event_key::VARCHAR, load_id FROM {INDEX} WHERE kind = 'consent' AND rater_id IN (SELECT id FROM people)
        LIMIT {MAX_EVENTS + 1}"""
    ).fetchall()
    return [(event_key, load_id) for event_key, load_id in rows]


class Bodies:
    """
    Events with their texts, in memory: brought once, since an event never changes.

    Args:
        db: a connection with an index.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db
        self._held: set[str] = set()

    def show(self, near: list[tuple[str, int]]) -> None:
        """Make `NEAR` these events."""
        new = [(event_key, load_id) for event_key, load_id in near if event_key not in self._held]
        if not self._held or len(self._held) + len(new) > _MAX_HELD:
            self._db.execute(f"CREATE OR REPLACE TABLE {_BODIES} AS SELECT * FROM {NAME}.main.events LIMIT 0")
            self._held.clear()
            new = near
        if new:
            # The loads are named so that files of others are never opened.
            loads = ", ".join(str(load_id) for load_id in sorted({load_id for _, load_id in new}))
            self._db.execute(
                f"INSERT INTO {_BODIES} SELECT * FROM {NAME}.main.events WHERE load_id IN ({loads}) "
                f"AND event_key IN ({_listed(new)})"
            )
            self._held.update(event_key for event_key, _ in new)
        self._db.execute(
            f"CREATE OR REPLACE TABLE {NEAR} AS SELECT * FROM {_BODIES} WHERE event_key IN ({_listed(near)})"
        )


def _listed(events: list[tuple[str, int]]) -> str:
    return ", ".join(f"'{event_key}'::UUID" for event_key, _ in events)
