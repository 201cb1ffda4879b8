"""
From a batch of records to rows: parsing, checking and de-duplicating, all inside DuckDB.

    {"v":1,"project":"demo","received_at":1764000000000,"event":{"kind":"thumb","event_id":"0192...",
     "occurred_at":"2026-11-24T10:00:00Z","rater":{"id":"h1:9c"},"target_id":"a-1","value":"up"}}
    ->  events(event_id=0192..., kind='thumb', project='demo', rater_id='h1:9c', target_id='a-1', value='up', ...)

The collector has checked each event against the contract. Here is checked again only what a row
cannot do without: other producers may write to the topic too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from thumbline.events import KINDS, fields_of

from . import messages
from .schema import EVENTS, event_key, quoted

ENVELOPE_VERSION: Final = 1

# Ids minted within this long before the newest one of a batch are looked up by range, which reads
# next to nothing; older ones (a client that was offline, a host's own ids) are looked up alone.
_RECENT_MS: Final = 60 * 60 * 1000

_ROWS_PER_PIECE: Final = 16_384

_RATER: Final = {"id": "VARCHAR", "kind": "VARCHAR", "wrote_prompt": "BOOLEAN"}


def _parse_schema() -> str:
    event: dict[str, Any] = {column.name: _json_type(column.json) for column in EVENTS if column.json}
    envelope = {"v": "INTEGER", "project": "VARCHAR", "received_at": "BIGINT", "extra": "JSON"}
    return json.dumps(envelope | {"event": event | {"rater": _RATER}})


def _json_type(sql_type: str) -> Any:
    # A list type is written as a JSON list of its element's type.
    return [_json_type(sql_type[:-2])] if sql_type.endswith("[]") else sql_type


def _hash(raw: str, canonical: str) -> str:
    return (
        f"CASE WHEN {raw} IS NOT NULL THEN md5_number_lower("
        f"CASE WHEN form = 'text' THEN {canonical}::VARCHAR ELSE {raw}::VARCHAR END) END"
    )


# An event cannot have happened after it was received: a clock that is ahead must not make a vote the last word for
# ever. The collector's time is in whole milliseconds.
_CLAIMED: Final = "make_timestamp(epoch_us(e.occurred_at))"
_RECEIVED: Final = "make_timestamp(r.received_at * 1000)"
_IS_AHEAD: Final = f"{_CLAIMED} >= {_RECEIVED} + INTERVAL 1 MILLISECOND"

_EXPRESSIONS: Final = {
    "project": "r.project",
    "event_key": event_key("r.project", "e.event_id"),
    "occurred_at": f"CASE WHEN {_IS_AHEAD} THEN {_RECEIVED} ELSE {_CLAIMED} END",
    "claimed_at": f"CASE WHEN {_IS_AHEAD} THEN {_CLAIMED} END",
    "received_at": _RECEIVED,
    "rater_id": "e.rater.id",
    "rater_kind": "CASE WHEN e.rater IS NOT NULL THEN coalesce(e.rater.kind, 'human') END",
    "rater_wrote_prompt": "e.rater.wrote_prompt",
    "training_consent": "coalesce(e.training_consent, 'unknown')",
    "target_type": "coalesce(e.target_type, CASE WHEN e.kind IN ('pick', 'ranking') THEN 'comparison' "
    "WHEN e.target_id IS NOT NULL THEN 'completion' END)",
    "scale_min": "CASE WHEN e.kind = 'rating' THEN coalesce(e.scale_min, 1) END",
    "scale_max": "CASE WHEN e.kind = 'rating' THEN coalesce(e.scale_max, 5) END",
    "state": "CASE WHEN e.kind = 'exposure' THEN coalesce(e.state, 'shown') END",
    "extra": "r.extra",
    "finish_reason": "CASE WHEN e.kind = 'completion' THEN "
    "coalesce(e.finish_reason, json_extract_string(e.properties, '$.finish_reason')) END",
    # Of the canonical form where there is one: the same words written otherwise are the same prompt.
    "prompt_hash": _hash("e.messages", messages.canonical_list("m")),
    "prompt_end": "m[-1].role",
    "prompt_chars": "length(e.messages::VARCHAR)",
    "response_hash": _hash("e.response", messages.canonical_one("a")),
    "response_chars": f"length(trim({messages.text_of('a')}, ' ' || chr(9) || chr(10) || chr(13)))",
    "reasoning_chars": f"CASE WHEN {messages.has_reasoning('a')} THEN coalesce(length({messages.reasoning_of('a')}), 0) END",
    "prompt_reasoning": f"CASE WHEN m IS NOT NULL THEN "
    f"coalesce(list_bool_or(list_transform(m, lambda x: {messages.has_reasoning('x')})), false) END",
    "form": "form",
}

# Columns that only some kinds have: a field of that name in another kind's event is unknown there, and
# kept in `extra` alone.
_KINDS_OF: Final = {
    column.name: kinds
    for column in EVENTS
    if (kinds := tuple(kind for kind in KINDS if column.name in fields_of(kind))) and len(kinds) < len(KINDS)
} | {
    "prompt_hash": ("completion",),
    "reasoning_chars": ("completion", "edit"),
    "prompt_reasoning": ("completion",),
    "prompt_end": ("completion",),
    "prompt_chars": ("completion",),
    "response_hash": ("completion", "edit"),
    "response_chars": ("completion", "edit"),
    "form": ("completion", "edit"),
}

_KIND_LIST: Final = ", ".join(f"'{kind}'" for kind in KINDS)

# What a row cannot do without; the first that holds is the reason for quarantine.
_CHECKS: Final = (
    ("r IS NULL", "not UTF-8 JSON"),
    ("r.v IS NULL OR e IS NULL OR r.project IS NULL OR r.received_at IS NULL", "not an envelope of the collector"),
    (f"r.v > {ENVELOPE_VERSION}", "envelope of a newer version: update this loader"),
    ("e.event_id IS NULL", "event_id: missing or not a UUID"),
    (f"e.kind IS NULL OR e.kind NOT IN ({_KIND_LIST})", f"kind: must be one of {', '.join(KINDS)}"),
    ("e.occurred_at IS NULL", "occurred_at: missing or not a time"),
    (
        "e.kind IN ('thumb', 'pick', 'rating', 'ranking', 'edit', 'mark', 'exposure', 'signal') AND e.target_id IS NULL",
        "target_id: missing",
    ),
    (
        "e.kind IN ('thumb', 'pick', 'rating', 'ranking', 'edit', 'mark', 'exposure', 'consent') AND e.rater.id IS NULL",
        "rater.id: missing",
    ),
    (
        "e.kind = 'completion' AND (e.completion_id IS NULL OR e.messages IS NULL OR e.response IS NULL OR e.model IS NULL)",
        "completion: completion_id, messages, response and model must be set",
    ),
    (
        "e.kind = 'comparison' AND (e.comparison_id IS NULL OR coalesce(len(e.completion_ids), 0) < 2)",
        "comparison: comparison_id and at least 2 completion_ids must be set",
    ),
    (
        "e.kind = 'thumb' AND coalesce(e.value, '') NOT IN ('up', 'down', 'retracted')",
        "value: must be up, down or retracted",
    ),
    (
        "e.kind = 'pick' AND coalesce(e.outcome, '') NOT IN ('winner', 'tie', 'both_bad', 'skip', 'retracted')",
        "outcome: must be winner, tie, both_bad, skip or retracted",
    ),
    ("e.kind = 'edit' AND e.response IS NULL", "response: missing"),
    ("e.kind = 'signal' AND e.name IS NULL", "name: missing"),
)


REASONS: Final = frozenset(reason for _, reason in _CHECKS)
"""The sentences that stand in `quarantine.reason`, beside those of DuckDB, which may quote the record."""


def _stage_sql() -> str:
    columns = [f"{_expression(column.name)} AS {quoted(column.name)}" for column in EVENTS if column.name != "load_id"]
    cases = " ".join(f"WHEN {condition} THEN '{reason}'" for condition, reason in _CHECKS)
    return (
        f"CREATE OR REPLACE TEMP TABLE staged AS SELECT partition, position, CASE {cases} END AS reason, {', '.join(columns)} "
        f"FROM (SELECT *, {messages.form('m', 'e.messages', 'a', 'e.response')} AS form "
        f"FROM (SELECT partition, position, r, e, {messages.parsed_list('e.messages')} AS m, "
        f"{messages.parsed_one('e.response')} AS a "
        f"FROM (SELECT partition, position, r, r.event AS e FROM (SELECT partition, position, "
        f"TRY(from_json(record, '{_parse_schema()}')) AS r FROM records))))"
    )


def _expression(name: str) -> str:
    value = _EXPRESSIONS.get(name, f"e.{quoted(name)}")
    kinds = _KINDS_OF.get(name)
    if kinds is None:
        return value
    # Only an event with unknown fields can have another kind's: the others are spared the look.
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return f"CASE WHEN r.extra IS NULL OR e.kind IN ({listed}) THEN {value} END"


_STAGE: Final = _stage_sql()
# What may differ when a client sends an event again, or a host logs it anew under its own key; what is worked out
# here from texts stands for them.
_NOT_CONTENT: Final = frozenset(
    (
        *("event_id", "event_key", "project", "occurred_at", "claimed_at", "received_at", "sequence", "load_id"),
        *("sdk", "extra", "messages", "response", "prompt_end", "prompt_chars", "response_chars", "form"),
        *("reasoning_chars", "prompt_reasoning"),
    )
)
_CONTENT_NAMES: Final = tuple(column.name for column in EVENTS if column.name not in _NOT_CONTENT)
_CONTENT: Final = ", ".join(quoted(name) for name in _CONTENT_NAMES)
_SAYS: Final = {"prompt_hash": "messages", "response_hash": "response"}
# What an import's options say of a delivery, and not its records: imported again under another name, it is the same.
_OF_DELIVERY: Final = '{"batch":null,"cohort":null,"source":null}'


def _difference(name: str) -> str:
    here, there = (f"{alias}.{quoted(name)}" for alias in "sf")
    if name == "properties":
        here, there = (f"json_merge_patch(coalesce({side}, '{{}}'), '{_OF_DELIVERY}')" for side in (here, there))
    return f"CASE WHEN {here} IS DISTINCT FROM {there} THEN '{_SAYS.get(name, name)}' END"


_DIFFERENCES: Final = ", ".join(_difference(name) for name in _CONTENT_NAMES)
_COLUMNS: Final = ", ".join(quoted(column.name) for column in EVENTS)
_VALUES: Final = ", ".join("$load_id" if column.name == "load_id" else quoted(column.name) for column in EVENTS)


@dataclass(frozen=True)
class Records:
    """
    Consecutive records of one partition, to be landed together.

    Attributes:
        partition: the partition.
        first: position from which they were read.
        next: position to read from afterwards.
        positions: position of each value.
        values: the records as bytes.
        lost: positions before `first` that the log no longer had.
    """

    partition: int
    first: int
    next: int
    positions: Sequence[int]
    values: Sequence[bytes]
    lost: int = 0


@dataclass(frozen=True)
class Counts:
    """What became of the records of a partition; `records = landed + duplicates + conflicts + quarantined`."""

    records: int
    landed: int
    duplicates: int
    quarantined: int
    conflicts: int = 0


def stage(db: duckdb.DuckDBPyConnection, batch: Iterable[Records]) -> None:
    """Parse and check a batch into the temporary table `staged` (no transaction needed)."""
    records = _arrow(list(batch))
    db.register("records", records)
    try:
        db.execute(_STAGE)
        # The few that failed keep their bytes; the many that did not are not copied.
        db.execute(
            "CREATE OR REPLACE TEMP TABLE rejects AS SELECT s.partition, s.position, s.reason, r.bytes "
            "FROM (SELECT partition, position, reason FROM staged WHERE reason IS NOT NULL) s "
            "JOIN records r USING (partition, position)"
        )
    finally:
        db.unregister("records")


def insert(db: duckdb.DuckDBPyConnection, log_id: str, load_id: int) -> dict[int, Counts]:
    """
    Move what is staged into `events`, `conflicts` and `quarantine`, inside the caller's transaction.

    Each event lands once: of an id in a project the first of a batch, and none that is in the table already.
    """
    _choose_fresh(db)
    _find_conflicts(db)
    db.execute(
        f"INSERT INTO events ({_COLUMNS}) SELECT {_VALUES} FROM staged WHERE rowid IN (SELECT row FROM fresh)",
        {"load_id": load_id},
    )
    counts = _counts(db)
    where = {"log_id": log_id, "load_id": load_id}
    if any(count.conflicts for count in counts.values()):
        db.execute(
            "INSERT INTO conflicts SELECT project, event_id, kind, fields, $log_id, partition, position, $load_id, "
            "make_timestamp(epoch_us(now())) FROM differing",
            where,
        )
    if any(count.quarantined for count in counts.values()):
        db.execute(
            "INSERT INTO quarantine SELECT $log_id, partition, position, reason, bytes, $load_id, "
            "make_timestamp(epoch_us(now())) FROM rejects",
            where,
        )
    return counts


def _choose_fresh(db: duckdb.DuckDBPyConnection) -> None:
    # Ids and row numbers only: the wide rows are touched once, by the insert.
    db.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT event_key, any_value(event_id) AS event_id, min(rowid) AS row "
        "FROM staged WHERE reason IS NULL GROUP BY event_key"
    )
    for of_fresh, of_events in _windows(db, "fresh"):
        # The bounds are literals so that files and row groups outside them are never opened.
        db.execute(
            f"DELETE FROM fresh WHERE ({of_fresh}) AND event_key IN (SELECT event_key FROM events WHERE ({of_events}) "
            f"AND event_key IN (SELECT event_key FROM fresh WHERE {of_fresh}))"
        )


def _windows(db: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """
    Where in `events` the ids of a table are to be looked for: conditions on the table and on `events`.

    The many ids of the last hour are looked up by their range, which reads next to nothing; the few others alone.
    """
    # Ids from the future (a wrong clock) are looked up alone too, or all others would count as old.
    tomorrow = _uuid_at(int(time.time() * 1000) + 24 * 60 * 60 * 1000)
    found = db.execute(
        f"SELECT max(event_id) FROM {table} WHERE substr(event_id::VARCHAR, 15, 1) = '7' AND event_id < '{tomorrow}'::UUID"
    ).fetchone()
    newest = found[0] if found else None
    if newest is None:
        return [("true", "true")]
    recent = _uuid_at(max(0, (newest.int >> 80) - _RECENT_MS))
    window = f"event_id >= '{recent}'::UUID AND event_id <= '{newest}'::UUID"
    low = db.execute(f"SELECT min(event_id) FROM {table} WHERE {window}").fetchone()
    narrow = f"event_id >= '{low[0]}'::UUID AND event_id <= '{newest}'::UUID" if low else window
    (late,) = db.execute(f"SELECT count(*) FROM {table} WHERE NOT ({window})").fetchone() or (0,)
    return [(window, narrow), *([(f"NOT ({window})", "true")] if late else [])]


def _find_conflicts(db: duckdb.DuckDBPyConnection) -> None:
    """
    Make `differing`: the repeats that say something else than the event whose id they bear.

        staged thumb 0192… up, in `events` 0192… down  ->  differing (row, project, 0192…, thumb, ['value'])
    """
    db.execute(
        "CREATE OR REPLACE TEMP TABLE repeats AS SELECT rowid AS row, event_key, event_id FROM staged "
        "WHERE reason IS NULL AND rowid NOT IN (SELECT row FROM fresh)"
    )
    (any_of_them,) = db.execute("SELECT count(*) FROM repeats").fetchone() or (0,)
    first = f"SELECT event_key, {_CONTENT} FROM staged WHERE rowid IN (SELECT row FROM fresh)"
    if any_of_them:
        for of_repeats, of_events in _windows(db, "repeats"):
            first += (
                f" UNION ALL SELECT event_key, {_CONTENT} FROM events WHERE ({of_events}) "
                f"AND event_key IN (SELECT event_key FROM repeats WHERE {of_repeats})"
            )
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE differing AS SELECT * FROM (SELECT r.row, s.partition, s.position, s.project, "
        f"s.event_id, s.kind, list_filter([{_DIFFERENCES}], lambda field: field IS NOT NULL) AS fields "
        f"FROM repeats r JOIN staged s ON s.rowid = r.row JOIN ({first}) f ON f.event_key = r.event_key) WHERE len(fields) > 0"
    )


def _counts(db: duckdb.DuckDBPyConnection) -> dict[int, Counts]:
    rows = db.execute(
        "SELECT partition, count(*), count(*) FILTER (reason IS NOT NULL), "
        "count(*) FILTER (rowid IN (SELECT row FROM fresh)), count(*) FILTER (rowid IN (SELECT row FROM differing)) "
        "FROM staged GROUP BY partition"
    ).fetchall()
    return {
        part: Counts(total, landed, total - landed - bad - conflicts, bad, conflicts)
        for part, total, bad, landed, conflicts in rows
    }


def _uuid_at(ms: int) -> str:
    text = f"{ms:012x}" + "0" * 20
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _arrow(batch: Sequence[Records]) -> pa.Table:
    # In pieces: DuckDB reads as many at a time as it has threads.
    table = _table(batch)
    return pa.Table.from_batches(table.to_batches(max_chunksize=_ROWS_PER_PIECE), schema=table.schema)


def _table(batch: Sequence[Records]) -> pa.Table:
    values = [value for records in batch for value in records.values]
    binary = pa.array(values, pa.large_binary())
    return pa.table(
        {
            "partition": pa.concat_arrays(
                [pa.repeat(pa.scalar(r.partition, pa.int32()), len(r.values)) for r in batch]
            ),
            "position": pa.concat_arrays([pa.array(r.positions, pa.int64()) for r in batch]),
            "record": _text(binary, values),
            "bytes": binary,
        }
    )


def _text(binary: pa.Array, values: Sequence[bytes]) -> pa.Array:
    try:
        return binary.cast(pa.large_string())
    except pa.ArrowInvalid:
        return pa.array([_decoded(value) for value in values], pa.large_string())


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
