"""A warehouse is where its URL says, however it came there; and a URL says one thing or is refused."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.events import records, thumb
from tests.warehouse.conftest import LOG
from thumbline_warehouse.connect import ConnectionSettings, attach_statements, connect
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl


def _url(folder: Path) -> WarehouseUrl:
    return WarehouseUrl.parse(f"ducklake:{folder}/catalog.sqlite")


def _land(url: WarehouseUrl, *targets: str) -> None:
    with closing(DuckLakeStore(url)) as store:
        first = store.positions(LOG).get(0, 0)
        store.land(LOG, [records([thumb(target, "up") for target in targets], first)])


def _targets(url: WarehouseUrl) -> list[str]:
    with closing(connect(url, read_only=True)) as db:
        return [target for (target,) in db.execute("SELECT target_id FROM thumbs ORDER BY 1").fetchall()]


@pytest.mark.parametrize("how", ["moved", "copied", "linked", "named with dots", "restored"])
def test_a_folder_that_came_to_another_place_is_read_and_loaded_on(tmp_path: Path, how: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    _land(_url(old), "a", "b")
    if how == "moved":
        shutil.move(old, new)
    elif how == "copied":
        shutil.copytree(old, new)
    elif how == "linked":
        new.symlink_to(old)
    elif how == "named with dots":
        new = old / ".." / "old"
    else:
        shutil.make_archive(str(tmp_path / "saved"), "tar", old)
        shutil.rmtree(old)
        shutil.unpack_archive(tmp_path / "saved.tar", new)

    assert _targets(_url(new)) == ["a", "b"]
    _land(_url(new), "c")
    assert _targets(_url(new)) == ["a", "b", "c"]
    # What `thumbline attach` prints works in a DuckDB of one's own.
    with closing(duckdb.connect()) as db:
        for statement in attach_statements(_url(new)):
            db.execute(statement)
        assert db.execute("SELECT count(*) FROM thumbs").fetchone() == (3,)


def test_the_files_may_move_without_the_catalog(tmp_path: Path) -> None:
    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/catalog.sqlite?data_path={tmp_path}/files")
    _land(url, "a")
    shutil.move(tmp_path / "files", tmp_path / "other")
    moved = WarehouseUrl.parse(f"ducklake:{tmp_path}/catalog.sqlite?data_path={tmp_path}/other")
    assert _targets(moved) == ["a"]


def test_a_copy_made_while_events_land_is_a_warehouse(tmp_path: Path) -> None:
    """The catalog first, as the guide says: what it names is in the folder of files that is copied after it."""
    source, copied = tmp_path / "source", tmp_path / "copied"
    _land(_url(source), "first")
    stop, landed = threading.Event(), threading.Event()

    def load() -> None:
        with closing(DuckLakeStore(_url(source))) as store:
            position = store.positions(LOG)[0]
            while not stop.is_set():
                store.land(LOG, [records([thumb(f"t{position}", "up")], position)])
                position += 1
                landed.set()

    loader = threading.Thread(target=load)
    loader.start()
    try:
        assert landed.wait(30)
        copied.mkdir()
        # One consistent catalog, whatever is written meanwhile; then the files.
        import sqlite3

        with (
            closing(sqlite3.connect(source / "catalog.sqlite")) as one,
            closing(sqlite3.connect(copied / "catalog.sqlite")) as other,
        ):
            one.backup(other)
        shutil.copytree(source / "data", copied / "data")
    finally:
        stop.set()
        loader.join()

    before = _targets(_url(copied))
    assert "first" in before
    assert set(before) <= set(_targets(_url(source)))
    _land(_url(copied), "own")
    assert _targets(_url(copied)) == sorted([*before, "own"])


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ducklake:postgresql://host/lake", "'postgresql:' is no catalog of a warehouse; there are ducklake:PATH"),
        ("ducklake:mysql:db=lake", "'mysql:' is no catalog"),
        ("ducklake:duckdb:lake.duckdb", "'duckdb:' is no catalog"),
        ("ducklake:md:lake", "'md:' is no catalog"),
        ("ducklake:SQLITE:lake.sqlite", "'SQLITE:' is no catalog"),
        ("ducklake:", "the catalog has no path"),
        ("ducklake:sqlite:", "the catalog has no path"),
        ("ducklake:postgres:dbname=lake", r"a PostgreSQL catalog needs \?data_path=FOLDER"),
        ("ducklake:lake.sqlite?data_path=s3://bucket/lake", "data_path 's3:' is no folder of this machine"),
        ("ducklake:lake.sqlite?data_path=", "data_path is empty"),
        ("ducklake:lake.sqlite?path=x", "'path' is no setting; there is data_path"),
        ("ducklake:lake.sqlite?x", "what follows '\\?' is no setting"),
        ("lake.sqlite", "a warehouse is ducklake:PATH"),
        ("duckdb:lake.duckdb", "a warehouse is ducklake:PATH"),
    ],
)
def test_a_url_that_says_something_else_is_refused_with_what_there_is(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"THUMBLINE_WAREHOUSE: .*{sentence}"):
        WarehouseUrl.parse(url)


def test_what_does_not_fit_is_spilled_where_it_may_be_and_nothing_of_it_stays(tmp_path: Path, monkeypatch) -> None:
    """Not into the working folder, which may be read-only; and no two connections write the same files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "spill"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "spill").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    _land(_url(tmp_path / "home"), "a")
    settings = ConnectionSettings(memory_limit="60MB", threads=1)
    with closing(connect(_url(tmp_path / "home"), read_only=True, settings=settings)) as db:
        sorted_ = "SELECT count(*) FROM (SELECT md5(i::VARCHAR) AS x FROM range(2000000) t(i) ORDER BY x OFFSET 10)"
        assert db.execute(sorted_).fetchone() == (1_999_990,)
        assert len(list((tmp_path / "spill").glob("thumbline-*"))) == 1
    assert list((tmp_path / "work").iterdir()) == []
    assert list((tmp_path / "spill").iterdir()) == []


def test_a_path_with_a_colon_further_on_is_a_path(tmp_path: Path) -> None:
    assert WarehouseUrl.parse(f"ducklake:{tmp_path}/a:b.sqlite").catalog_file == tmp_path / "a:b.sqlite"
