"""
What is different between two exports, and why.

Both plans are made again, and between them a third: the second snapshot with the first options. What
differs between the first and the third, events have done; what differs between the third and the
second, options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import duckdb

from ..connect import ConnectionSettings
from ..urls import WarehouseUrl
from .errors import BadOption
from .exported import Export
from .options import ExportOptions
from .planning import plan
from .recipe import named_rows
from .run import CONNECTION, opened

What = Literal["added", "removed", "changed"]

# What of a row may change while it stays the same row.
_FIELDS: Final = ("label", "n_votes", "agreement", "margin", "split", "texts")


@dataclass(frozen=True)
class Change:
    """
    A row that only one of two exports has, or that differs.

    Attributes:
        example_id: the row.
        what: added, removed or changed.
        fields: changed: field -> its value before and after.
        causes: why, as sentences that name events or options.
    """

    example_id: str
    what: What
    fields: dict[str, tuple[Any, Any]]
    causes: tuple[str, ...]


def diff(
    url: WarehouseUrl, first: str | Path, second: str | Path, connection: ConnectionSettings = CONNECTION
) -> list[Change]:
    """
    Every difference between two finished exports of one kind, ordered by example_id.

    Args:
        url: the warehouse that both are from.
        first: the earlier export's folder.
        second: the later one's.
        connection: what DuckDB may use.

    Raises:
        BadOption: the exports are of different kinds.
        ExportError: a folder is no export.
    """
    before, after = Export(Path(first)), Export(Path(second))
    if before.manifest["kind"] != after.manifest["kind"]:
        raise BadOption(f"diff: one is {before.manifest['kind']}, the other {after.manifest['kind']}")
    changed_options = _options_changed(before.options, after.options)
    with opened(url, connection) as db:
        _remember(db, before.options, "first")
        between = before.options.model_copy(update={"snapshot": after.options.snapshot})
        _remember(db, between, "between")
        _remember(db, after.options, "second")
        _keep_ids(db, before, "first")
        _keep_ids(db, after, "second")
        rows = _differences(db)
        causes = _events(db, (before, after))
        return [_explained(row, causes.get(row["example_id"], []), changed_options) for row in rows]


def _remember(db: duckdb.DuckDBPyConnection, options: ExportOptions, name: str) -> None:
    """Keep a plan under a name: its rows, and the events that they came from."""
    planned = plan(db, options)
    columns = {row[0] for row in db.execute("DESCRIBE rows").fetchall()}
    margin = "r.margin" if "margin" in columns else "0.0"
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE {name}_rows AS
        SELECT r.example_id, r.reason, r.label, r.n_votes::BIGINT AS n_votes, r.agreement, {margin}::DOUBLE AS margin,
               p.split, hash(r.prompt_hash, r.completion_hash) AS texts, {planned.recipe.answers.replace("p.", "r.")} AS answers
        FROM ({named_rows(planned.recipe, "rows")}) r LEFT JOIN plan p ON p.row_key = r.row_key"""
    )
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE {name}_parts AS SELECT DISTINCT r.example_id, c.event_key
        FROM contributions c JOIN ({named_rows(planned.recipe, "rows")}) r ON r.row_key = c.row_key"""
    )


def _keep_ids(db: duckdb.DuckDBPyConnection, made: Export, name: str) -> None:
    """What the file has and the plan has not any more was erased since: the file's word counts."""
    known = {row[0] for row in db.execute(f"SELECT example_id FROM {name}_rows WHERE reason IS NULL").fetchall()}
    erased = [(i,) for split in made.splits for i in made.example_ids(split) if i not in known]
    db.execute(f"CREATE OR REPLACE TEMP TABLE {name}_erased (example_id VARCHAR)")
    if erased:
        db.executemany(f"INSERT INTO {name}_erased VALUES (?)", erased)


def _differences(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    fields = ", ".join(f"a.{name} AS first_{name}, b.{name} AS second_{name}" for name in _FIELDS)
    as_first, as_second = (
        " AND ".join(f"{side}.{name} IS NOT DISTINCT FROM m.{name}" for name in _FIELDS) for side in "ab"
    )
    same = " AND ".join(f"a.{name} IS NOT DISTINCT FROM b.{name}" for name in _FIELDS)
    db.execute(
        f"""CREATE OR REPLACE TEMP TABLE differences AS WITH a AS (SELECT * FROM first_rows WHERE reason IS NULL), b AS (SELECT * FROM second_rows WHERE reason IS NULL),
                 m AS (SELECT * FROM between_rows),
                 erased AS (SELECT example_id FROM first_erased ANTI JOIN second_erased USING (example_id))
        SELECT coalesce(a.example_id, b.example_id) AS example_id, a.example_id IS NOT NULL AS in_first,
               b.example_id IS NOT NULL AS in_second, {fields}, m.reason AS between_reason, m.example_id IS NOT NULL AS in_between, ({as_first}) AS between_is_first, ({as_second}) AS between_is_second,
               s.reason AS second_reason, f.reason AS first_reason, coalesce(a.answers, b.answers) AS answers, false AS is_erased
        FROM a FULL JOIN b ON a.example_id = b.example_id LEFT JOIN m ON m.example_id = coalesce(a.example_id, b.example_id)
        LEFT JOIN second_rows s ON s.example_id = coalesce(a.example_id, b.example_id)
        LEFT JOIN first_rows f ON f.example_id = coalesce(a.example_id, b.example_id)
        WHERE a.example_id IS NULL OR b.example_id IS NULL OR NOT ({same})
        UNION ALL BY NAME SELECT example_id, true AS in_first, false AS in_second, true AS is_erased FROM erased
        ORDER BY example_id"""
    )
    cursor = db.execute("FROM differences ORDER BY example_id")
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _explained(row: dict[str, Any], causes: list[str], options: Sequence[str]) -> Change:
    what: What = "changed" if row["in_first"] and row["in_second"] else "added" if row["in_second"] else "removed"
    if row["is_erased"]:
        return Change(row["example_id"], "removed", {}, ("its events are not in the warehouse any more: erased",))
    fields = {
        name: (row[f"first_{name}"], row[f"second_{name}"])
        for name in _FIELDS
        if what == "changed" and row[f"first_{name}"] != row[f"second_{name}"]
    }
    reason = row["second_reason"] if what == "removed" else row["first_reason"]
    told = f" ({reason})" if reason else ""
    # The second snapshot with the first options: what it changed, events did; the rest, options.
    found = [] if _same(row, "first") else causes
    if options and not _same(row, "second"):
        found = [*found, f"options: {', '.join(options)}{told}"]
    return Change(row["example_id"], what, fields, tuple(found or [f"other rows took its place, or left it{told}"]))


def _same(row: dict[str, Any], which: Literal["first", "second"]) -> bool:
    """Whether the row is, with the second snapshot and the first options, as in one of the exports."""
    is_between = bool(row["in_between"]) and row["between_reason"] is None
    return is_between == bool(row[f"in_{which}"]) and (not is_between or bool(row[f"between_is_{which}"]))


def _events(db: duckdb.DuckDBPyConnection, exports: tuple[Export, Export]) -> dict[str, list[str]]:
    """example_id -> the events landed between the two snapshots that concern the row."""
    low, high = (made.manifest["snapshot"]["load_id"] for made in exports)
    if high <= low:
        return {}
    found = db.execute(
        """WITH parts AS (SELECT d.example_id, p.event_key FROM differences d
                          JOIN (FROM first_parts UNION FROM second_parts) p USING (example_id)
                          UNION SELECT example_id, unnest(answers) FROM differences),
                about AS (SELECT p.example_id, e.* FROM parts p JOIN events e USING (event_key)),
                ids AS (SELECT DISTINCT example_id, project, unnest([target_id, completion_id, comparison_id]) AS id FROM about),
                people AS (SELECT DISTINCT example_id, project, unnest([rater_id, author]) AS person FROM about),
                fresh AS (SELECT *, coalesce(target_id, completion_id, comparison_id) AS id FROM events WHERE load_id > $low AND load_id <= $high),
                found AS (SELECT p.example_id, f.event_key FROM parts p JOIN fresh f USING (event_key)
                          UNION SELECT i.example_id, f.event_key FROM ids i JOIN fresh f ON f.project = i.project AND f.id = i.id
                          UNION SELECT w.example_id, f.event_key FROM people w JOIN fresh f
                            ON f.kind = 'consent' AND f.project = w.project AND f.rater_id = w.person)
           SELECT example_id, kind, coalesce(value, outcome, CASE WHEN kind = 'consent' THEN training_consent END, ''), event_id::VARCHAR
           FROM found JOIN fresh USING (event_key) ORDER BY ALL""",
        {"low": low, "high": high},
    ).fetchall()
    causes: dict[str, list[str]] = {}
    for example_id, *words in found:
        causes.setdefault(example_id, []).append(" ".join(word for word in words if word))
    return causes


def _options_changed(first: ExportOptions, second: ExportOptions) -> list[str]:
    return _compare("", first.as_dict(), second.as_dict())


def _compare(path: str, one: Any, other: Any) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        return [text for name in one for text in _compare(f"{path}.{name}".lstrip("."), one[name], other.get(name))]
    if one == other or path in ("snapshot", "output.format"):
        return []
    return [f"{path} {one} -> {other}"]
