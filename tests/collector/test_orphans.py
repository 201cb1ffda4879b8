"""A main process that is killed outright, in any moment, leaves nothing that holds the port."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import environ_of, wait_for
from thumbline_ingest.ports import PortInUse, ensure_free, free_port


def processes(port: int) -> list[int]:
    """All of this machine that were started for a port: a forked worker has its parent's command line or environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"THUMBLINE_PORT={port}\0".encode() in (folder / "environ").read_bytes() and is_alive(folder):
                    found.append(int(folder.name))
    return found


def is_alive(folder: Path) -> bool:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"


def is_free(port: int) -> bool:
    with contextlib.suppress(PortInUse):
        ensure_free("127.0.0.1", port)
        return True
    return False


def kill_after(home: Path, command: str, delay_s: float, children: int = 0) -> None:
    """Start a command, kill its main process after so long, and see that all the others end with it."""
    port = free_port()
    environ = environ_of(home, port=port, workers=2, status_port=free_port())
    started = subprocess.Popen(
        [sys.executable, "-m", "thumbline_ingest", command],
        env=environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: len(processes(port)) > children or started.poll() is not None, 30, "its processes")
        time.sleep(delay_s)
        assert started.poll() is None
        started.kill()
        started.wait()
        what = f"{command} killed after {delay_s:.3f} s"
        wait_for(lambda: is_free(port), 8, f"a free port, {what}")
        # One that was told to stop just before it began to serve may hang, without the port, until its timer ends it.
        wait_for(lambda: not processes(port), 25, f"the end of all, {what}")
    finally:
        for pid in processes(port):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("command", "children", "delay_s"), [("collect", 1, 0.0), ("collect", 2, 0.1), ("up", 1, 0.3)])
def test_workers_end_with_a_main_process_that_is_killed_while_it_starts(
    tmp_path: Path, command: str, children: int, delay_s: float
) -> None:
    kill_after(tmp_path, command, delay_s, children)


@pytest.mark.endurance
@pytest.mark.parametrize("command", ["collect", "up"])
def test_a_main_process_that_is_killed_at_fifty_random_moments(tmp_path: Path, command: str) -> None:
    """Of its start and of its run."""
    draw = random.Random(17)
    for _ in range(50):
        kill_after(tmp_path, command, draw.choice([draw.uniform(0, 0.5), draw.uniform(0, 4)]), draw.choice([0, 1, 2]))
