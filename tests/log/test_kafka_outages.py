"""Kafka away while events are sent: said at once, over soon after it is back, and nothing lost or twice."""

from __future__ import annotations

import random
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import kafka_broker
from tests.log.outages import Writers, outage
from tests.processes import wait_for
from thumbline_ingest.log import Log, open_log

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[kafka_broker.Broker]:
    made = kafka_broker.Broker(tmp_path / "broker")
    made.start()
    yield made
    made.stop(signal.SIGKILL)


def a_log(address: str) -> Log:
    log = open_log(f"kafka://{address}/t{uuid.uuid4().hex}?session_timeout_s=6&group={uuid.uuid4().hex}")
    log.create_topic()
    return log


@pytest.mark.slow
def test_a_broker_that_was_frozen_for_20_s(broker: kafka_broker.Broker, tmp_path: Path) -> None:
    with Writers(a_log(broker.address), tmp_path) as writers:
        back_s = outage(writers, broker.freeze, broker.thaw, 20)
        print(f"back after {back_s:.1f} s")
        writers.assert_landed_once()


@pytest.mark.endurance
def test_a_broker_that_was_killed_and_started_after_20_s(broker: kafka_broker.Broker, tmp_path: Path) -> None:
    with Writers(a_log(broker.address), tmp_path) as writers:
        back_s = outage(writers, lambda: broker.stop(signal.SIGKILL), broker.start, 20)
        print(f"back after {back_s:.1f} s")
        writers.assert_landed_once()


@pytest.mark.endurance
@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_two_of_three_brokers_away_for_25_s(tmp_path: Path, how: str) -> None:
    cluster = kafka_broker.Cluster(tmp_path / "cluster")
    try:
        cluster.start()
        lost = cluster.brokers[1:]

        def begin() -> None:
            for broker in lost:
                broker.stop(signal.SIGKILL) if how == "killed" else broker.freeze()

        def end() -> None:
            for broker in lost:
                broker.launch() if how == "killed" else broker.thaw()
            for broker in lost:
                broker.wait()

        with Writers(a_log(cluster.address), tmp_path) as writers:
            back_s = outage(writers, begin, end, 25)
            print(f"back after {back_s:.1f} s")
            writers.assert_landed_once()
    finally:
        cluster.stop()


@pytest.mark.endurance
def test_20_outages_of_random_length(broker: kafka_broker.Broker, tmp_path: Path) -> None:
    draw = random.Random(20)
    slowest = 0.0
    with Writers(a_log(broker.address), tmp_path) as writers:
        for number in range(20):
            writers.wait_for_more(500)
            length_s, frozen = draw.uniform(1, 25), draw.random() < 0.5
            broker.freeze() if frozen else broker.stop(signal.SIGKILL)
            time.sleep(length_s)
            broker.thaw() if frozen else broker.start()
            back_s = writers.seconds_until_one_succeeds(time.monotonic(), 15)
            slowest = max(slowest, back_s)
            what = "frozen" if frozen else "killed"
            print(f"{number + 1}: {what} for {length_s:.1f} s, back after {back_s:.1f} s", flush=True)
        wait_for(writers.is_ready, 15, "ready at the end")
        print(f"{len(writers.acknowledged):,} events acknowledged; slowest return {slowest:.1f} s")
        writers.assert_landed_once()
