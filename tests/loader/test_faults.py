"""The loader where something is broken: it goes on by itself, or ends with one sentence."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.disks import KINDS, small_disk
from tests.events import log_records, random_thumbs, thumb
from tests.processes import Process, wait_for
from thumbline_ingest.loader import Loader, LoaderSettings
from thumbline_ingest.log import LogMisconfigured, LogMissing, MemoryLog, SqliteLog
from thumbline_warehouse.connect import connect
from thumbline_warehouse.errors import LogChanged, WarehouseDamaged
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl


@pytest.fixture
def url(tmp_path: Path) -> WarehouseUrl:
    return WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")


@pytest.fixture
def store(url: WarehouseUrl) -> Iterator[DuckLakeStore]:
    with closing(DuckLakeStore(url)) as made:
        yield made


@pytest.fixture(autouse=True)
def gone_is_gone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that went stays away: not ten seconds in each test."""
    monkeypatch.setattr("thumbline_ingest.log.sqlite.writer._GONE_S", 1.0)


def load(log, store, **settings: object) -> None:
    """Land what is there; ended after a while even where a fault would keep it for ever."""
    stop, hung = threading.Event(), threading.Event()
    end = threading.Timer(30, lambda: (hung.set(), stop.set()))
    end.start()
    try:
        Loader(log, store, LoaderSettings(max_batch_age_s=0.2, **settings)).run(stop, until_empty=True)
    finally:
        end.cancel()
    assert not hung.is_set(), "it did not end by itself"


def test_a_gap_before_an_empty_log_is_a_row_at_once(tmp_path: Path, store: DuckLakeStore) -> None:
    """No record comes after it that it could be counted with."""
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer:
        writer.append(log_records(random_thumbs(10)))
        load(log, store)
        writer.append(log_records(random_thumbs(20, seed=1)))
        with closing(sqlite3.connect(log.path)) as db, db:
            db.execute("DELETE FROM batches")

        with pytest.raises(LogChanged, match="20 records were dropped unread"):
            load(log, store)
        load(log, store, accept_gap=True)
        assert lost(store) == (10, 20, 30)

        writer.append(log_records(random_thumbs(5, seed=2)))
        load(log, store)
        assert lost(store) == (15, 20, 35)


def lost(store: DuckLakeStore) -> tuple[int, int, int]:
    found = store._db.execute("SELECT sum(landed), sum(lost), max(next_position) FROM loads").fetchone()
    return found[0], found[1], found[2]


def test_a_damaged_log_ends_it_with_a_sentence(tmp_path: Path, store: DuckLakeStore) -> None:
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"this is no database" * 1_000)
    with pytest.raises(LogMisconfigured, match="is damaged, or no log .* the collector then begins a new one"):
        load(SqliteLog(path), store)


def test_a_log_whose_records_are_damaged_ends_it_too(tmp_path: Path, store: DuckLakeStore) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer:
        for seed in range(20):
            writer.append(log_records(random_thumbs(100, seed=seed)))
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:65_536] + b"\xff" * (len(whole) - 65_536))
    with pytest.raises(LogMisconfigured, match="is damaged"):
        load(log, store)


def test_no_log_ends_it_where_it_would_wait_for_ever(tmp_path: Path, store: DuckLakeStore) -> None:
    with pytest.raises(LogMissing, match="there is no log at"):
        load(SqliteLog(tmp_path / "log.sqlite"), store)
    assert not (tmp_path / "log.sqlite").exists()


def test_what_a_deleted_log_still_held_lands_before_it_is_said(
    tmp_path: Path, store: DuckLakeStore, url: WarehouseUrl
) -> None:
    log, stop = SqliteLog(tmp_path / "log.sqlite"), threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        settings = LoaderSettings(max_batch_age_s=0.1, check_interval_s=0.2, max_batch_records=50)
        try:
            Loader(log, store, settings).run(stop)
        except LogChanged as error:
            failed.append(error)

    with closing(log.writer()) as writer:
        writer.append(log_records([thumb("first", "up")]))
        thread = threading.Thread(target=work)
        thread.start()
        wait_for(lambda: rows(url) == 1, what="the loader lands")
        writer.append(log_records(random_thumbs(500)))
        log.path.unlink()
        wait_for(lambda: takes(writer), 10, "a new log")
        thread.join(30)
        stop.set()
    assert len(failed) == 1
    assert store._db.execute("SELECT count(*) FROM events WHERE target_id != 'new'").fetchone() == (501,)


def takes(writer) -> bool:
    try:
        writer.append(log_records([thumb("new", "up")]))
    except Exception:  # noqa: BLE001 - not yet
        return False
    return True


def test_a_damaged_file_is_waited_for_and_ends_one_that_is_to_end(
    tmp_path: Path, store: DuckLakeStore, url: WarehouseUrl, caplog: pytest.LogCaptureFixture
) -> None:
    log, old = MemoryLog(), random_thumbs(10)
    log.writer().append(log_records(old))
    load(log, store)
    (file,) = Path(url.data_path).rglob("events/*.parquet")
    whole = file.read_bytes()
    file.unlink()
    # Comes again, so it is looked up in the file.
    log.writer().append(log_records(old[:1]))
    log.release("loader-0")
    with pytest.raises(WarehouseDamaged, match=f"{file.name}.*restore it"):
        load(log, store)

    log.release("loader-0")
    stop = threading.Event()
    thread = threading.Thread(target=Loader(log, store, LoaderSettings(max_batch_age_s=0.1)).run, args=(stop,))
    thread.start()
    wait_for(lambda: file.name in caplog.text, what="said")
    file.write_bytes(whole)
    wait_for(lambda: rows(url, "SELECT sum(duplicates) FROM loads") == 1, 15, "goes on by itself")
    stop.set()
    thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_loader_goes_on_when_its_full_disk_has_room_again(tmp_path: Path, kind: str) -> None:
    with small_disk(kind, tmp_path / "disk", 24) as disk:
        home = tmp_path / "home"
        home.mkdir()
        warehouse = WarehouseUrl.parse(f"ducklake:{disk.folder}/catalog.sqlite")
        settings = {"warehouse": f"ducklake:{disk.folder}/catalog.sqlite", "max_batch_age_s": 0.1}
        with closing(SqliteLog(home / "log.sqlite").writer()) as writer:
            disk.fill()
            with Process(home, "load", **settings) as loader:
                # Full when it starts, and full again under way.
                writer.append(log_records(random_thumbs(500)))
                wait_for(lambda: "is full: free some room" in loader.output(), what="said")
                disk.free_again()
                wait_for(lambda: rows(warehouse) == 500, 40, "landed")
                disk.fill()
                said = loader.output().count("is full: free some room")
                writer.append(log_records(random_thumbs(2_000, seed=1)))
                wait_for(lambda: loader.output().count("is full: free some room") > said, what="said again")
                disk.free_again()
                wait_for(lambda: rows(warehouse) == 2_500, 40, "all landed")
                assert loader.popen.poll() is None
                assert "Traceback" not in loader.output()


def rows(url: WarehouseUrl, sql: str = "SELECT count(*) FROM events") -> int:
    try:
        with closing(connect(url, read_only=True)) as db:
            return int(db.execute(sql).fetchall()[0][0])
    except Exception:  # noqa: BLE001 - not yet
        return -1
