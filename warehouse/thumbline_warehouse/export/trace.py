"""
Where rows come from: from the same plan that made them, worked out again.

    explain(url, options, "9f31…")  ->  the row, and the events that it came from
    affected(url, "data/kto")       ->  rows whose people have taken their consent back, or whose events are erased
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ..connect import NAME, ConnectionSettings
from ..consent import in_force_sql, last_words
from ..urls import WarehouseUrl
from .contributions import rules_of
from .errors import BadOption
from .exported import Export
from .options import ExportOptions
from .planning import Planned
from .recipe import named_rows
from .run import CONNECTION, planned_export


@dataclass(frozen=True)
class Part:
    """
    An event that a row came from.

    Attributes:
        event_id: the event.
        kind: its kind.
        rule: the rule that took it there.
        says: its value: up, down, winner, 4 ...
        rater_id: pseudonymous id of who said it.
        occurred_at: when, ISO 8601 UTC.
        load_id: the load that landed it.
        reason: why it is not counted after all; empty for what is.
    """

    event_id: str
    kind: str
    rule: str
    says: str
    rater_id: str
    occurred_at: str
    load_id: int
    reason: str


@dataclass(frozen=True)
class Explanation:
    """
    A row, or why it is none, with its events.

    Attributes:
        example_id: the row.
        row: its columns but for the texts.
        reason: the step at which it was left out; empty where it is exported.
        answers: event ids of its answers.
        parts: the events that it came from.
    """

    example_id: str
    row: dict[str, Any]
    reason: str
    answers: list[str]
    parts: list[Part]


@dataclass(frozen=True)
class Affected:
    """
    A row that should not be trained on any more.

    Attributes:
        folder: the export.
        split: the split.
        row: its number in the split's file, from 0.
        example_id: its id.
        why: `consent_withdrawn` or `erased`.
        person_id: pseudonymous id of who took the consent back; empty for what is erased.
    """

    folder: str
    split: str
    row: int
    example_id: str
    why: str
    person_id: str


def explain(
    url: WarehouseUrl, options: ExportOptions, example_id: str, connection: ConnectionSettings = CONNECTION
) -> Explanation:
    """
    The events behind a row of an export with these options.

    Raises:
        BadOption: no row has that id, exported or left out.
    """
    with planned_export(url, options, connection) as (db, planned):
        cursor = db.execute(
            f"SELECT p.*, {planned.recipe.answers} AS answers FROM ({named_rows(planned.recipe, 'rows')}) p WHERE example_id = ?",
            [example_id],
        )
        names = [column[0] for column in cursor.description or ()]
        found = cursor.fetchone()
        if found is None:
            raise BadOption(f"explain: no row has the example_id {example_id}, neither exported nor left out")
        row = dict(zip(names, found, strict=True))
        shown = {
            k: v for k, v in row.items() if k in ("label", "n_votes", "agreement", "margin", "example_id", "strength")
        }
        listed = [
            event_id
            for (event_id,) in db.execute(
                "SELECT e.event_id::VARCHAR FROM (SELECT unnest($keys) AS event_key, generate_subscripts($keys, 1) AS place) a "
                "JOIN events e USING (event_key) ORDER BY a.place",
                {"keys": row["answers"]},
            ).fetchall()
        ]
        return Explanation(example_id, shown, row["reason"] or "", listed, parts_of(db, row["row_key"]))


def parts_of(db: duckdb.DuckDBPyConnection, row_key: Any) -> list[Part]:
    """The events of a row, in the order of time."""
    rows = db.execute(
        f"""SELECT e.event_id::VARCHAR, e.kind, {rules_of("c.rule")}, coalesce(e.value, e.outcome, e.score::VARCHAR, e.name, ''),
                   coalesce(e.rater_id, ''), strftime(e.occurred_at, '%Y-%m-%dT%H:%M:%S.%fZ'), e.load_id, coalesce(c.reason, '')
            FROM contributions c JOIN events e ON e.event_key = c.event_key WHERE c.row_key = ?
            ORDER BY e.occurred_at, e.event_id""",
        [row_key],
    ).fetchall()
    return [Part(*row) for row in rows]


def affected(url: WarehouseUrl, folder: str | Path, connection: ConnectionSettings = CONNECTION) -> list[Affected]:
    """
    Rows of a finished export that a consent taken back, or an erasure, since then concerns.

    The export's plan is made again from its snapshot: what it had and the file has not kept is erased.

    Raises:
        ExportError: the folder is no export, or its snapshot is not in this warehouse.
    """
    made = Export(Path(folder))
    with planned_export(url, made.options, connection) as (db, planned):
        withdrawn = _withdrawn(db, planned)
        known = {
            row[0] for row in db.execute(f"SELECT example_id FROM ({named_rows(planned.recipe, 'plan')})").fetchall()
        }
    return list(_affected_rows(made, withdrawn, known))


def _affected_rows(made: Export, withdrawn: dict[str, str], known: set[str]) -> Iterator[Affected]:
    for split in made.splits:
        for number, example_id in enumerate(made.example_ids(split)):
            place = (str(made.folder), split, number, example_id)
            if example_id in withdrawn:
                yield Affected(*place, "consent_withdrawn", withdrawn[example_id])
            elif example_id not in known:
                yield Affected(*place, "erased", "")


def _withdrawn(db: duckdb.DuckDBPyConnection, planned: Planned) -> dict[str, str]:
    """example_id -> who of its raters and authors has taken a consent back since the snapshot."""
    rows_sql = named_rows(planned.recipe, "plan")
    # The warehouse as it is now, not the snapshot.
    db.execute(f"CREATE OR REPLACE TEMP VIEW words_now AS {last_words(f'{NAME}.main.events')}")
    rows = db.execute(
        f"""WITH taken_back AS (SELECT n.event_key, n.person_id FROM ({in_force_sql("events", "words_now")}) n
                                JOIN consent_in_force t ON t.event_key = n.event_key
                                WHERE n.consent = 'denied' AND t.consent <> 'denied'),
                 behind AS (SELECT p.example_id, c.event_key FROM ({rows_sql}) p
                            JOIN contributions c ON c.row_key = p.row_key AND c.reason IS NULL
                            UNION ALL SELECT example_id, unnest({planned.recipe.answers}) FROM ({rows_sql}) p)
            SELECT example_id, min(coalesce(person_id, '')) FROM behind JOIN taken_back USING (event_key) GROUP BY 1"""
    ).fetchall()
    return dict(rows)
