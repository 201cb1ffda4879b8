"""The promises of the whole way, from a call in a host's process to a row in the warehouse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.events import completion, thumb
from tests.pipeline.conftest import Start, Up
from tests.processes import Process, run, wait_until_ready


def in_host(up: Up, code: str, wait: bool = True, **options: Any) -> subprocess.Popen[str]:
    """Run a host program of its own, with a client `tl`."""
    given = {"key": up.key, "pepper": "p", "training_consent": "granted", "spool": str(up.home / "spool"), **options}
    script = (
        f"import os, signal, sys, time, thumbline\ntl = thumbline.Client({up.url!r}, **{given!r})\n"
        + textwrap.dedent(code)
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    if wait:
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
    return process


def targets(up: Up) -> list[str]:
    return [target for (target,) in up.ask("SELECT target_id FROM thumbs ORDER BY 1")]


def post(up: Up, events: list[dict[str, Any]]) -> dict[str, Any]:
    request = Request(f"{up.url}/v1/events", json.dumps(events).encode(), method="POST")
    request.add_header("Authorization", f"Bearer {up.key}")
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=10) as reply:
        return dict(json.load(reply))


def test_change_retract_and_vote_again_leave_one_vote_with_its_own_words(start: Start) -> None:
    up = start()
    with up.client() as tl:
        answer = tl.completion(
            messages=[{"role": "user", "content": "Hi"}], response="Hello.", model="m", conversation_id="k"
        )
        tl.thumb(answer, "down", rater="user-42", tags=["wrong"], comment="first")
        tl.thumb(answer, "up", rater="user-42")
        tl.thumb(answer, "retracted", rater="user-42")
        tl.thumb(answer, "down", rater="user-42", tags=["rude"], comment="last")
        assert tl.flush(10)
    up.wait_until_landed(5)
    ((value, tags, comment, rater),) = up.ask("SELECT value, tags, comment, rater_id FROM current_votes")
    assert (value, tags, comment) == ("down", ["rude"], "last")
    assert "user-42" not in rater
    assert up.ask("SELECT count(*) FROM thumbs") == [(4,)]


def test_of_100_events_7_bad_of_7_sorts_are_named_and_93_land(start: Start) -> None:
    up = start()
    good = [thumb(f"g{i}", "up") for i in range(93)]
    bad = {
        "value": thumb("b", "maybe"),
        "event_id": thumb("b", "up", event_id="17"),
        "occurred_at": thumb("b", "up", occurred_at="yesterday"),
        "rater": {k: v for k, v in thumb("b", "up").items() if k != "rater"},
        "kind": thumb("b", "up") | {"kind": "dance"},
        "target_id": thumb("", "up", comment="nul \x00 inside"),
        "messages.0.role": completion("c", messages=[{"role": "robot", "content": "x"}]),
    }
    batch = good.copy()
    for place, event in zip(range(5, 100, 14), bad.values(), strict=True):
        batch.insert(place, event)

    reply = post(up, batch)

    assert (reply["accepted"], reply["rejected"], reply["duplicate"], reply["retry"]) == (93, 7, 0, 0)
    named = {error["problems"][0]["field"] for error in reply["errors"]}
    assert named == set(bad)
    up.wait_until_landed(93)
    assert targets(up) == sorted(f"g{i}" for i in range(93))


def test_odd_text_and_properties_of_a_page_and_a_server_land(start: Start) -> None:
    """What no text can hold, and what is too long, is changed on the way in; the votes are in the warehouse."""
    up = start()
    odd = [
        thumb("a0", "up", comment="nul \x00, half \ud800"),
        thumb("a1", "up", comment="x" * 20_000),
        thumb("a2", "up", properties={"huge": 2**70, "nan": float("nan")}, tags=["t" * 200]),
        completion("a3", messages=[{"role": "user", "content": "nul \x00, half \ud800"}]),
    ]

    assert post(up, odd)["accepted"] == 4

    up.wait_until_landed(4)
    assert targets(up) == ["a0", "a1", "a2"]


def test_a_plain_exit_loses_nothing(start: Start) -> None:
    up = start()
    in_host(up, "for i in range(1000): tl.thumb(f'a{i}', 'up', rater='r')")
    up.wait_until_landed(1_000)
    assert targets(up) == sorted(f"a{i}" for i in range(1_000))


def test_kill_9_with_durable_loses_nothing_whose_call_returned(start: Start) -> None:
    up = start()
    process = in_host(
        up,
        """
        i = 0
        while True:
            tl.thumb(f'a{i}', 'up', rater='r')
            i += 1
            print(i, flush=True)
        """,
        wait=False,
        durable=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(400)]
    process.kill()
    returned = int([*lines, *process.stdout.read().splitlines()][-1])
    process.stdout.close()
    process.wait()

    # The next process of the same host sends what the killed one could not.
    in_host(up, "tl.thumb('restart', 'up', rater='r'); assert tl.flush(20)", durable=True)
    up.wait_until_landed(returned + 1)
    found = set(targets(up))
    assert {f"a{i}" for i in range(returned)} <= found
    assert len(targets(up)) == len(found) <= returned + 2


def test_a_fork_sends_the_childs_events_and_the_parents_once(start: Start) -> None:
    up = start()
    in_host(
        up,
        """
        for i in range(50): tl.thumb(f'before{i}', 'up', rater='r')
        pid = os.fork()
        who = 'parent' if pid else 'child'
        for i in range(100): tl.thumb(f'{who}{i}', 'up', rater='r')
        if pid: os.waitpid(pid, 0)
    """,
    )
    up.wait_until_landed(250)
    expected = [f"before{i}" for i in range(50)] + [f"{who}{i}" for who in ("parent", "child") for i in range(100)]
    assert targets(up) == sorted(expected)
    assert up.status()["duplicate"] == 0


@pytest.mark.slow
def test_an_outage_of_a_minute_at_200_a_second_loses_and_doubles_nothing(start: Start) -> None:
    up = start()
    tl = up.client()
    stop = threading.Event()
    sent: list[str] = []

    def vote() -> None:
        began = time.monotonic()
        while not stop.is_set():
            while len(sent) < (time.monotonic() - began) * 200:
                sent.append(f"a{len(sent)}")
                tl.thumb(sent[-1], "up", rater="r")
            time.sleep(0.02)

    voter = threading.Thread(target=vote)
    voter.start()
    time.sleep(3)
    up.process.signal(signal.SIGTERM)
    up.process.popen.wait(20)
    time.sleep(60)
    with Process(up.home, "up", "--port", up.url.rsplit(":", 1)[1]):
        wait_until_ready(up.url)
        time.sleep(3)
        stop.set()
        voter.join()
        assert tl.close(60)
        stats = tl.stats()
        assert stats.accepted + stats.duplicate == stats.created == len(sent) > 12_000
        up.wait_until_landed(len(sent))
    assert targets(up) == sorted(sent)


def test_up_ends_in_order_and_status_adds_up(start: Start) -> None:
    up = start()
    in_host(up, "for i in range(300): tl.thumb(f'a{i}', 'up', rater='r')")
    up.process.signal(signal.SIGINT)
    assert up.process.popen.wait(20) == 0
    run(up.home, "load", "--until-empty")
    status = up.status()
    assert status["sent"] == status["landed"] == 300
    assert status["sent"] == sum(status[part] for part in ("landed", "duplicate", "quarantined", "lost", "lag"))
    assert status["orphaned"] == 300


def test_a_killed_loader_and_collector_are_started_again(start: Start) -> None:
    up = start()
    with up.client() as tl:
        for role in ("load", "collect"):
            subprocess.run(
                ["pkill", "-KILL", "-P", str(up.process.popen.pid), "-f", f"thumbline_ingest {role}"], check=True
            )
            time.sleep(0.5)
            wait_until_ready(up.url)
            tl.thumb(f"after-{role}", "up", rater="r")
        assert tl.flush(30)
    up.wait_until_landed(2)


@pytest.mark.slow
def test_a_reader_is_never_hindered_and_always_consistent_while_a_million_land(home: Path) -> None:
    """Rows equal positions in every single read, from another process, with compaction going on."""
    fill = textwrap.dedent(f"""
        import os, time
        from thumbline._ids import uuid7
        from thumbline_ingest.envelope import envelope_head, wrap
        from thumbline_ingest.log import Record, SqliteLog
        writer = SqliteLog({str(home / "log.sqlite")!r}).writer()
        head = envelope_head("demo", 1795521600000)
        form = ('{{"event_id":"%s","kind":"thumb","occurred_at":"2026-11-24T12:00:00Z","rater":{{"id":"r%d"}},'
                '"target_id":"a%d","value":"up","comment":"a comment of some length"}}')
        for start in range(0, 1_000_000, 5_000):
            writer.append([Record(b"k", wrap(head, (form % (uuid7(), i % 97, i)).encode())) for i in range(start, start + 5_000)])
    """)
    subprocess.run([sys.executable, "-c", fill], check=True)
    reads = 0
    with Process(
        home, "load", max_batch_records=20_000, max_batch_age_s=0.1, compact_interval_s=2, keep_files_s=5
    ) as loader:
        reader = subprocess.Popen([sys.executable, "-c", _READER, str(home)], stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        for line in reader.stdout:
            rows, positions, load, head = map(int, line.split())
            assert rows == positions
            assert load == head
            reads += 1
        assert reader.wait() == 0
        reader.stdout.close()
        assert loader.popen.poll() is None, loader.output()
    assert rows == 1_000_000
    assert reads > 50


_READER = """
import sys, time
from thumbline_warehouse.connect import connect
from thumbline_warehouse.urls import WarehouseUrl
url = WarehouseUrl.parse(f"ducklake:{sys.argv[1]}/warehouse/catalog.sqlite")
while True:
    try:
        db = connect(url, read_only=True)
        db.execute("SELECT * FROM documentation LIMIT 1").fetchall()
        break
    except Exception:
        time.sleep(0.05)  # the loader has not made the tables yet
rows = 0
while rows < 1_000_000:
    row = db.execute('''SELECT (SELECT count(*) FROM events), (SELECT coalesce(max(next_position), 0) FROM loads),
                               (SELECT coalesce(max(load_id), 0) FROM events), (SELECT load_id FROM head)''').fetchone()
    rows = row[0]
    print(*row, flush=True)
"""
