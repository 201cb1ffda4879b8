"""The rows that some events become in an export, or why they become none: planned by the export itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb

from ..current import IS_OPINION, OPINIONS
from ..export.options import SOURCES, ExportOptions, Kind, Rules, Source
from ..export.planning import Planned, lines_of, plan
from ..export.snapshot import Snapshot
from ..schema import literal
from .standing import LandedEvent

KINDS: Final[tuple[Kind, ...]] = ("kto", "pairs")
"""Kinds of export that a look plans."""

# Of one look: a comparison of many answers, or a prompt with many of them.
_MAX_ROWS: Final = 20
# The snapshot's papers are for the manifest, and none is written here.
_SNAPSHOT: Final = Snapshot(0, "", {}, "", "")


@dataclass(frozen=True)
class RowsOf:
    """
    What some events become in one kind of export with its default options.

    Attributes:
        rows: the rows as the export writes them.
        reasons: names of the steps at which the events that are in no row were left out -> their sentences.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def rows_of(db: duckdb.DuckDBPyConnection, kind: Kind, events: Sequence[LandedEvent]) -> RowsOf:
    """
    Plan an export of what is near some events, and pick what becomes of these.

    Args:
        db: a connection whose `events` and views are what is connected with them.
        kind: kind of export.
        events: the events.
    """
    sources = _sources(db, kind)
    if not sources:
        return RowsOf(reasons={"no_votes": _no_votes(events)})
    planned = plan(db, ExportOptions(kind=kind, rules=Rules(sources=sources)), _SNAPSHOT)
    votes = [event.event_key for event in events if event.kind in OPINIONS]
    answers: list[str] = []
    if not votes:
        # An answer, a comparison or what was noticed of one: what it becomes is up to the votes on it.
        votes, answers = _about(db, [event.target_id for event in events])
    keys = _row_keys(db, planned, votes, answers)
    if keys:
        return RowsOf(_lines(db, planned, keys))
    return RowsOf(reasons=_reasons(db, planned, votes) or {"no_votes": _no_votes(events)})


def _sources(db: duckdb.DuckDBPyConnection, kind: Kind) -> tuple[Source, ...]:
    """Those that there are events of: a rule without events gives no row, and costs its statements."""
    found = {name for (name,) in db.execute("SELECT DISTINCT kind FROM events").fetchall()}
    if db.execute("SELECT 1 FROM events WHERE kind = 'signal' AND name = 'regenerate' LIMIT 1").fetchone():
        found.add("regenerate")
    return tuple(source for source in SOURCES[kind] if source in found)


def _about(db: duckdb.DuckDBPyConnection, things: Sequence[str]) -> tuple[list[str], list[str]]:
    """Event ids of the votes on some things, or on comparisons that show them; and of the things that are answers."""
    ids = "[" + ", ".join(literal(thing) for thing in things) + "]::VARCHAR[]"
    rows = db.execute(
        f"""WITH shown AS (SELECT comparison_id FROM comparisons WHERE list_has_any(completion_ids, {ids}))
        SELECT event_key::VARCHAR, kind = 'completion' FROM events
        WHERE kind = 'completion' AND list_contains({ids}, completion_id)
           OR {IS_OPINION}
          AND (list_contains({ids}, target_id) OR target_id IN (FROM shown))"""
    ).fetchall()
    return [one for one, is_answer in rows if not is_answer], [one for one, is_answer in rows if is_answer]


def _row_keys(
    db: duckdb.DuckDBPyConnection, planned: Planned, votes: Sequence[str], answers: Sequence[str]
) -> list[str]:
    rows = db.execute(
        f"""SELECT p.row_key::VARCHAR FROM plan p WHERE list_has_any({planned.recipe.answers}, {_ids(answers)})
            UNION SELECT p.row_key::VARCHAR FROM plan p JOIN contributions c ON c.row_key = p.row_key AND c.reason IS NULL
            WHERE list_contains({_ids(votes)}, c.event_key) ORDER BY 1 LIMIT {_MAX_ROWS}"""
    ).fetchall()
    return [key for (key,) in rows]


def _lines(db: duckdb.DuckDBPyConnection, planned: Planned, keys: Sequence[str]) -> list[dict[str, Any]]:
    lines = db.execute(
        f"SELECT line FROM ({lines_of(planned, 'p.row_key')}) WHERE list_contains({_ids(keys)}, row_key)"
    ).fetchall()
    return sorted((json.loads(line) for (line,) in lines), key=lambda row: str(row["example_id"]))


def _reasons(db: duckdb.DuckDBPyConnection, planned: Planned, votes: Sequence[str]) -> dict[str, str]:
    rows = db.execute(
        f"""SELECT DISTINCT coalesce(c.reason, r.reason) AS reason
            FROM contributions c LEFT JOIN rows r ON r.row_key = c.row_key
            WHERE list_contains({_ids(votes)}, c.event_key) AND coalesce(c.reason, r.reason) IS NOT NULL ORDER BY 1"""
    ).fetchall()
    sentences = {step.name: step.why for step in planned.steps}
    return {name: sentences.get(name, name) for (name,) in rows}


def _no_votes(events: Sequence[LandedEvent]) -> str:
    kinds = {event.kind for event in events}
    if kinds & {*OPINIONS}:
        return "this kind of export is not made of what was said here"
    return "nobody has voted on it yet"


def _ids(ids: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{one}'::UUID" for one in ids) + "]::UUID[]"
