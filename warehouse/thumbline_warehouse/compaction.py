"""
Keeps files and catalog small while events land and others read.

DuckLake's own `merge_adjacent_files` and `flush_inlined_data` rewrite history in place: with a SQLite
catalog, a reader that meets them counts rows that are not there (measured with duckdb 1.5.5: a
`count(*)` of 0). So small files are merged as an ordinary transaction instead, which a reader sees
whole or not at all, and nothing is inlined, so there is nothing to flush.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import duckdb

from .connect import NAME

_log = logging.getLogger("thumbline.warehouse")

# A file above this is left alone; a merge stops at about this much.
_SMALL_BYTES: Final = 32 * 1024 * 1024
_MERGED_BYTES: Final = 64 * 1024 * 1024
# Fewer small files than this in a row are not worth reading again.
_MIN_FILES: Final = 8
_TABLES: Final = ("events", "loads", "quarantine", "conflicts")

_FILES: Final = f"""
SELECT f.file_size_bytes, s.min_value::BIGINT, s.max_value::BIGINT, f.path
FROM __ducklake_metadata_{NAME}.ducklake_data_file f
JOIN __ducklake_metadata_{NAME}.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_{NAME}.ducklake_column c
  ON c.table_id = f.table_id AND c.column_name = 'load_id' AND c.end_snapshot IS NULL
JOIN __ducklake_metadata_{NAME}.ducklake_file_column_stats s ON s.data_file_id = f.data_file_id AND s.column_id = c.column_id
WHERE t.table_name = ? AND f.end_snapshot IS NULL
ORDER BY 2, 3
"""


class _File(NamedTuple):
    """A data file and the loads whose rows it holds."""

    size: int
    first_load: int
    last_load: int
    name: str


def compact(db: duckdb.DuckDBPyConnection, keep_s: int, broken: Collection[str] = ()) -> None:
    """
    Merge small files, then remove what no reader of the last `keep_s` seconds can need.

    Steps that another process is in the way of are left for the next time.

    Args:
        db: a connection to the warehouse that may write.
        keep_s: seconds for which superseded snapshots and files stay.
        broken: paths of files that cannot be read: what lies between them is merged.
    """
    names = {path.rpartition("/")[2] for path in broken}
    for table in _TABLES:
        # As one that is too large is left alone.
        files = [file._replace(size=_MERGED_BYTES) if file.name in names else file for file in _files(db, table)]
        for run in _runs(files):
            with _left_for_next_time(db):
                _merge(db, table, run[0].first_load, run[-1].last_load)
    with _left_for_next_time(db):
        _remove_old(db, keep_s)


def _files(db: duckdb.DuckDBPyConnection, table: str) -> list[_File]:
    rows = db.execute(_FILES, [table]).fetchall()
    return [_File(size, first, last, path.rpartition("/")[2]) for size, first, last, path in rows]


def _runs(files: Sequence[_File]) -> Iterator[list[_File]]:
    """Small files of consecutive loads, to become one file each."""
    run: list[_File] = []
    for file in files:
        fits = file.size < _SMALL_BYTES and sum(f.size for f in run) + file.size <= _MERGED_BYTES
        # Loads that share a load with the next file cannot be told apart by load.
        if run and (not fits or file.first_load <= run[-1].last_load):
            if len(run) >= _MIN_FILES:
                yield run
            run = []
        if file.size < _SMALL_BYTES:
            run.append(file)
    if len(run) >= _MIN_FILES:
        yield run


def _merge(db: duckdb.DuckDBPyConnection, table: str, first: int, last: int) -> None:
    rows = f"load_id BETWEEN {first} AND {last}"
    db.execute("BEGIN")
    # Through a temporary table, which spills to disk where it must: a deleted row can no longer be
    # read in the same transaction, at an older version neither.
    db.execute(f"CREATE OR REPLACE TEMP TABLE merging AS SELECT * FROM {table} WHERE {rows}")
    (before,) = db.execute("SELECT count(*) FROM merging").fetchone() or (0,)
    # Deleting all rows of a file only marks the file as ended.
    db.execute(f"DELETE FROM {table} WHERE {rows}")
    db.execute(f"INSERT INTO {table} SELECT * FROM merging")
    db.execute("DROP TABLE merging")
    (after,) = db.execute(f"SELECT count(*) FROM {table} WHERE {rows}").fetchone() or (0,)
    if before != after:
        raise duckdb.TransactionException(f"{table}: {before} rows would become {after}; nothing was changed")
    db.execute("COMMIT")


def _remove_old(db: duckdb.DuckDBPyConnection, keep_s: int) -> None:
    # By their numbers: with a SQLite catalog `older_than` of duckdb 1.5.5 expires all but the last.
    (old,) = db.execute(
        f"SELECT list(snapshot_id) FROM (FROM ducklake_snapshots('{NAME}') ORDER BY snapshot_id DESC OFFSET 1) "
        f"WHERE snapshot_time < now() - INTERVAL {keep_s} SECONDS"
    ).fetchone() or (None,)
    if old:
        _run(db, f"ducklake_expire_snapshots('{NAME}', versions => {old})")
    # What expiring has set free was superseded at least `keep_s` ago.
    _run(db, f"ducklake_cleanup_old_files('{NAME}', cleanup_all => true)")
    # Left by loads that were killed before their commit; an hour is longer than any load takes.
    _run(db, f"ducklake_delete_orphaned_files('{NAME}', older_than => now() - INTERVAL 1 HOUR)")


def _run(db: duckdb.DuckDBPyConnection, call: str) -> None:
    # Counted, not fetched: the rows hold times that need a time zone library to become Python objects.
    db.execute(f"SELECT count(*) FROM {call}").fetchall()


@contextlib.contextmanager
def _left_for_next_time(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        _log.info("compaction step left for the next time: %s", error)
        with contextlib.suppress(duckdb.Error):
            # Fails where no transaction was open.
            db.execute("ROLLBACK")
