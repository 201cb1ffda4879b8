"""Runs the real command as processes, and asks the warehouse afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from thumbline_warehouse.connect import connect
from thumbline_warehouse.urls import WarehouseUrl


def environ_of(home: Path, **settings: object) -> dict[str, str]:
    """The environment of a command: this one without any THUMBLINE_ setting, and those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("THUMBLINE_")}
    return clean | {"THUMBLINE_HOME": str(home), **{f"THUMBLINE_{k.upper()}": str(v) for k, v in settings.items()}}


def run(home: Path, *arguments: str, check: bool = True, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run `thumbline ...` to its end."""
    command = [sys.executable, "-m", "thumbline_ingest", *arguments]
    done = subprocess.run(
        command, env=environ_of(home, **settings), capture_output=True, text=True, timeout=180, check=False
    )
    if check:
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


class Process:
    """A `thumbline ...` that goes on; killed at the end whatever happens."""

    def __init__(self, home: Path, *arguments: str, **settings: object) -> None:
        self.arguments = arguments
        self.log = home / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "thumbline_ingest", *arguments],
                env=environ_of(home, **settings),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def output(self) -> str:
        return self.log.read_text()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30, what: str = "") -> None:
    """Wait until a condition holds; asserts that it does in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout_s} s: {what}"
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether a server answers there with success."""
    try:
        with urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def wait_until_ready(url: str, timeout_s: float = 30) -> None:
    wait_for(lambda: answers(f"{url}/readyz"), timeout_s, f"{url} ready")


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query on the home's warehouse."""
    with closing(connect(WarehouseUrl.parse(f"ducklake:{home}/warehouse/catalog.sqlite"), read_only=True)) as db:
        return db.execute(sql).fetchall()


def landed(home: Path) -> int:
    """Rows in `events`; 0 while there is no warehouse."""
    try:
        return int(ask(home, "SELECT count(*) FROM events")[0][0])
    except Exception:  # noqa: BLE001 - not made yet
        return 0
