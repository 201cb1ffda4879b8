"""Faults that have a name: one line, an exit status of its own, and no traceback, whatever the command."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.events import log_records, random_thumbs
from tests.processes import run
from thumbline_ingest.cli import faults
from thumbline_ingest.log import SqliteLog

AWAY = "kafka://127.0.0.1:1/topic"


@pytest.fixture
def filled(home: Path) -> Path:
    with closing(SqliteLog(home / "log.sqlite").writer()) as writer:
        writer.append(log_records(random_thumbs(10)))
    run(home, "load", "--until-empty")
    return home


def said(home: Path, *arguments: str, status: int, **settings: object) -> str:
    """The one line that a command ends with."""
    done = run(home, *arguments, check=False, **settings)
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (status, 1), (arguments, done)
    assert done.stderr.startswith("thumbline: ")
    return done.stderr


@pytest.mark.parametrize("command", [["collect"], ["status"], ["topic", "create"], ["topic", "describe"]])
def test_a_kafka_that_is_away(home: Path, command: list[str]) -> None:
    assert "127.0.0.1:1/topic" in said(home, *command, status=10, log=AWAY)


def test_an_import_into_a_log_that_takes_nothing(home: Path, tmp_path: Path) -> None:
    run(home, "keys", "create", "--project", "demo")
    file = tmp_path / "votes.jsonl"
    file.write_text('{"prompt": "q", "chosen": "a", "rejected": "b"}\n')
    command = ["import", str(file), "--map", "pairs", "--project", "demo"]
    assert "127.0.0.1:1/topic" in said(home, *command, status=10, log=AWAY)
    (home / "log.sqlite").write_bytes(b"this is no database" * 1_000)
    assert "move it and its -wal and -shm files away" in said(home, *command, status=12)


def test_a_log_that_is_not_there(home: Path) -> None:
    assert "`thumbline collect` or `thumbline up` makes it" in said(home, "load", "--until-empty", status=11)


@pytest.mark.parametrize("command", [["collect"], ["load"], ["load", "--until-empty"], ["status"]])
def test_a_damaged_log(home: Path, command: list[str]) -> None:
    (home / "log.sqlite").write_bytes(b"this is no database" * 1_000)
    assert "move it and its -wal and -shm files away" in said(home, *command, status=12)


def test_a_log_that_is_another_one(filled: Path) -> None:
    for file in filled.glob("log.sqlite*"):
        file.unlink()
    SqliteLog(filled / "log.sqlite").writer().close()
    assert "--accept-new-log" in said(filled, "load", "--until-empty", status=13)


READING = (["status"], ["query", "FROM events"], ["export", "kto", "--out", "x"], ["snapshot", "s.duckdb"])


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_data_file_that_is_missing(filled: Path, command: list[str], tmp_path: Path) -> None:
    (file,) = (filled / "warehouse" / "data").rglob("events/*.parquet")
    file.unlink()
    command = [str(tmp_path / part) if part in ("x", "s.duckdb") else part for part in command]
    line = said(filled, *command, status=22)
    assert file.name in line
    assert "restore it from a copy" in line


@pytest.mark.parametrize("command", [*READING, ["load"]], ids=lambda command: command[0])
def test_a_damaged_catalog(filled: Path, command: list[str], tmp_path: Path) -> None:
    for file in (filled / "warehouse").glob("catalog.sqlite*"):
        file.unlink()
    (filled / "warehouse" / "catalog.sqlite").write_bytes(b"this is no database" * 1_000)
    command = [str(tmp_path / part) if part in ("x", "s.duckdb") else part for part in command]
    assert "is damaged, or no catalog" in said(filled, *command, status=22)


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    for command in (["status"], ["keys", "list"], ["load"], ["collect"]):
        assert "home" in said(tmp_path / "home", *command, status=2)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_home_that_cannot_be_written_to() -> None:
    # Nobody, root neither, makes a folder there.
    for command in (["keys", "create", "--project", "p"], ["collect"], ["load"], ["up"]):
        done = run(Path("/proc/self/home"), *command, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode != 0


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk("tmpfs", tmp_path / "disk", 8) as disk:
        home = disk.folder / "home"
        key = run(home, "keys", "create", "--project", "demo").stdout
        assert key
        disk.fill()
        assert "full" in said(home, "keys", "create", "--project", "p", status=21)
        assert "full" in said(home, "load", "--until-empty", status=21)
        disk.free_again()
        # What was there before is whole.
        assert "demo" in run(home, "keys", "list").stdout


def test_too_little_memory(filled: Path) -> None:
    sql = "SELECT list(i) FROM range(30_000_000) t(i)"
    assert "THUMBLINE_MEMORY_LIMIT" in said(filled, "query", sql, status=24, memory_limit="64MB")


def test_damaged_keys_are_named(home: Path) -> None:
    (home / "keys.json").write_text("{")
    done = run(home, "keys", "list", check=False)
    assert "Traceback" not in done.stderr
    assert "keys.json" in done.stderr


def test_each_kind_has_a_status_of_its_own_and_stands_in_the_docs() -> None:
    numbers = [status for _, status, _ in faults.STATUSES]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & set(range(7))
    page = Path(__file__).parent.parent.parent / "docs" / "operating.md"
    assert faults.table() in page.read_text()


def test_what_has_no_name_shows_where_it_comes_from() -> None:
    assert faults.outcome(RuntimeError("a fault of ours"), None) is None
    assert os.strerror(28) not in str(faults.outcome(KeyError("x"), None))
