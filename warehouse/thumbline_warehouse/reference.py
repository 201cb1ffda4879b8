"""The reference of tables and views as Markdown: `python -m thumbline_warehouse.reference > docs/warehouse.md`."""

from __future__ import annotations

import duckdb

from .migrate import documentation
from .schema import TABLES, quoted
from .views import VIEWS

_HEAD = """# Tables and views

Generated from the definitions in `warehouse/thumbline_warehouse/`. The same sentences are in the
warehouse: `thumbline query "FROM documentation"`.

Times are UTC. Ids are unique within a project, so a join names the project too.
"""


def reference() -> str:
    """The whole page."""
    with duckdb.connect() as db:
        types = _types(db)
        rows = documentation(db)
    parts = [_HEAD]
    names = [view.name for view in VIEWS] + [table.name for table in TABLES if table.name != "head"]
    for name in names:
        comment = next(c for o, column, c in rows if o == name and not column)
        parts.append(f"## {name}\n\n{comment}\n\n| column | type | meaning |\n| --- | --- | --- |")
        parts += [f"| `{c}` | {types[name][c]} | {text} |" for o, c, text in rows if o == name and c]
        parts.append("")
    return "\n".join(parts)


def _types(db: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    for table in TABLES:
        db.execute(f"CREATE TABLE {table.name} ({', '.join(f'{quoted(c.name)} {c.type}' for c in table.columns)})")
    for view in VIEWS:
        db.execute(f"CREATE VIEW {view.name} AS {view.sql}")
    found = db.execute("SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal").fetchall()
    types: dict[str, dict[str, str]] = {}
    for table_name, column, type_ in found:
        types.setdefault(table_name, {})[column] = type_
    return types


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - it is a page for standard output
