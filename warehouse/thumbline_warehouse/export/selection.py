"""From `rows` to `plan`: duplicates, caps and balance, each by the seed's draw."""

from __future__ import annotations

import duckdb

from .options import ExportOptions


def apply_caps(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> None:
    """Give a reason to the rows that a cap or the balance leaves out; the seed draws which."""
    filters = options.filters
    if filters.max_per_conversation:
        _cap(db, "conversation", filters.max_per_conversation, "conversation_cap")
    if filters.max_per_prompt:
        _cap(db, "prompt_hash", filters.max_per_prompt, "prompt_cap")
    if options.balance and options.kind == "kto":
        up, down = db.execute(
            "SELECT count(*) FILTER (label), count(*) FILTER (NOT label) FROM rows WHERE reason IS NULL"
        ).fetchone() or (0, 0)
        _cap(db, "label", max(1, int(min(up, down) * options.balance)), "balance")


def make_plan(db: duckdb.DuckDBPyConnection) -> None:
    """Make `plan`, the rows that stay, numbered 0..n-1 in `row`; `split` is 0, train, until splits are drawn."""
    db.execute(
        "CREATE OR REPLACE TEMP TABLE plan AS SELECT row_number() OVER () - 1 AS row, 0::UTINYINT AS split, "
        "* EXCLUDE (reason) FROM rows WHERE reason IS NULL"
    )


def _cap(db: duckdb.DuckDBPyConnection, key: str, cap: int, reason: str) -> None:
    db.execute(
        f"UPDATE rows SET reason = '{reason}' WHERE reason IS NULL AND row_key IN (SELECT row_key FROM rows "
        f"WHERE reason IS NULL QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY shuffle, row_key) > {cap})"
    )
