"""What is broken in the warehouse is named, waited for where it passes, and never taken for a bad record."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.disks import KINDS, small_disk
from tests.events import records, thumb
from tests.warehouse.conftest import LOG
from thumbline_warehouse import store as store_module
from thumbline_warehouse.connect import ConnectionSettings, connect
from thumbline_warehouse.errors import MemoryExceeded, WarehouseBusy, WarehouseDamaged, WarehouseDenied, WarehouseFull
from thumbline_warehouse.faults import is_conflict, named, translated
from thumbline_warehouse.store import DuckLakeStore, StoreSettings
from thumbline_warehouse.urls import WarehouseUrl

HARM: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "zeros": lambda whole: bytes(len(whole)),
    "cut": lambda whole: whole[: len(whole) // 2],
    "empty": lambda _: b"",
    "footer": lambda whole: whole[:-300] + os.urandom(292) + whole[-8:],
    "middle": lambda whole: whole[:4] + os.urandom(len(whole) - 404) + whole[-400:],
}


def harm(file: Path, how: str) -> bytes:
    whole = file.read_bytes()
    left = HARM[how](whole)
    file.unlink() if left is None else file.write_bytes(left)
    return whole


def files_of(url: WarehouseUrl, table: str) -> list[Path]:
    return sorted(Path(url.data_path).rglob(f"{table}/*.parquet"))


@pytest.mark.parametrize("how", HARM)
def test_a_damaged_file_is_named_and_what_does_not_need_it_goes_on(url: WarehouseUrl, how: str) -> None:
    with closing(DuckLakeStore(url)) as store:
        old = [thumb(f"a{i}", "up") for i in range(10)]
        store.land(LOG, [records(old)])
        (file,) = files_of(url, "events")
        whole = harm(file, how)

        # New ids: the file of the old ones is not opened.
        assert store.land(LOG, [records([thumb("new", "up")], 10)]).total("landed") == 1
        # An old one that comes again is looked up in it.
        with pytest.raises(WarehouseDamaged, match=f"{file.name}.*restore it from a copy"):
            store.land(LOG, [records([old[3]], 11)])
        with (
            closing(connect(url, read_only=True)) as db,
            pytest.raises(WarehouseDamaged, match=file.name),
            translated(url, db),
        ):
            db.execute("SELECT * FROM events").fetchall()
        assert store._db.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)

        file.write_bytes(whole)
        assert store.land(LOG, [records([old[3]], 11)]).total("duplicates") == 1
        assert store._db.execute("SELECT count(*) FROM events").fetchone() == (11,)


def test_compaction_goes_round_a_damaged_file(url: WarehouseUrl) -> None:
    with closing(DuckLakeStore(url, StoreSettings(keep_files_s=0))) as store:
        for i in range(30):
            store.land(LOG, [records([thumb(f"a{i}", "up")], i)])
        file = files_of(url, "events")[12]
        whole = harm(file, "missing")
        store.compact()
        assert len(files_of(url, "events")) < 10
        file.write_bytes(whole)
        assert store._db.execute("SELECT count(*), count(target_id) FROM events").fetchone() == (30, 30)


@contextmanager
def held(catalog: Path) -> Iterator[None]:
    """The catalog in the hands of another process."""
    code = (
        f"import sqlite3, sys; db = sqlite3.connect({str(catalog)!r}, isolation_level=None); "
        "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.communicate(b"")


BUSY: dict[str, Callable[[DuckLakeStore], object]] = {
    "register a log": lambda store: store.register_log("another", "kafka:t", 1),
    "land": lambda store: store.land(LOG, [records([thumb("b", "up")], 1)]),
}


@pytest.mark.parametrize("what", BUSY)
def test_a_busy_catalog_is_said_and_can_be_tried_again(
    url: WarehouseUrl, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_MAX_TRIES", 2)
    with closing(DuckLakeStore(url)) as store:
        store.land(LOG, [records([thumb("a", "up")])])
        assert url.catalog_file is not None
        with held(url.catalog_file), pytest.raises(WarehouseBusy, match="another process holds the catalog"):
            BUSY[what](store)
        BUSY[what](store)


def test_a_busy_catalog_at_the_start_is_said(url: WarehouseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_MAX_TRIES", 2)
    DuckLakeStore(url).close()
    assert url.catalog_file is not None
    with closing(connect(url)) as db:
        # As a warehouse of an older version, which is brought up to date at the start.
        db.execute("DELETE FROM documentation")
    with held(url.catalog_file), pytest.raises(WarehouseBusy, match="another process holds the catalog"):
        DuckLakeStore(url)
    DuckLakeStore(url).close()


def test_only_a_conflict_is_one() -> None:
    """Words decide only at the end of a bare error, and not what a query or a record quotes."""
    assert is_conflict(duckdb.TransactionException("whatever it says"))
    assert is_conflict(duckdb.Error("Failed to flush changes into DuckLake: database is locked"))
    for error in (
        duckdb.BinderException('Referenced column "conflict" not found'),
        duckdb.ConstraintException("ON CONFLICT: value 'database is locked' is not allowed"),
        duckdb.IOException('Cannot open file "/srv/conflict/a.parquet": No such file or directory'),
        duckdb.Error("Failed to probe: file is not a database"),
    ):
        assert not is_conflict(error), error


def no_database(catalog: Path) -> None:
    catalog.write_bytes(b"this is no database" * 1000)


def cut_short(catalog: Path) -> None:
    catalog.write_bytes(catalog.read_bytes()[: catalog.stat().st_size // 2])


def a_folder(catalog: Path) -> None:
    catalog.unlink()
    catalog.mkdir()


@pytest.mark.parametrize(
    ("how", "kind", "sentence"),
    [
        (no_database, WarehouseDamaged, "is damaged, or no catalog: restore it"),
        (cut_short, WarehouseDamaged, "is damaged, or no catalog: restore it"),
        (a_folder, WarehouseDenied, "may this user read and write it"),
    ],
    ids=["no database", "cut short", "a folder"],
)
def test_a_damaged_catalog_is_named(
    url: WarehouseUrl, how: Callable[[Path], None], kind: type[Exception], sentence: str
) -> None:
    DuckLakeStore(url).close()
    assert url.catalog_file is not None
    how(url.catalog_file)
    with pytest.raises(kind, match=sentence):
        DuckLakeStore(url)


def test_too_little_memory_names_our_setting(url: WarehouseUrl) -> None:
    DuckLakeStore(url).close()
    with closing(connect(url, read_only=True, settings=ConnectionSettings(memory_limit="60MB", threads=1))) as db:
        db.execute("SET temp_directory = ''")
        with pytest.raises(MemoryExceeded, match="THUMBLINE_MEMORY_LIMIT"), translated(url, db):
            db.execute("SELECT list(i ORDER BY hash(i)) FROM range(30_000_000) t(i)").fetchall()


def test_an_error_without_a_name_has_none(url: WarehouseUrl) -> None:
    with closing(DuckLakeStore(url)) as store:
        assert named(duckdb.BinderException("no such column"), url, store._db) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("full", ["catalog", "files"])
def test_a_full_disk_is_said_and_all_lands_when_there_is_room(tmp_path: Path, kind: str, full: str) -> None:
    with small_disk(kind, tmp_path / "disk", 16) as disk:
        folders: dict[str, Any] = {"catalog": tmp_path / "catalog", "files": tmp_path / "files", full: disk.folder}
        url = WarehouseUrl.parse(f"ducklake:{folders['catalog']}/catalog.sqlite?data_path={folders['files']}/data")
        with closing(DuckLakeStore(url)) as store:
            store.register_log(LOG, "sqlite:log", 1)
            store.land(LOG, [records([thumb("a", "up")])])
            disk.fill()
            many = [thumb(f"b{i}", "up", comment="x" * 500) for i in range(500)]
            for _ in range(3):
                with pytest.raises(WarehouseFull, match="is full: free some room"):
                    store.land(LOG, [records(many, 1)])
            disk.free_again()
            assert store.land(LOG, [records(many, 1)]).total("landed") == 500
            assert store._db.execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchone() == (501, 501)
            assert store._db.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
