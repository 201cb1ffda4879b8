"""A Kafka that is away, without one: nothing is left behind by those who ask for it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import wait_for
from thumbline_ingest.log import LogUnavailable
from thumbline_ingest.log.kafka.admin import look_at_brokers
from thumbline_ingest.log.kafka.reader import KafkaReader
from thumbline_ingest.log.kafka.settings import KafkaSettings
from thumbline_ingest.log.kafka.writer import KafkaWriter


def used() -> tuple[int, int]:
    # Sockets that could not connect are kafka-python's garbage, which is collected.
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def closed(before: tuple[int, int]) -> bool:
    return all(now <= then for now, then in zip(used(), before, strict=True))


ASKING: dict[str, Callable[[KafkaSettings], object]] = {
    "admin": lambda settings: look_at_brokers(settings, 0.3),
    "writer": KafkaWriter,
    "reader": lambda settings: KafkaReader(settings, "m"),
}


@pytest.mark.parametrize("what", ASKING)
def test_who_asks_in_vain_leaves_no_thread_and_no_file_open(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a collector, which asks each second, has no file left after some minutes of an outage."""
    for module in ("reader", "writer"):
        monkeypatch.setattr(f"thumbline_ingest.log.kafka.{module}._BOOTSTRAP_TIMEOUT_MS", 300)
    settings = KafkaSettings.from_url("kafka://127.0.0.1:1/topic")
    before = used()
    for _ in range(3):
        with pytest.raises(LogUnavailable):
            ASKING[what](settings)
    wait_for(lambda: closed(before), 5, "all closed")
