"""The log's disk full and free again: it stops in time, drops what has landed, and goes on by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.disks import KINDS, Disk, small_disk
from tests.processes import wait_for
from thumbline_ingest.log import LogUnavailable, Record, SqliteLog
from thumbline_ingest.log.base import LogWriter

TEXT = b"x" * 10_000


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with small_disk(request.param, tmp_path / "disk", 12) as made:
        yield made


def append_until_refused(writer: LogWriter) -> int:
    count = 0
    while True:
        try:
            writer.append([Record(b"k", TEXT)])
        except LogUnavailable:
            return count
        count += 1


def takes(writer: LogWriter) -> bool:
    try:
        writer.check()
        writer.append([Record(b"k", TEXT)])
    except LogUnavailable:
        return False
    return True


def read_all(log: SqliteLog, count: int) -> None:
    """As a loader with room of its own: read, then say that all is landed."""
    with closing(log.reader("m")) as reader:
        reader.poll(0, 1)
        reader.seek({0: 0})
        landed = 0
        while landed < count:
            for chunk in reader.poll(5, 10_000).chunks:
                landed = chunk.next
        reader.landed({0: landed})
        wait_for(lambda: log.bounds()[0].start == landed, 20, "dropped")
        wait_for(lambda: size_of(log.path) < 2_000_000, 20, "given back to the disk")


def size_of(path: Path) -> int:
    return sum(Path(f"{path}{suffix}").stat().st_size for suffix in ("", "-wal"))


def test_it_stops_before_the_disk_is_full_and_goes_on_when_all_has_landed(disk: Disk) -> None:
    log = SqliteLog(disk.folder / "log.sqlite")
    with closing(log.writer()) as writer:
        taken = append_until_refused(writer)
        assert disk.free > 250_000
        with pytest.raises(LogUnavailable, match="kept for the loader"):
            writer.check()
        assert log.bounds()[0].end == taken > 300
        read_all(log, taken)
        assert takes(writer)


def test_a_disk_that_others_have_filled_is_no_end(disk: Disk) -> None:
    log = SqliteLog(disk.folder / "log.sqlite")
    with closing(log.writer()) as writer:
        with closing(log.reader("m")):
            wait_for((disk.folder / "log.sqlite.reserve").exists, 10, "something is kept in reserve")
        taken = 0
        while taken < 400:
            writer.append([Record(b"k", TEXT)])
            taken += 1
        disk.fill()
        assert not takes(writer)
        read_all(log, taken)
        # Nobody has freed anything but the log.
        assert takes(writer)
        disk.free_again()
        assert append_until_refused(writer) > 300


def test_a_full_disk_that_is_freed_takes_again(disk: Disk) -> None:
    log = SqliteLog(disk.folder / "log.sqlite")
    with closing(log.writer()) as writer:
        writer.append([Record(b"k", TEXT)])
        disk.fill()
        assert not takes(writer)
        disk.free_again()
        assert takes(writer)
        assert log.bounds()[0].end == 2
    with closing(sqlite3.connect(log.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
