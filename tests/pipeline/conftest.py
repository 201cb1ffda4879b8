"""`thumbline up` as a newcomer runs it, on a fresh home folder and a free port."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import thumbline
from tests.processes import Process, ask, run, wait_for, wait_until_ready
from thumbline_ingest.ports import free_port


@dataclass
class Up:
    """A running `thumbline up`."""

    home: Path
    url: str
    key: str
    process: Process
    settings: dict[str, Any]

    def client(self, **options: Any) -> thumbline.Client:
        defaults = {"pepper": "test", "training_consent": "granted", "spool": None, "debug": True}
        return thumbline.Client(self.url, key=self.key, **(defaults | options))

    def status(self) -> dict[str, Any]:
        return dict(json.loads(run(self.home, "status", "--format", "json", **self.settings).stdout))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return ask(self.home, sql)

    def wait_until_landed(self, count: int, timeout_s: float = 30) -> None:
        wait_for(lambda: self.ask("SELECT count(*) FROM events")[0][0] >= count, timeout_s, f"{count} landed")


Start = Callable[..., Up]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Start `thumbline up`; ended at the end of the test."""
    started: list[Process] = []

    def start_up(**settings: Any) -> Up:
        port = free_port()
        key = run(home, "keys", "create", "--project", "demo").stdout.strip()
        if "kafka" in str(settings.get("log", "")):
            run(home, "topic", "create", **settings)
        # Without the status page, which has tests of its own.
        process = Process(home, "up", "--port", str(port), **({"status_port": 0} | settings))
        started.append(process)
        wait_until_ready(f"http://127.0.0.1:{port}")
        wait_for(lambda: (home / "warehouse" / "catalog.sqlite").exists(), what="warehouse")
        wait_for(lambda: _has_tables(home), what="tables")
        return Up(home, f"http://127.0.0.1:{port}", key, process, settings)

    yield start_up
    for process in started:
        process.__exit__()


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def log_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of either log."""
    if request.param == "sqlite":
        return {}
    address = request.getfixturevalue("kafka_address")
    return {"log": f"kafka://{address}/t{uuid.uuid4().hex}?group={uuid.uuid4().hex}"}


def _has_tables(home: Path) -> bool:
    try:
        ask(home, "SELECT 1 FROM documentation LIMIT 1")
    except Exception:  # noqa: BLE001 - not made yet
        return False
    return True
