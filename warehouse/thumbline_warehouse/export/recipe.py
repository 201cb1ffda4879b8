"""
What the kinds of export have in common.

A recipe fills two tables without any text: `contributions` (contributions.py) and `rows`, one row for
each row to come or left out. Caps, splits, order and figures are worked out on them. The texts are
read once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb

from ..messages import canonical_list, canonical_one, parsed_list, parsed_one, thinking_one
from .funnel import Step
from .options import ExportOptions
from .profiles import Profile


@dataclass(frozen=True)
class MetadataColumn:
    """
    A flat, never-null column beside what the trainer reads.

    Attributes:
        name: its name; none that a trainer gives a meaning to.
        type: its DuckDB type: VARCHAR, BIGINT, DOUBLE or BOOLEAN.
        sql: its value, over the plan `p` and the events of the texts; NULL becomes '' or 0.
    """

    name: str
    type: str
    sql: str

    @property
    def never_null(self) -> str:
        """SQL of its value with NULL replaced: `datasets` cannot tell the type of a column that begins with nulls."""
        empty = {"VARCHAR": "''", "BIGINT": "0", "DOUBLE": "0.0", "BOOLEAN": "false"}[self.type]
        return f"coalesce(({self.sql})::{self.type}, {empty})"


@dataclass(frozen=True)
class JsonColumn:
    """
    A field of the canonical row.

    Attributes:
        text: SQL arguments of concat() that make its JSON text.
        value: SQL of what COPY writes as the same JSON.
    """

    text: str
    value: str


class Recipe(Protocol):
    """One kind of export."""

    @property
    def metadata(self) -> tuple[MetadataColumn, ...]:
        """Columns beside what the trainer reads."""
        ...

    @property
    def answers(self) -> str:
        """SQL: event ids of a row's answers as a list, over `p`, a row of `plan` or `rows`."""
        ...

    def make_rows(self, db: duckdb.DuckDBPyConnection, profile: Profile) -> Sequence[Step]:
        """
        Make `contributions` and `rows`; gives the steps taken, in order.

        `rows` has, beside the recipe's own columns: `row_key`, `reason` (NULL for what stays), `shuffle` (the
        seed's draw), `prompt_hash` and `completion_hash` (what neighbours must not share), `conversation` (a
        hash), `answered_at`, `feedback_at`, `n_votes`, `agreement`, `prompt_chars`, `completion_chars`,
        `is_rich`, `rule` and `raters` (bits), `label`.
        """
        ...

    @property
    def example_id(self) -> str:
        """SQL: the id of a row, over `text_sources`; equal in every export that has the row."""
        ...

    def text_sources(self, table: str = "plan") -> str:
        """SQL of the FROM clause that brings the events with the texts to the table's rows `p`."""
        ...

    def text_columns(self, rich: bool) -> dict[str, JsonColumn]:
        """JSON field -> its SQL, in the order of the row."""
        ...


def line_sql(recipe: Recipe, options: ExportOptions, rich: bool) -> str:
    """
    SQL of a canonical row as one line of JSON with its line break, put together from JSON that is there already.

    None of the parts may be NULL: concat() passes over it.

        {"prompt":[...],"completion":[...],"label":true,"example_id":"3f…","model":"acme-7b",...}
    """
    fields = {name: column.text for name, column in recipe.text_columns(rich).items()}
    if options.output.metadata:
        fields["example_id"] = f"to_json({recipe.example_id})::VARCHAR"
        fields |= {column.name: f"to_json({column.never_null})::VARCHAR" for column in recipe.metadata}
    parts = [f"'{',' if i else '{'}\"{name}\":', {sql}" for i, (name, sql) in enumerate(fields.items())]
    # concat() copies each text once, where a chain of || copies it at every step.
    return f"concat({', '.join(parts)}, '}}', chr(10))"


def metadata_types(recipe: Recipe, options: ExportOptions) -> dict[str, str]:
    """Metadata field -> DuckDB type, in order; empty where none is written."""
    types = {"example_id": "VARCHAR"} | {column.name: column.type for column in recipe.metadata}
    return types if options.output.metadata else {}


def prompt_sql(alias: str, rich: bool) -> JsonColumn:
    """The prompt as a JSON list: canonical, or as it was where it holds more than text."""
    value = _as_stored(alias, "messages", canonical_list(parsed_list(f"{alias}.messages")), rich)
    return JsonColumn(f"({value})::VARCHAR", value)


def answer_sql(alias: str, rich: bool, options: ExportOptions) -> JsonColumn:
    """The answer as a JSON list of one message."""
    canonical = thinking_one if options.output.reasoning == "think" else canonical_one
    value = _as_stored(alias, "response", canonical(parsed_one(f"{alias}.response")), rich)
    return JsonColumn(f"'[', ({value})::VARCHAR, ']'", f"[{value}]")


def tools_sql(alias: str) -> JsonColumn:
    """The tool definitions as JSON; `null` where there are none."""
    return JsonColumn(f"coalesce({alias}.tools::VARCHAR, 'null')", f"{alias}.tools")


def plain_sql(value: str) -> JsonColumn:
    """A number, a boolean or a text that is never null."""
    return JsonColumn(f"to_json({value})::VARCHAR", value)


def shuffle_of(seed: int, key: str) -> str:
    """SQL: the seed's draw for what a row is named by: a number of 64 bits."""
    return f"md5_number_lower('{seed}' || chr(0) || {key})"


def named_rows(recipe: Recipe, table: str) -> str:
    """SQL: the rows of `plan` or `rows` with their `example_id`, which only some questions need."""
    return f"SELECT p.*, {recipe.example_id} AS example_id FROM {recipe.text_sources(table)}"


def _as_stored(alias: str, column: str, rewritten: str, rich: bool) -> str:
    stored = "('canonical', 'rich')" if rich else "('canonical')"
    return f"CASE WHEN {alias}.form IN {stored} THEN {alias}.{column} ELSE {rewritten} END"
