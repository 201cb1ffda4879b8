"""Runs the SDKs side by side against one sink."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.measure import ROOT, peer_python, run

LANGFUSE = "langfuse==5.0.4"
SEGMENT = "segment-analytics-python==2.4.0"


@contextmanager
def sink() -> Iterator[str]:
    """URL of a sink in a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks" / "sink.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def worker(name: str, mode: str, url: str, count: int) -> Callable[[], float]:
    """Measures one SDK once, in a fresh process."""
    python = {
        "thumbline": lambda: sys.executable,
        "langfuse": lambda: peer_python(LANGFUSE),
        "segment": lambda: peer_python(SEGMENT),
    }[name]()
    command = [python, str(ROOT / "benchmarks" / "sdk_worker.py"), name, mode, url, str(count)]
    return lambda: float(run(command).output.split()[-1])
