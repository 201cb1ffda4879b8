"""What the tests of recipes share: OpenAI's API on loopback, a collector, and recipes as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.processes import Process, answers, ask, environ_of, landed, run, wait_for, wait_until_ready
from tests.recipes.openai_server import OpenAIServer
from thumbline._ids import uuid7
from thumbline._log import QuietLog
from thumbline.testing import RecordingClient, record
from thumbline_ingest.ports import free_port

RECIPES = Path(__file__).parent.parent.parent / "examples" / "recipes"

# Nothing calls home.
_OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside; each test may see a warning that an earlier one saw."""
    for name in list(os.environ):
        if name.startswith(("THUMBLINE_", "OPENAI_")):
            monkeypatch.delenv(name)
    for module in ("_record", "_wrap"):
        monkeypatch.setattr(f"thumbline.openai.{module}._log", QuietLog("openai"))


@pytest.fixture
def tl() -> Iterator[RecordingClient]:
    with record() as client:
        yield client


@pytest.fixture
def api() -> Iterator[OpenAIServer]:
    server = OpenAIServer()
    yield server
    server.stop()


@dataclass
class Site:
    """
    A running `thumbline up`, and what a recipe needs to know of it.

    Attributes:
        home: its folder.
        url: the collector's.
        key: a write key.
        origin: of the recipe's page, the one that may vote.
        port: the page's.
    """

    home: Path
    url: str
    key: str
    origin: str
    port: int

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a recipe, as its comment says."""
        clean = environ_of(self.home, url=self.url, key=self.key, spool="off", pepper="test")
        return clean | _OFFLINE | {"PORT": str(self.port), "SECRET_KEY": "test", "PYTHONUNBUFFERED": "1"}

    def vote(self, receipt: str, **fields: Any) -> list[str]:
        """The page's vote, as its element sends it; the verdicts."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03}Z"
        own = {"event_id": uuid7(), "occurred_at": now, "receipt": receipt}
        headers = {"Content-Type": "text/plain", "Origin": self.origin}
        body = json.dumps({"sent_at": now, "events": [own | fields]}).encode()
        with urlopen(Request(f"{self.url}/v1/votes", body, headers), timeout=10) as answer:
            return list(json.load(answer)["verdicts"])

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        wait_for(condition, 30, what)

    def wait_until_landed(self, count: int) -> None:
        wait_for(lambda: landed(self.home) >= count, 30, f"{count} events landed")

    def thumbs(self) -> list[str]:
        """Those that count, in the order of the alphabet."""
        return [value for (value,) in self.ask("SELECT value FROM current_votes WHERE kind = 'thumb' ORDER BY value")]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return ask(self.home, sql)

    def export(self, kind: str = "kto", *options: str) -> list[dict[str, Any]]:
        """The rows that a training team gets."""
        out = self.home / f"export-{time.monotonic_ns()}"
        run(self.home, "export", kind, "--out", str(out), *options)
        files = sorted((out / "data").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    """A collector, a loader, and a port for the recipe."""
    port, own_port = free_port(), free_port()
    origin = f"http://127.0.0.1:{own_port}"
    key = run(home, "keys", "create", "--project", "demo").stdout.strip()
    with Process(home, "up", "--port", str(port), allowed_origins=origin):
        wait_until_ready(f"http://127.0.0.1:{port}")
        yield Site(home, f"http://127.0.0.1:{port}", key, origin, own_port)


@contextmanager
def running(site: Site, *command: str, path: str = "/", **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """A recipe as its comment says to run it, from the moment that it answers; ended as by Ctrl-C."""
    log = site.home / "recipe.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=site.environ | environ,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            cwd=site.home,
        )
    try:
        wait_for(lambda: process.poll() is not None or answers(site.origin + path), 60, f"{command}: {log.read_text()}")
        assert process.poll() is None, log.read_text()
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text().replace("KeyboardInterrupt", ""), log.read_text()
