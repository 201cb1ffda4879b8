"""
The tables, column by column: what they hold, where in an event it comes from, and what it means.

All events land in one table, `events`, whose columns are the union of all kinds' fields; a field
that a kind does not have is NULL there and costs next to nothing in Parquet. One table means one
file a load and one place to look for an `event_id`. The views of `views.py` show it kind by kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Column:
    """
    One column.

    Attributes:
        name: its name.
        type: its DuckDB type.
        comment: what it means; stored in the database.
        json: type under which it is read from the event's JSON field of the same name; empty when it
            comes from elsewhere.
    """

    name: str
    type: str
    comment: str
    json: str = ""


def _field(name: str, type_: str, comment: str) -> Column:
    return Column(name, type_, comment, json=type_)


_COMMON: Final = (
    Column("event_id", "UUID", "UUID minted by the client; unique in its project", json="UUID"),
    Column(
        "event_key",
        "UUID",
        "MD5 of project and event_id: unique in the warehouse; the key for de-duplication and for joins of events",
    ),
    Column(
        "kind",
        "VARCHAR",
        "completion, comparison, exposure, thumb, pick, rating, ranking, edit, mark, signal or consent",
        "VARCHAR",
    ),
    Column("project", "VARCHAR", "the write key's project; ids are unique within one"),
    Column(
        "occurred_at",
        "TIMESTAMP",
        "when it happened, UTC, by the client's clock, but never after received_at: see claimed_at",
        json="TIMESTAMPTZ",
    ),
    Column(
        "claimed_at",
        "TIMESTAMP",
        "what the client's clock said where that is after received_at, which then stands in occurred_at; NULL elsewhere",
    ),
    Column("received_at", "TIMESTAMP", "when the collector took it, UTC"),
    _field("sequence", "BIGINT", "the client's own counter; orders events that share a time"),
    Column("load_id", "BIGINT", "the load that landed it; 'all events up to load N' is a snapshot that lasts"),
    Column("rater_id", "VARCHAR", "pseudonymous id of who judged"),
    Column("rater_kind", "VARCHAR", "human, model or rule"),
    Column("rater_wrote_prompt", "BOOLEAN", "whether the rater is the person whose prompt was answered"),
    _field("conversation_id", "VARCHAR", "the conversation that it belongs to"),
    _field("app", "VARCHAR", "the product"),
    _field("surface", "VARCHAR", "where in the product, e.g. web, ios"),
    _field("app_version", "VARCHAR", "the product's release"),
    _field("sdk", "VARCHAR", "client library and version"),
    _field(
        "training_consent", "VARCHAR", "granted, denied or unknown, as the event says; see the view consent_in_force"
    ),
    _field("properties", "JSON", "whatever else the host wanted to keep"),
    Column("extra", "JSON", "fields from a newer client that this version does not know"),
)

_KINDS: Final = (
    _field("target_type", "VARCHAR", "what is judged: completion, comparison or conversation"),
    _field("target_id", "VARCHAR", "its id"),
    _field("completion_id", "VARCHAR", "completion: the answer's id"),
    _field("messages", "JSON", "completion: everything before the answer as the model saw it, OpenAI chat shape"),
    _field("response", "JSON", "completion, edit: the answer, one assistant message"),
    _field("tools", "JSON", "completion: tool definitions that the model was given"),
    _field("model", "VARCHAR", "completion: the model's name"),
    _field("policy", "VARCHAR", "completion: the exact checkpoint that wrote the answer"),
    _field("sampling", "JSON", "completion: sampling parameters"),
    _field("latency_ms", "DOUBLE", "completion: milliseconds until the answer was complete"),
    _field(
        "finish_reason",
        "VARCHAR",
        "completion: why it ended, e.g. stop or length; from properties where it stands there",
    ),
    _field("turn", "INTEGER", "completion: its place in the conversation, from 0"),
    _field("parent_id", "VARCHAR", "completion: the answer that it follows or replaces"),
    _field("author", "VARCHAR", "completion: pseudonymous id of the person whose prompt it is"),
    _field("comparison_id", "VARCHAR", "comparison: its id"),
    _field("completion_ids", "VARCHAR[]", "comparison: the answers in the order shown"),
    _field("probability", "DOUBLE", "comparison: probability with which this order was drawn; NULL where unknown"),
    _field("state", "VARCHAR", "exposure: shown, seen or dismissed"),
    _field("value", "VARCHAR", "thumb: up, down or retracted; signal: its number as text"),
    _field("outcome", "VARCHAR", "pick: winner, tie, both_bad, skip or retracted"),
    _field("winner_id", "VARCHAR", "pick: the answer picked"),
    _field("strength", "TINYINT", "pick: point on the scale, counted towards the winner"),
    _field("scale", "TINYINT", "pick: number of points, 5 or 8"),
    _field("score", "DOUBLE", "rating: the score; NULL takes it back"),
    _field("scale_min", "DOUBLE", "rating: lowest score of the scale"),
    _field("scale_max", "DOUBLE", "rating: highest score of the scale"),
    _field("ranks", "VARCHAR[][]", "ranking: groups of answer ids, best first, ties in one group"),
    _field("tags", "VARCHAR[]", "opinion: reason tags"),
    _field("comment", "VARCHAR", "opinion: what the rater wrote beside it"),
    _field("start", "INTEGER", "mark: first character of the span, code points from 0"),
    Column("end", "INTEGER", "mark: one past the last character", json="INTEGER"),
    _field("text_sha256", "VARCHAR", "mark: SHA-256 of the answer's text"),
    _field("name", "VARCHAR", "signal: copy, regenerate, share, abandon ..."),
)

# Worked out once, when an answer lands, so that no query has to read its text for them.
_DERIVED: Final = (
    Column("prompt_hash", "UBIGINT", "completion: 64 bits of the MD5 of messages: equal where the prompt is"),
    Column("prompt_end", "VARCHAR", "completion: role of the last message of the prompt"),
    Column("prompt_chars", "BIGINT", "completion: characters of the prompt as stored"),
    Column("response_hash", "UBIGINT", "completion, edit: 64 bits of the MD5 of response"),
    Column("response_chars", "BIGINT", "completion, edit: characters of the answer's text, without space around it"),
    Column(
        "reasoning_chars",
        "BIGINT",
        "completion, edit: characters of the reasoning that came beside the answer's text; NULL where there is none",
    ),
    Column(
        "prompt_reasoning",
        "BOOLEAN",
        "completion: whether earlier answers of the prompt have reasoning beside their text",
    ),
    Column(
        "form",
        "VARCHAR",
        "completion, edit: canonical (each message is {role, content} with text), text (holds only text, "
        "but is written otherwise) or rich (tool calls, images or other parts)",
    ),
)

EVENTS: Final = _COMMON + _KINDS + _DERIVED


@dataclass(frozen=True)
class Table:
    """A table: its name, what it holds, its columns."""

    name: str
    comment: str
    columns: tuple[Column, ...]


TABLES: Final = (
    Table("events", "Every event, as it came, once. Nothing here is ever updated.", EVENTS),
    Table(
        "quarantine",
        "Records that could not be landed, with their bytes and the reason.",
        (
            Column("log_id", "VARCHAR", "the log that it came from"),
            Column("partition", "INTEGER", "its partition"),
            Column("position", "BIGINT", "its position in the partition"),
            Column("reason", "VARCHAR", "why it could not be landed"),
            Column("record", "BLOB", "the record as it was"),
            Column("load_id", "BIGINT", "the load that met it"),
            Column("quarantined_at", "TIMESTAMP", "when, UTC"),
        ),
    ),
    Table(
        "conflicts",
        "Events that came under an id which another event of their project had: the first one counts.",
        (
            Column("project", "VARCHAR", "the project"),
            Column("event_id", "UUID", "the id"),
            Column("kind", "VARCHAR", "kind of the event that was left out"),
            Column("fields", "VARCHAR[]", "what it says otherwise than the event that counts"),
            Column("log_id", "VARCHAR", "the log that it came from"),
            Column("partition", "INTEGER", "its partition"),
            Column("position", "BIGINT", "its position in the partition"),
            Column("load_id", "BIGINT", "the load that met it"),
            Column("found_at", "TIMESTAMP", "when, UTC"),
        ),
    ),
    Table(
        "loads",
        "One row a load and partition: which positions it covered and what became of the records.",
        (
            Column("load_id", "BIGINT", "consecutive number of the load"),
            Column("log_id", "VARCHAR", "the log that was read"),
            Column("partition", "INTEGER", "its partition"),
            Column("first_position", "BIGINT", "position from which was read"),
            Column("next_position", "BIGINT", "position from which the next load reads"),
            Column("records", "BIGINT", "records read: landed + duplicates + conflicts + quarantined"),
            Column("landed", "BIGINT", "rows added to events"),
            Column("duplicates", "BIGINT", "records whose event was there already"),
            Column("conflicts", "BIGINT", "records whose event_id was there already, with other content"),
            Column("quarantined", "BIGINT", "records that went to quarantine"),
            Column("lost", "BIGINT", "positions that the log had dropped before they were read"),
            Column("loader", "VARCHAR", "name of the loader"),
            Column("loaded_at", "TIMESTAMP", "when it was committed, UTC"),
        ),
    ),
    Table(
        "logs",
        "The logs that were read, so that a recreated one is not taken for the old.",
        (
            Column("log_id", "VARCHAR", "changes when the log is created anew"),
            Column("name", "VARCHAR", "what an operator calls it"),
            Column("partitions", "INTEGER", "how many partitions it had"),
            Column("seen_at", "TIMESTAMP", "since when, UTC"),
        ),
    ),
    Table(
        "head",
        "One row that every load moves on: of two loads at the same time, one fails and is tried again.",
        (Column("load_id", "BIGINT", "the last load"),),
    ),
    Table(
        "documentation",
        "What each table, view and column means. DuckLake keeps no comments on a view's columns.",
        (
            Column("object", "VARCHAR", "table or view"),
            Column("column_name", "VARCHAR", "its column; empty for the object itself"),
            Column("comment", "VARCHAR", "what it means"),
        ),
    ),
)


def event_key(project: str, event_id: str) -> str:
    """SQL: the key of an event, of its project and its id. An id alone says nothing: each project has its own."""
    return f"md5({project} || chr(0) || {event_id})::UUID"


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def listed(values: Sequence[str]) -> str:
    """Texts as a SQL list in brackets."""
    return "(" + ", ".join(map(literal, values)) + ")"
