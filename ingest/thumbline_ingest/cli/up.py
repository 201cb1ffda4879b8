"""`thumbline up`: collector, loader and a status line in one process tree."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from thumbline_ingest.keys import KeyStore

from .context import settings_of
from .settings import Settings
from .status import Status, read_status

# A child that ends with this cannot be helped by starting it again.
_HOPELESS: Final = 2
_STOP_TIMEOUT_S: Final = 15.0
_STATUS_INTERVAL_S: Final = 2.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass
class _Child:
    """A process of the tree that is started again when it dies."""

    name: str
    command: list[str]
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0
    ended: bool = field(default=False)

    def start(self) -> None:
        self.started_at = time.monotonic()
        # Own process group: Ctrl-C reaches the parent alone, which then ends the children in order.
        self.process = subprocess.Popen(
            self.command, env=self.environ, preexec_fn=_die_with_parent, start_new_session=True
        )

    def tend(self) -> int | None:
        """Start it again if it died; its exit status if that is hopeless."""
        if self.process is None or self.process.poll() is None:
            return None
        if self.process.returncode == _HOPELESS or (time.monotonic() - self.started_at < 1.0 and self.restarts >= 5):
            return self.process.returncode or 1
        if time.monotonic() - self.started_at > min(2.0**self.restarts * 0.2, 10.0):
            self.restarts += 1
            self.start()
        return None

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@click.command()
@click.option("--host", help="Address to listen on.  [env: THUMBLINE_HOST; default: 127.0.0.1]")
@click.option("--port", type=int, help="TCP port of the collector.  [env: THUMBLINE_PORT; default: 8400]")
@click.pass_context
def up(context: click.Context, /, **flags: Any) -> None:
    """Run collector and loader with a status line, until Ctrl-C."""
    settings = settings_of(context, **flags)
    console = Console(stderr=True, highlight=False)
    children = [_child(settings, "collect"), _child(settings, "load")]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _greet(console, settings)
    try:
        for child in children:
            child.start()
        failed = _watch(console, settings, children, stop)
    finally:
        # The collector first: what it has acknowledged by then is in the log.
        for child in children:
            child.stop()
    if failed is not None:
        raise SystemExit(failed)


def _greet(console: Console, settings: Settings) -> None:
    console.print(f"thumbline is up at http://{settings.host}:{settings.port}, home {settings.home}", soft_wrap=True)
    if not KeyStore(settings.keys_path).list():
        console.print("no write key yet: make one with `thumbline keys create --project NAME`", soft_wrap=True)


def _child(settings: Settings, role: str) -> _Child:
    environ = os.environ | {
        "THUMBLINE_HOME": str(settings.home),
        "THUMBLINE_LOG": settings.log_url,
        "THUMBLINE_WAREHOUSE": settings.warehouse_url,
        "THUMBLINE_HOST": settings.host,
        "THUMBLINE_PORT": str(settings.port),
    }
    return _Child(role, [sys.executable, "-m", "thumbline_ingest", role], environ)


def _watch(console: Console, settings: Settings, children: list[_Child], stop: threading.Event) -> int | None:
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    if live is not None:
        live.start()
    try:
        look_at, last = 0.0, ""
        while not stop.wait(0.2):
            for child in children:
                failed = child.tend()
                if failed is not None:
                    console.print(f"thumbline {child.name} ended with status {failed}")
                    return failed
            began = time.monotonic()
            if began < look_at:
                continue
            line = _line(settings)
            # The larger the warehouse, the rarer the look: at most a twentieth of the time.
            took_s = time.monotonic() - began
            look_at = began + max(_STATUS_INTERVAL_S, 20 * took_s)
            if live is not None:
                live.update(Text(line), refresh=True)
            elif line != last:
                # Without a terminal: a line only when something changed.
                console.print(line, soft_wrap=True)
            last = line
    finally:
        if live is not None:
            live.stop()
    return None


def _line(settings: Settings) -> str:
    try:
        status: Status = read_status(settings)
    except Exception as error:  # noqa: BLE001 - a status line never ends what it reports on
        return f"status: {type(error).__name__}"
    return (
        f"sent {status.sent:,} · landed {status.landed:,} · duplicate {status.duplicate:,} · "
        f"quarantined {status.quarantined:,} · orphaned {status.orphaned:,} · lag {status.lag:,}"
    )


def _die_with_parent() -> None:
    # Linux: a parent that is killed outright takes its children along.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
