"""
What the kinds of export have in common: a plan of narrow columns, and the SQL of a row's line.

A recipe first makes the table `plan`, one row for each row to come, without any text; order,
lengths and checks are worked out on it. The texts are read once, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import duckdb

from ..schema import quoted
from .funnel import Funnel
from .options import ExportOptions


@dataclass(frozen=True)
class MetadataColumn:
    """
    A flat, never-null column beside what the trainer reads.

    Attributes:
        name: its name; none that a trainer gives a meaning to.
        type: its DuckDB type: VARCHAR, BIGINT, DOUBLE or BOOLEAN.
        sql: its value, over the plan `p`; NULL becomes '' or 0.
    """

    name: str
    type: str
    sql: str

    @property
    def never_null(self) -> str:
        """SQL of its value with NULL replaced: `datasets` cannot tell the type of a column that begins with nulls."""
        empty = {"VARCHAR": "''", "BIGINT": "0", "DOUBLE": "0.0", "BOOLEAN": "false"}[self.type]
        return f"coalesce(({self.sql})::{self.type}, {empty})"


class Recipe(Protocol):
    """One kind of export."""

    @property
    def metadata(self) -> tuple[MetadataColumn, ...]:
        """Columns beside what the trainer reads."""
        ...

    def make_plan(self, db: duckdb.DuckDBPyConnection, options: ExportOptions) -> Funnel:
        """
        Make the table `plan` and say what was left out.

        It has, beside the recipe's own columns: `row` (0..n-1), `shuffle` (the seed's draw for the row),
        `prompt_hash` and `completion_hash` (what neighbours must not share).
        """
        ...

    def text_sources(self) -> str:
        """SQL of the FROM clause that brings the texts to the plan `p`."""
        ...

    def text_columns(self) -> dict[str, str]:
        """JSON field -> SQL arguments of concat() that make its JSON text, in the order of the row."""
        ...

    def text_types(self) -> dict[str, str]:
        """Field -> its DuckDB type when the row is read back as a table."""
        ...


def line_sql(recipe: Recipe, options: ExportOptions) -> str:
    """
    SQL of a row as one line of JSON with its line break, put together from JSON that is there already.

    None of the parts may be NULL: concat() passes over it.

        {"prompt":[...],"completion":[...],"label":true,"example_id":"3f…","model":"acme-7b",...}
    """
    fields = dict(recipe.text_columns())
    if options.metadata:
        fields |= {column.name: f"to_json({column.never_null})::VARCHAR" for column in recipe.metadata}
    parts = [f"'{',' if i else '{'}\"{name}\":', {sql}" for i, (name, sql) in enumerate(fields.items())]
    # concat() copies each text once, where a chain of || copies it at every step.
    return f"concat({', '.join(parts)}, '}}', chr(10))"


def columns_of(recipe: Recipe, options: ExportOptions) -> dict[str, str]:
    """Field -> DuckDB type of a whole row, in order."""
    types = dict(recipe.text_types())
    if options.metadata:
        types |= {column.name: column.type for column in recipe.metadata}
    return types


def consent_of(alias: str, person: str) -> str:
    """SQL: the consent in force: the person's latest word, else the event's own."""
    return (
        f"coalesce((SELECT k.training_consent FROM current_consents k WHERE k.project = {alias}.project "
        f"AND k.person_id = {alias}.{quoted(person)}), {alias}.training_consent)"
    )
