"""A plain DuckDB file of the warehouse, for tools that know no DuckLake."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from .connect import NAME
from .migrate import documentation
from .schema import TABLES, quoted
from .views import VIEWS

_COPY = "copy"

# All times are in UTC and without a zone, and a file cannot say which zone it is to be read in: DuckDB would take
# them for local ones beside its own now(). So in this file now() and its kin are in UTC and without a zone, too.
_UTC_NOW: Final = "make_timestamp(epoch_us(system.main.get_current_timestamp()))"
_NOW: Final = ("now", "current_timestamp", "get_current_timestamp", "transaction_timestamp")
_TODAY: Final = ("today", "current_date")


def copy_to_file(db: duckdb.DuckDBPyConnection, file: Path) -> int:
    """
    Copy all tables and views, with their comments, into a new DuckDB file.

    In the file `now()`, `today()` and their kin are in UTC, like all of its times.

    Args:
        db: a connection to the warehouse.
        file: the file to make.

    Returns:
        The last load that is in it.
    """
    db.execute(f"ATTACH '{str(file).replace(chr(39), chr(39) * 2)}' AS {_COPY}")
    try:
        # One transaction: all tables are of the same moment.
        db.execute("BEGIN")
        for table in TABLES:
            db.execute(f"CREATE TABLE {_COPY}.{table.name} AS SELECT * FROM {NAME}.main.{table.name}")
        db.execute("COMMIT")
        db.execute(f"USE {_COPY}")
        for name in _NOW:
            db.execute(f"CREATE MACRO {name}() AS {_UTC_NOW}")
        for name in _TODAY:
            db.execute(f"CREATE MACRO {name}() AS {_UTC_NOW}::DATE")
        for view in VIEWS:
            db.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        for name, column, comment in documentation(db):
            text = comment.replace("'", "''")
            if column:
                db.execute(f"COMMENT ON COLUMN {name}.{quoted(column)} IS '{text}'")
            else:
                what = "VIEW" if name in {view.name for view in VIEWS} else "TABLE"
                db.execute(f"COMMENT ON {what} {name} IS '{text}'")
        (load_id,) = db.execute("SELECT load_id FROM head").fetchone() or (0,)
    finally:
        db.execute(f"USE {NAME}")
        db.execute(f"DETACH {_COPY}")
    return int(load_id)
