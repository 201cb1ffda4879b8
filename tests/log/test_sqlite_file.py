"""The log's file deleted, moved, replaced or damaged while it is used: nothing is acknowledged that nobody reads."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.processes import wait_for
from thumbline_ingest.log import LogMissing, LogUnavailable, Record, SqliteLog
from thumbline_ingest.log.sqlite.writer import SqliteWriter

SUFFIXES = ("", "-wal", "-shm")


@pytest.fixture(autouse=True)
def gone_is_gone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that went stays away: not ten seconds in each test."""
    monkeypatch.setattr("thumbline_ingest.log.sqlite.writer._GONE_S", 1.0)


def values_in(log: SqliteLog) -> list[bytes]:
    """All that the log holds, as a reader finds it."""
    with closing(log.reader("m")) as reader:
        reader.poll(1, 1)
        reader.seek({0: log.bounds()[0].start})
        found: list[bytes] = []
        while chunks := reader.poll(0.1, 100_000).chunks:
            found += [value for chunk in chunks for value in chunk.values]
        return found


class Appending:
    """A thread that appends numbers, one a time, and notes those that were acknowledged."""

    def __init__(self, writer: SqliteWriter) -> None:
        self.acknowledged: list[bytes] = []
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Appending:
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_more(self) -> None:
        """Wait until more is acknowledged."""
        before = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) > before + 5, 15, "appends are acknowledged")

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            value = b"%d" % number
            try:
                self._writer.append([Record(b"k", value)])
            except LogUnavailable:
                self._stop.wait(0.01)
                continue
            number += 1
            self.acknowledged.append(value)


@pytest.mark.parametrize("with_its_others", [True, False])
def test_a_deleted_file_is_acknowledged_into_no_more(tmp_path: Path, with_its_others: bool) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer, Appending(writer) as appending:
        for suffix in SUFFIXES if with_its_others else ("",):
            Path(f"{log.path}{suffix}").unlink()
        gone_at = time.monotonic()
        wait_for(lambda: not is_well(writer), 2, "check says so")
        # What was under way may still be told, but nothing that was begun later.
        told = len(appending.acknowledged)
        wait_for(log.path.exists, 10, "a new log")
        assert time.monotonic() - gone_at > 0.5
        appending.wait_for_more()
        assert is_well(writer)
    assert values_in(log) == appending.acknowledged[told:]


def test_a_file_that_was_moved_takes_all_that_was_acknowledged_along(tmp_path: Path) -> None:
    log, elsewhere = SqliteLog(tmp_path / "log.sqlite"), SqliteLog(tmp_path / "moved.sqlite")
    with closing(log.writer()) as writer, Appending(writer) as appending:
        log.path.rename(elsewhere.path)
        wait_for(log.path.exists, 10, "a new log")
        appending.wait_for_more()
    # What was under way may be there too; it was not acknowledged, and was sent again.
    assert not set(appending.acknowledged) - set(values_in(elsewhere) + values_in(log))
    assert elsewhere.identity().id != log.identity().id


def test_a_file_that_comes_back_is_gone_on_with(tmp_path: Path) -> None:
    log, elsewhere = SqliteLog(tmp_path / "log.sqlite"), tmp_path / "moved.sqlite"
    with closing(log.writer()) as writer, Appending(writer) as appending:
        before = log.identity()
        log.path.rename(elsewhere)
        wait_for(lambda: not is_well(writer), 2, "check says so")
        elsewhere.rename(log.path)
        appending.wait_for_more()
        assert log.identity() == before
    assert not set(appending.acknowledged) - set(values_in(log))


def test_a_log_put_in_its_place_is_written_to(tmp_path: Path) -> None:
    log, other = SqliteLog(tmp_path / "log.sqlite"), SqliteLog(tmp_path / "other.sqlite")
    other.writer().close()
    theirs = other.identity().id
    with closing(log.writer()) as writer, Appending(writer) as appending:
        # The side files of the old one stay where they are, as `mv` leaves them.
        other.path.replace(log.path)
        appending.wait_for_more()
        assert log.identity().id == theirs
    assert values_in(log)
    # Above all not what the side files of the old one hold.
    assert values_in(log) == appending.acknowledged[-len(values_in(log)) :]


def test_no_log_is_made_where_the_folder_is_another_one(tmp_path: Path) -> None:
    """The disk was unmounted: the empty folder below is no place for events."""
    folder = tmp_path / "disk"
    folder.mkdir()
    log = SqliteLog(folder / "log.sqlite")
    with closing(log.writer()) as writer:
        writer.append([Record(b"k", b"1")])
        folder.rename(tmp_path / "unmounted")
        folder.mkdir()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            with pytest.raises(LogUnavailable, match="gone"):
                writer.append([Record(b"k", b"2")])
        with pytest.raises(LogUnavailable, match="is its disk mounted"):
            writer.check()
        assert not list(folder.iterdir())
        folder.rmdir()
        (tmp_path / "unmounted").rename(folder)
        writer.append([Record(b"k", b"3")])
    assert values_in(log) == [b"1", b"3"]


def test_a_file_that_goes_during_the_commit_is_not_acknowledged(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer:
        db = writer._file.open()
        # SQLite calls this while it carries a statement out.
        db.set_authorizer(lambda *_: move_away(log.path))
        with pytest.raises(LogUnavailable, match="during a commit"):
            writer.append([Record(b"k", b"1")])


def move_away(path: Path) -> int:
    if path.exists():
        path.rename(path.with_suffix(".moved"))
    return 0


LOOKING: dict[str, Any] = {
    "identity": lambda log: log.identity(),
    "bounds": lambda log: log.bounds(),
    "peek": lambda log: log.peek({0: 0}, 10),
    "reader": lambda log: log.reader("m"),
}


@pytest.mark.parametrize("what", LOOKING)
def test_who_only_looks_makes_no_log(tmp_path: Path, what: str) -> None:
    with pytest.raises(LogMissing, match="there is no log at"):
        LOOKING[what](SqliteLog(tmp_path / "log.sqlite"))
    assert not list(tmp_path.iterdir())


def is_well(writer: SqliteWriter) -> bool:
    try:
        writer.check()
    except LogUnavailable:
        return False
    return True
