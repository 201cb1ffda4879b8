"""The loader as a process that is killed, stopped and overtaken: every event exactly once."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from tests.events import log_records, random_thumbs
from tests.processes import Process, ask, landed, run, wait_for
from thumbline_ingest.log import open_log

EXACTLY_ONCE = "SELECT count(*), count(DISTINCT event_id), (SELECT sum(landed) FROM loads) FROM events"


def feed(url: str, total: int, per_second: float, sent: list[str], seed: int = 0) -> threading.Thread:
    """Append so many events in the background, with a few ids twice."""

    def work() -> None:
        writer = open_log(url).writer()
        draw = random.Random(1)
        for start in range(0, total, 100):
            events = random_thumbs(100, seed=seed + start)
            sent.extend(e["event_id"] for e in events)
            writer.append(log_records([*events, draw.choice(events)]))
            time.sleep(100 / per_second)
        writer.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.slow
def test_20_kills_at_random_while_loading_lose_and_double_nothing(home: Path) -> None:
    log = f"sqlite:{home}/log.sqlite"
    open_log(log).writer().close()
    sent: list[str] = []
    feeder = feed(log, 20_000, 1_500, sent)
    draw = random.Random(7)
    kills = 0
    while kills < 20:
        with Process(home, "load", max_batch_records=800, max_batch_age_s=0.05, compact_interval_s=0.5) as loader:
            time.sleep(draw.uniform(0.5, 1.2))
            assert loader.popen.poll() is None, loader.output()
            loader.kill()
            kills += 1
    feeder.join()
    run(home, "load", "--until-empty")

    assert ask(home, EXACTLY_ONCE) == [(20_000, 20_000, 20_000)]
    assert {str(i) for (i,) in ask(home, "SELECT event_id FROM events")} == set(sent)
    assert ask(home, "SELECT sum(duplicates), sum(quarantined), max(next_position) FROM loads") == [(200, 0, 20_200)]


@pytest.mark.kafka
@pytest.mark.slow
def test_a_paused_loader_is_overtaken_and_fenced(home: Path, kafka_address: str) -> None:
    """Two loaders on 4 partitions; one is stopped for longer than its session, then goes on."""
    log = f"kafka://{kafka_address}/t{uuid.uuid4().hex}?session_timeout_s=6&group={uuid.uuid4().hex}"
    run(home, "topic", "create", log=log)
    sent: list[str] = []
    settings = {"log": log, "max_batch_age_s": 0.1, "max_batch_records": 500}
    with Process(home, "load", **settings) as one:
        wait_for(lambda: landed(home) >= 0 and (home / "warehouse" / "catalog.sqlite").exists(), what="warehouse")
        with Process(home, "load", **settings) as two:
            # Slowly: some must be left for the second one, which needs its time to join on a busy machine.
            feeder = feed(log, 20_000, 400, sent)
            wait_for(lambda: len(loaders(home)) == 2, 90, "both loaders land")
            freeze_outside_of_a_load(one, home)
            # Longer than its session.
            time.sleep(11)
            stopped_at = landed(home)
            # Else, on a busy machine, all that was sent may have landed by now.
            more = feed(log, 2_000, 1_000, sent, seed=1_000_000)
            wait_for(lambda: landed(home) > stopped_at + 500, 90, "the other lands on")
            one.signal(signal.SIGCONT)
            feeder.join()
            more.join()
            wait_for(lambda: landed(home) >= 22_000, 90, "all landed")
            time.sleep(1)
            assert one.popen.poll() is None, one.output()
            assert two.popen.poll() is None, two.output()

    assert ask(home, EXACTLY_ONCE) == [(22_000, 22_000, 22_000)]
    assert {str(i) for (i,) in ask(home, "SELECT event_id FROM events")} == set(sent)
    assert ask(
        home,
        "SELECT sum(next - first) FROM (SELECT max(next_position) AS next, min(first_position) AS first FROM loads GROUP BY partition)",
    ) == [(22_220,)]


def freeze_outside_of_a_load(loader: Process, home: Path) -> None:
    """One that is frozen in a commit holds the catalog, and nobody lands until it goes on: that is SQLite's lock."""
    for _ in range(50):
        loader.signal(signal.SIGSTOP)
        with closing(sqlite3.connect(home / "warehouse" / "catalog.sqlite", timeout=10, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                loader.signal(signal.SIGCONT)
                time.sleep(0.1)
                continue
            db.execute("ROLLBACK")
            return
    raise AssertionError("always in a commit")


@pytest.mark.kafka
@pytest.mark.slow
def test_20_kills_on_kafka_lose_and_double_nothing(home: Path, kafka_address: str) -> None:
    log = f"kafka://{kafka_address}/t{uuid.uuid4().hex}?session_timeout_s=30&group={uuid.uuid4().hex}"
    run(home, "topic", "create", log=log)
    sent: list[str] = []
    feeder = feed(log, 20_000, 700, sent)
    draw = random.Random(3)
    for _ in range(20):
        with Process(home, "load", log=log, max_batch_records=800, max_batch_age_s=0.05) as loader:
            time.sleep(draw.uniform(1.0, 1.8))
            assert loader.popen.poll() is None, loader.output()
            loader.kill()
    feeder.join()
    # The same slot, so the same member: the dead one's session is not waited for.
    began = time.monotonic()
    run(home, "load", "--until-empty", log=log)
    assert time.monotonic() - began < 20

    assert ask(home, EXACTLY_ONCE) == [(20_000, 20_000, 20_000)]
    assert {str(i) for (i,) in ask(home, "SELECT event_id FROM events")} == set(sent)


@pytest.mark.kafka
def test_a_recreated_topic_is_refused_by_a_loader_that_starts(home: Path, kafka_address: str) -> None:
    from kafka import KafkaAdminClient

    topic = f"t{uuid.uuid4().hex}"
    log = f"kafka://{kafka_address}/{topic}"
    assert "thumbline topic create" in run(home, "load", check=False, log=log).stderr
    run(home, "topic", "create", log=log)
    writer = open_log(log).writer()
    writer.append(log_records(random_thumbs(10)))
    writer.close()
    run(home, "load", "--until-empty", log=log)

    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.delete_topics([topic])
    admin.close()
    wait_for(lambda: run(home, "topic", "create", check=False, log=log).returncode == 0, what="topic made anew")

    refused = run(home, "load", "--until-empty", check=False, log=log)
    assert refused.returncode == 13
    assert "made anew" in refused.stderr
    assert "--accept-new-log" in refused.stderr
    assert landed(home) == 10


@pytest.mark.kafka
def test_retention_that_passed_the_position_is_counted_not_skipped(home: Path, kafka_address: str) -> None:
    from kafka import KafkaAdminClient, TopicPartition

    topic = f"t{uuid.uuid4().hex}"
    log = f"kafka://{kafka_address}/{topic}?partitions=1"
    run(home, "topic", "create", log=log)
    writer = open_log(log).writer()
    writer.append(log_records(random_thumbs(10)))
    run(home, "load", "--until-empty", log=log)
    writer.append(log_records(random_thumbs(20, seed=1)))
    writer.close()
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.delete_records({TopicPartition(topic, 0): 17})
    admin.close()

    refused = run(home, "load", "--until-empty", check=False, log=log)
    assert refused.returncode == 13
    assert "7 records were dropped unread" in refused.stderr

    run(home, "load", "--until-empty", "--accept-gap", log=log)
    assert ask(home, "SELECT sum(landed), sum(lost), max(next_position) FROM loads") == [(23, 7, 30)]


def loaders(home: Path) -> set[str]:
    try:
        return {name for (name,) in ask(home, "SELECT DISTINCT loader FROM loads")}
    except Exception:  # noqa: BLE001 - not made yet
        return set()
