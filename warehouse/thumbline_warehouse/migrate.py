"""Makes tables, views and their comments, and brings those of an older version up to date."""

from __future__ import annotations

import hashlib
from typing import Final

import duckdb

from .connect import NAME
from .schema import TABLES, Table, event_key, literal, quoted
from .views import VIEWS, View

# Where `documentation` keeps which definitions are in the database.
_VERSION_OBJECT: Final = "(definitions)"
_ROW_GROUP_ROWS: Final = 16_384


def migrate(db: duckdb.DuckDBPyConnection) -> None:
    """
    Bring the warehouse to this version's definitions, in one transaction; does nothing when it is.

    Columns are only ever added, never changed or dropped.
    """
    version = _version()
    if _stored_version(db) == version:
        return
    db.execute("BEGIN")
    try:
        for table in TABLES:
            _make_table(db, table)
        _fill_keys(db)
        for view in VIEWS:
            db.execute(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}")
            db.execute(f"COMMENT ON VIEW {view.name} IS {literal(view.comment)}")
        # A reader holds a row group of each thread: long texts in large ones would take hundreds of MB.
        db.execute(f"CALL {NAME}.set_option('parquet_row_group_size', {_ROW_GROUP_ROWS})")
        db.execute("INSERT INTO head SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM head)")
        _document(db, version)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def documentation(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Rows (object, column, comment) of every table and view; the column is empty for the object itself."""
    rows = []
    for table in TABLES:
        rows.append((table.name, "", table.comment))
        rows += [(table.name, column.name, column.comment) for column in table.columns]
    for view in VIEWS:
        rows.append((view.name, "", view.comment))
        rows += [(view.name, name, view.column_comment(name)) for name in _columns(db, view)]
    return rows


def _make_table(db: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(f"{quoted(column.name)} {column.type}" for column in table.columns)
    db.execute(f"CREATE TABLE IF NOT EXISTS {table.name} ({columns})")
    there = {row[0] for row in db.execute(f"DESCRIBE {table.name}").fetchall()}
    for column in table.columns:
        if column.name not in there:
            db.execute(f"ALTER TABLE {table.name} ADD COLUMN {quoted(column.name)} {column.type}")
        db.execute(f"COMMENT ON COLUMN {table.name}.{quoted(column.name)} IS {literal(column.comment)}")
    db.execute(f"COMMENT ON TABLE {table.name} IS {literal(table.comment)}")


def _fill_keys(db: duckdb.DuckDBPyConnection) -> None:
    """Events of a version that knew no keys get theirs."""
    (without,) = db.execute("SELECT count(*) FROM events WHERE event_key IS NULL").fetchone() or (0,)
    if without:
        db.execute(f"UPDATE events SET event_key = {event_key('project', 'event_id')} WHERE event_key IS NULL")


def _document(db: duckdb.DuckDBPyConnection, version: str) -> None:
    rows = [(_VERSION_OBJECT, "", version), *documentation(db)]
    values = ", ".join(f"({literal(a)}, {literal(b)}, {literal(c)})" for a, b, c in rows)
    db.execute("DELETE FROM documentation")
    db.execute(f"INSERT INTO documentation VALUES {values}")


def _columns(db: duckdb.DuckDBPyConnection, view: View) -> list[str]:
    return [row[0] for row in db.execute(f"DESCRIBE SELECT * FROM {view.name}").fetchall()]


def _stored_version(db: duckdb.DuckDBPyConnection) -> str | None:
    try:
        row = db.execute("SELECT comment FROM documentation WHERE object = ?", [_VERSION_OBJECT]).fetchone()
    except duckdb.CatalogException:
        return None
    return row[0] if row else None


def _version() -> str:
    return hashlib.sha256(repr((TABLES, VIEWS, _ROW_GROUP_ROWS)).encode()).hexdigest()
