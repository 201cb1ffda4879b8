"""The commands as a person meets them: what they print, where, and their exit status."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.events import completion, log_records, thumb
from tests.processes import environ_of, run
from thumbline_ingest.log import SqliteLog


@pytest.fixture
def filled(home: Path) -> Path:
    """A home with two landed votes."""
    with closing(SqliteLog(home / "log.sqlite").writer()) as writer:
        writer.append(
            log_records(
                [
                    completion("a"),
                    completion("b", text="=1+1"),
                    thumb("a", "up"),
                    thumb("b", "down", comment="=SUM(A1)"),
                ]
            )
        )
    run(home, "load", "--until-empty")
    return home


def test_a_key_is_printed_alone_listed_without_its_secret_and_revoked(home: Path) -> None:
    key = run(home, "keys", "create", "--project", "demo").stdout
    assert key.count("\n") == 1
    key_id, secret = key.strip().removeprefix("tlk_").split("_", 1)
    listed = run(home, "keys", "list").stdout
    assert key_id in listed
    assert secret not in listed
    assert secret not in (home / "keys.json").read_text()
    run(home, "keys", "revoke", key_id)
    assert run(home, "keys", "revoke", "nobody", check=False).returncode == 1


def test_a_rotated_key_is_listed_with_its_end_and_can_still_be_revoked(home: Path) -> None:
    def listed() -> dict[str, str]:
        lines = [line.split(maxsplit=3) for line in run(home, "keys", "list").stdout.splitlines()]
        return {key_id: state for key_id, _, _, state in lines}

    old = run(home, "keys", "create", "--project", "demo").stdout.split("_")[1]
    rotated = run(home, "keys", "rotate", old, "--overlap-days", "2")
    assert re.fullmatch(r"tlk_\w{8}_\S{43}\n", rotated.stdout)
    assert "valid until" in rotated.stderr
    new = rotated.stdout.split("_")[1]
    assert listed()[new] == "valid"
    ends = datetime.fromisoformat(listed()[old].removeprefix("valid until "))
    assert timedelta(days=1.99) < ends - datetime.now(timezone.utc) <= timedelta(days=2)

    run(home, "keys", "revoke", old)
    assert listed()[old].startswith("revoked ")
    for gone in (old, "nobody"):
        failed = run(home, "keys", "rotate", gone, check=False)
        assert (failed.returncode, failed.stdout) == (1, "")
    run(home, "keys", "rotate", new, "--overlap-days", "0")
    assert listed()[new].startswith("ended ")


def test_a_bad_origin_or_proxy_is_named_before_anything_starts(home: Path) -> None:
    for setting, value in (("allowed_origins", "https://chat.example.com/"), ("trusted_proxies", "nginx")):
        failed = run(home, "collect", check=False, **{setting: value})
        assert failed.returncode == 2
        assert f"{setting}: '{value}'" in failed.stderr


def test_a_query_prints_a_table_csv_json_or_parquet(filled: Path) -> None:
    sql = "SELECT target_id, value, comment FROM thumbs ORDER BY 1"
    assert "down" in run(filled, "query", sql).stdout
    # A spreadsheet would run a cell that begins with '='.
    assert run(filled, "query", sql, "--format", "csv").stdout == "target_id,value,comment\na,up,\nb,down,'=SUM(A1)\n"
    assert json.loads(run(filled, "query", sql, "--format", "json").stdout)[1] == {
        "target_id": "b",
        "value": "down",
        "comment": "=SUM(A1)",
    }
    command = [sys.executable, "-m", "thumbline_ingest", "query", sql, "--format", "parquet"]
    parquet = subprocess.run(command, env=environ_of(filled), capture_output=True, check=True).stdout
    assert pq.read_table(io.BytesIO(parquet)).num_rows == 2


def test_a_query_cannot_change_anything_and_a_bad_one_says_why(filled: Path) -> None:
    assert run(filled, "query", "DELETE FROM events", check=False).returncode == 1
    assert "nothing_here" in run(filled, "query", "FROM nothing_here", check=False).stderr
    assert run(filled, "query", "SELECT now()").stdout


def test_attach_prints_what_opens_the_warehouse_in_any_duckdb(filled: Path) -> None:
    statements = run(filled, "attach").stdout
    with closing(duckdb.connect()) as db:
        db.execute(statements)
        assert db.execute("SELECT count(*) FROM thumbs").fetchone() == (2,)
        with pytest.raises(duckdb.Error, match="read-only"):
            db.execute("CREATE TABLE x (a INT)")


def test_a_snapshot_is_a_plain_file(filled: Path, tmp_path: Path) -> None:
    run(filled, "snapshot", str(tmp_path / "s.duckdb"))
    with closing(duckdb.connect(str(tmp_path / "s.duckdb"), read_only=True)) as db:
        assert db.execute("SELECT count(*) FROM current_votes").fetchone() == (2,)
    assert "there already" in run(filled, "snapshot", str(tmp_path / "s.duckdb"), check=False).stderr


def test_status_before_anything_and_after(home: Path) -> None:
    assert json.loads(run(home, "status", "--format", "json").stdout)["sent"] == 0
    with closing(SqliteLog(home / "log.sqlite").writer()) as writer:
        writer.append(log_records([thumb("a", "up")]) * 2)
    before = json.loads(run(home, "status", "--format", "json").stdout)
    assert (before["sent"], before["lag"], before["landed"]) == (2, 2, 0)
    run(home, "load", "--until-empty")
    after = json.loads(run(home, "status", "--format", "json").stdout)
    assert (after["sent"], after["landed"], after["duplicate"], after["orphaned"], after["lag"]) == (2, 1, 1, 1, 0)
    assert "orphaned  1" in run(home, "status").stdout


def test_an_export_prints_the_file_on_stdout_and_the_funnel_beside_it(filled: Path, tmp_path: Path) -> None:
    done = run(filled, "export", "kto", "--out", str(tmp_path / "kto"))
    assert done.stdout.strip() == str(tmp_path / "kto" / "data" / "train.jsonl")
    assert "2  used, in 2 rows" in done.stderr
    nothing = run(filled, "export", "pairs", "--sources", "pick", "--out", str(tmp_path / "pairs"), check=False)
    assert nothing.returncode == 3
    assert run(filled, "export", "kto", "--snapshot", "99", "--out", str(tmp_path / "x"), check=False).returncode == 1


def test_looking_before_anything_has_landed_says_so(home: Path) -> None:
    done = run(home, "query", "FROM events", check=False)
    assert done.returncode == 2
    assert "no warehouse" in done.stderr


@pytest.mark.parametrize("log", ["mysql://x", "kafka://nowhere"])
def test_a_bad_log_url_ends_every_command_with_one_line(home: Path, log: str) -> None:
    for command in ("load", "collect"):
        done = run(home, command, check=False, log=log)
        assert done.returncode == 2
        assert done.stderr.startswith("thumbline: THUMBLINE_LOG")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["collect", "up"])
def test_a_second_collector_on_one_port_is_refused(home: Path, command: str) -> None:
    from tests.processes import Process, wait_until_ready
    from thumbline_ingest.ports import free_port

    port = free_port()
    with Process(home, "collect", "--port", str(port)):
        wait_until_ready(f"http://127.0.0.1:{port}")
        done = run(home, command, "--port", str(port), check=False)
    assert done.returncode == 1
    assert str(port) in done.stderr
