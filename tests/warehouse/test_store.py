"""Transactions, fencing, compaction, readers beside a writer, snapshots into a file."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.events import records, thumb
from tests.warehouse.conftest import LOG
from thumbline_warehouse.connect import connect
from thumbline_warehouse.copy import copy_to_file
from thumbline_warehouse.errors import Fenced, LogChanged
from thumbline_warehouse.store import DuckLakeStore, StoreSettings
from thumbline_warehouse.urls import WarehouseUrl


def test_two_loaders_of_different_partitions_keep_one_id_single(url: WarehouseUrl) -> None:
    """The same event in two partitions, landed by two loaders at the same time."""
    stores = [DuckLakeStore(url), DuckLakeStore(url)]
    shared = [[thumb(f"s{i}-{j}", "up") for j in range(20)] for i in range(15)]
    go = threading.Barrier(2)

    def land(number: int) -> None:
        position = 0
        for events in shared:
            go.wait()
            mine = [*events, thumb(f"own-{number}", "up")]
            stores[number].land(LOG, [records(mine, position, partition=number)])
            position += len(mine)

    threads = [threading.Thread(target=land, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with closing(connect(url, read_only=True)) as db:
        rows, ids = db.execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchone()
        assert rows == ids == 15 * 20 + 2 * 15
        assert db.execute("SELECT sum(records), sum(landed), sum(duplicates) FROM loads").fetchone() == (630, 330, 300)
        loads = [load for (load,) in db.execute("SELECT DISTINCT load_id FROM loads ORDER BY 1").fetchall()]
        assert loads == list(range(1, 31))
    for store in stores:
        store.close()


def test_a_loader_that_was_overtaken_is_fenced(url: WarehouseUrl) -> None:
    old, new = DuckLakeStore(url), DuckLakeStore(url)
    old.land(LOG, [records([thumb("a", "up")])])
    new.land(LOG, [records([thumb("b", "up")], 1)])

    with pytest.raises(Fenced) as fenced:
        old.land(LOG, [records([thumb("b2", "up")], 1)])

    assert fenced.value.positions == {0: 2}
    old.land(LOG, [records([thumb("c", "up")], 2)])
    old.close()
    new.close()


def test_a_changed_log_is_refused_until_it_is_accepted(store: DuckLakeStore) -> None:
    store.register_log("id-1", "kafka:t", 4)
    store.register_log("id-1", "kafka:t", 6)
    with pytest.raises(LogChanged, match="partitions"):
        store.register_log("id-1", "kafka:t", 4)
    with pytest.raises(LogChanged, match="--accept-new-log"):
        store.register_log("id-2", "kafka:t", 6)
    store.register_log("id-2", "kafka:t", 6, accept_new=True)
    store.register_log("id-2", "kafka:t", 6)


def test_compaction_keeps_rows_and_makes_files_few(url: WarehouseUrl) -> None:
    with closing(DuckLakeStore(url, StoreSettings(keep_files_s=0))) as store:
        for i in range(60):
            store.land(LOG, [records([thumb(f"a{i}-{j}", "up") for j in range(20)], i * 20)])
        before = len(list(Path(url.data_path).rglob("*.parquet")))
        ids = store._db.execute("SELECT event_id FROM events ORDER BY 1").fetchall()

        store.compact()
        store.compact()

        assert store._db.execute("SELECT event_id FROM events ORDER BY 1").fetchall() == ids
        assert before >= 60
        assert len(list(Path(url.data_path).rglob("*.parquet"))) < 15
        snapshots = store._db.execute("SELECT count(*) FROM ducklake_snapshots('thumbline')").fetchone()
        assert snapshots is not None
        assert snapshots[0] < 10
        store.land(LOG, [records([thumb("after", "up")], 1_200)])
        assert store.positions(LOG) == {0: 1_201}


def test_a_reader_is_never_in_the_way_and_always_consistent(url: WarehouseUrl) -> None:
    with closing(DuckLakeStore(url)) as store, closing(connect(url, read_only=True)) as reader:
        for i in range(20):
            store.land(LOG, [records([thumb(f"a{i}-{j}", "up") for j in range(50)], i * 50)])
            rows, position, load = reader.execute(
                "SELECT (SELECT count(*) FROM events), (SELECT max(next_position) FROM loads), (SELECT load_id FROM head)"
            ).fetchone()
            assert (rows, position, load) == ((i + 1) * 50, (i + 1) * 50, i + 1)


def test_a_reader_cannot_write_and_does_not_make_a_warehouse(url: WarehouseUrl) -> None:
    with pytest.raises(FileNotFoundError, match="no warehouse"):
        connect(url, read_only=True)
    DuckLakeStore(url).close()
    with closing(connect(url, read_only=True)) as db, pytest.raises(duckdb.Error, match="read-only"):
        db.execute("DELETE FROM events")


def test_a_snapshot_file_opens_in_plain_duckdb_with_comments(
    store: DuckLakeStore, url: WarehouseUrl, tmp_path: Path
) -> None:
    store.land(LOG, [records([thumb("a", "up"), thumb("b", "down")])])
    with closing(connect(url, read_only=True)) as db:
        assert copy_to_file(db, tmp_path / "s.duckdb") == 1
    with closing(duckdb.connect(str(tmp_path / "s.duckdb"), read_only=True)) as db:
        assert db.execute("SELECT count(*) FROM current_votes").fetchone() == (2,)
        missing = db.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
        ).fetchall()
        assert missing == []


def test_opening_again_changes_nothing(url: WarehouseUrl) -> None:
    DuckLakeStore(url).close()
    with closing(connect(url, read_only=True)) as db:
        before = db.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('thumbline')").fetchone()
    DuckLakeStore(url).close()
    with closing(connect(url, read_only=True)) as db:
        assert db.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('thumbline')").fetchone() == before
