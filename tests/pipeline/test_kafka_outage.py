"""A broker that crashes under load: said in time, waited for, nothing lost and nothing twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests import kafka_broker
from tests.pipeline.conftest import Start
from tests.processes import wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_a_broker_crash_turns_readiness_false_and_costs_nothing(start: Start, tmp_path: Path) -> None:
    broker = kafka_broker.Broker(tmp_path / "broker")
    broker.start()
    try:
        up = start(log=f"kafka://{broker.address}/events?session_timeout_s=6")
        tl = up.client()
        for i in range(500):
            tl.thumb(f"before{i}", "up", rater="r")
        assert tl.flush(30)

        broker.stop(signal.SIGKILL)
        died = time.monotonic()
        wait_for(lambda: not is_ready(up.url), 6, "readiness false")
        assert time.monotonic() - died < 5.5
        for i in range(500):
            tl.thumb(f"during{i}", "up", rater="r")
        assert not tl.flush(2)

        broker.start()
        wait_for(lambda: is_ready(up.url), 30, "ready again")
        assert tl.close(60)
        assert tl.stats().dropped == {}
        up.wait_until_landed(1_000, 60)
        assert up.ask("SELECT count(*), count(DISTINCT target_id) FROM thumbs") == [(1_000, 1_000)]
    finally:
        broker.stop()


def is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=2):
            return True
    except HTTPError:
        return False
