"""What only the SQLite log does: durability by the commit, trimming, its files."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.processes import wait_for
from thumbline_ingest.log import LogMisconfigured, LogUnavailable, Record, SqliteLog, open_log
from thumbline_ingest.log.sqlite.file import connect
from thumbline_ingest.log.sqlite.trim import _end_of_next


def test_acknowledged_records_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    script = textwrap.dedent(f"""
        from thumbline_ingest.log import Record, SqliteLog
        writer = SqliteLog({str(path)!r}).writer()
        n = 0
        while True:
            writer.append([Record(b"k", b"%d" % (n + i)) for i in range(10)])
            n += 10
            print(n, flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    acknowledged = int([*lines, *process.stdout.read().splitlines()][-1])
    process.wait()
    process.stdout.close()

    reader = SqliteLog(path).reader("m")
    reader.poll(0, 1)
    reader.seek({0: 0})
    (chunk,) = reader.poll(1, 1_000_000).chunks
    reader.close()

    # A batch more may be there than was acknowledged; none less, none twice, none torn.
    assert list(map(int, chunk.values)) == list(range(len(chunk.values)))
    assert len(chunk.values) >= acknowledged >= 500


def test_what_has_landed_is_dropped_and_positions_go_on(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    writer = log.writer()
    for _ in range(10):
        writer.append([Record(b"k", b"x" * 1_000)] * 100)
    reader = log.reader("m")
    reader.poll(0, 1)
    reader.landed({0: 950})
    wait_for(lambda: log.bounds()[0].start > 0, what="dropped")

    held = log.bounds()[0]

    # The row that holds position 950 stays whole.
    assert (held.start, held.end) == (900, 1_000)
    writer.append([Record(b"k", b"next")])
    assert log.bounds()[0].end == 1_001
    reader.close()
    writer.close()


def test_reading_from_before_the_start_says_where_records_really_are(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    writer, reader = log.writer(), log.reader("m")
    writer.append([Record(b"k", b"%d" % i) for i in range(10)])
    writer.append([Record(b"k", b"%d" % i) for i in range(10, 20)])
    reader.poll(0, 1)
    reader.landed({0: 10})
    wait_for(lambda: log.bounds()[0].start == 10, what="dropped")
    reader.seek({0: 3})

    (chunk,) = reader.poll(1, 100).chunks

    assert (chunk.first, chunk.positions[0], chunk.values[0]) == (3, 10, b"10")
    reader.close()
    writer.close()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogMisconfigured, match="does its folder exist"):
        SqliteLog(tmp_path / "no" / "log.sqlite").writer()


@pytest.mark.parametrize("url", ["", "http://x", "sqlite:", "kafka://host", "kafka://host/topic?color=red"])
def test_a_bad_url_says_what_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="THUMBLINE_LOG"):
        open_log(url)


def test_nobody_takes_a_commit_that_another_broke_off_for_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Appends that shared a commit fail together, whatever it failed of."""
    log = SqliteLog(tmp_path / "log.sqlite")
    writer = log.writer()
    entered, go = threading.Barrier(3), threading.Event()
    real = writer._commit_waiting

    def slow() -> None:
        go.wait(5)
        real()

    write, failures = writer._write, [1]

    def broken(batch: Any) -> None:
        if failures:
            failures.pop()
            raise MemoryError
        write(batch)

    monkeypatch.setattr(writer, "_commit_waiting", slow)
    monkeypatch.setattr(writer, "_write", broken)
    outcomes: list[object] = []

    def append() -> None:
        entered.wait()
        try:
            outcomes.append(writer.append([Record(b"k", b"v")]))
        except (MemoryError, LogUnavailable) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=append) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    go.set()
    for thread in threads:
        thread.join()

    assert all(isinstance(outcome, BaseException) for outcome in outcomes)
    assert log.bounds()[0].end == 0
    writer.close()


def test_one_poll_brings_a_bounded_number_of_bytes(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    writer, reader = log.writer(), log.reader("m")
    for _ in range(40):
        writer.append([Record(b"k", b"x" * 800_000)])
    reader.poll(0, 1)
    reader.seek({0: 0})
    (chunk,) = reader.poll(1, 10_000).chunks
    assert sum(map(len, chunk.values)) < 20 * 1024 * 1024
    reader.close()
    writer.close()


def test_dropping_what_has_landed_touches_only_that(tmp_path: Path) -> None:
    """Each second, under the write lock: what is still to land must not be read for it."""
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer:
        for _ in range(500):
            writer.append([Record(b"k", b"x" * 20_000)] * 5)
    db = connect(log.path)
    steps = [0]
    db.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 1) or 0, 10)
    assert _end_of_next(db, 12) == 10
    assert _end_of_next(db, 4) is None
    db.execute("DELETE FROM batches WHERE position < 10")
    # In tens of SQLite's instructions: some for each row that goes, none for those that stay.
    assert steps[0] < 50
    db.close()


def test_a_log_is_trimmed_although_nothing_lands_any_more(tmp_path: Path) -> None:
    """A reader that begins where all is landed: what a reader before it could not drop, it does."""
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer:
        for _ in range(300):
            writer.append([Record(b"k", b"x" * 100_000)])
        with closing(log.reader("m")) as reader:
            reader.poll(0, 1)
            reader.seek({0: 300})
            wait_for(lambda: log.bounds()[0].start == 300, what="dropped")
            wait_for(lambda: size_of(log.path) < 1_000_000, what="given back to the disk")


def size_of(path: Path) -> int:
    return sum(Path(f"{path}{suffix}").stat().st_size for suffix in ("", "-wal"))
