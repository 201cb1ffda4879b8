"""`thumbline up`: collector, loader, status page and a status line in one process tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from thumbline_ingest.keys import KeyStore
from thumbline_ingest.parents import ENVIRONMENT_NAME, ask_for_sigterm
from thumbline_ingest.ports import PortInUse, ensure_free, free_port
from thumbline_ingest.statuspage.settings import NotSafe

from .context import settings_of
from .faults import HOPELESS, outcome
from .settings import Settings
from .status import Status, read_status
from .statuspage import page_settings

_STOP_TIMEOUT_S: Final = 15.0
_STATUS_INTERVAL_S: Final = 2.0


@dataclass
class _Child:
    """A process of the tree that is started again when it dies; without one that is `optional` the others go on."""

    name: str
    command: list[str]
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0
    optional: bool = False

    def start(self) -> None:
        self.started_at = time.monotonic()
        # Own process group: Ctrl-C reaches the parent alone, which then ends the children in order.
        # It ends with this process: that is asked for between fork and exec, and looked after by the command itself.
        environ = self.environ | {ENVIRONMENT_NAME: str(os.getpid())}
        self.process = subprocess.Popen(self.command, env=environ, preexec_fn=ask_for_sigterm, start_new_session=True)

    def tend(self) -> int | None:
        """Start it again if it died; its exit status if that is hopeless."""
        if self.process is None or self.process.poll() is None:
            return None
        if self.process.returncode in HOPELESS or (time.monotonic() - self.started_at < 1.0 and self.restarts >= 5):
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
    """Run collector, loader and status page with a status line, until Ctrl-C."""
    settings = settings_of(context, **flags)
    try:
        # Else another home's collector would take what is meant for this one.
        ensure_free(settings.host, settings.port)
    except PortInUse as error:
        raise click.ClickException(f"{error}; another --port is free to use") from error
    console = Console(stderr=True, highlight=False)
    children = [_child(settings, "collect"), _child(settings, "load")]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _greet(console, settings)
    page = _page(console, settings)
    if page is not None:
        children.append(page)
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


def _page(console: Console, settings: Settings) -> _Child | None:
    """The status page, on another port where its own is taken; None, with the reason said, where there can be none."""
    if not settings.status_port:
        return None
    try:
        page_settings(settings).check()
        try:
            ensure_free(settings.status_host, settings.status_port)
        except PortInUse:
            taken, settings = settings.status_port, replace(settings, status_port=free_port(settings.status_host))
            console.print(f"port {taken} is taken: the status page gets another one", soft_wrap=True)
    except (NotSafe, OSError) as error:
        console.print(f"going on without a status page: {error}", soft_wrap=True, markup=False)
        return None
    console.print(f"status page at {page_settings(settings).url}", soft_wrap=True)
    return replace(_child(settings, "status-page"), optional=True)


def _child(settings: Settings, role: str) -> _Child:
    environ = os.environ | {
        "THUMBLINE_HOME": str(settings.home),
        "THUMBLINE_LOG": settings.log_url,
        "THUMBLINE_WAREHOUSE": settings.warehouse_url,
        "THUMBLINE_HOST": settings.host,
        "THUMBLINE_PORT": str(settings.port),
        "THUMBLINE_STATUS_HOST": settings.status_host,
        "THUMBLINE_STATUS_PORT": str(settings.status_port),
    }
    return _Child(role, [sys.executable, "-m", "thumbline_ingest", role], environ)


def _watch(console: Console, settings: Settings, children: list[_Child], stop: threading.Event) -> int | None:
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    if live is not None:
        live.start()
    try:
        look_at, last = 0.0, ""
        while not stop.wait(0.2):
            for child in list(children):
                failed = child.tend()
                if failed is None:
                    continue
                console.print(f"thumbline {child.name} ended with status {failed}")
                if not child.optional:
                    return failed
                children.remove(child)
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
        found = outcome(error, settings)
        return f"status: {found[0] if found else type(error).__name__}"
    return (
        f"sent {status.sent:,} · landed {status.landed:,} · duplicate {status.duplicate:,} · "
        f"conflict {status.conflict:,} · quarantined {status.quarantined:,} · orphaned {status.orphaned:,} · "
        f"lag {status.lag:,}"
    )
