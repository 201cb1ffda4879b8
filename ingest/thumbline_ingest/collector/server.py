"""The production server: granian, set up and stopped so that nothing acknowledged is lost."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from thumbline_ingest.ports import PortInUse, ensure_free
from thumbline_ingest.workers import BACKLOG, MAX_BUFFER_BYTES, Server, room_for

from .readiness import DRAINING_FILE
from .settings import CollectorSettings

__all__ = ["PortInUse", "serve"]

_log = logging.getLogger("thumbline.collector")

_TARGET = "thumbline_ingest.collector.worker:create"
# Beside those for events: probes are answered while all the others wait for the log or for a body.
_PROBE_THREADS = 8


class _DrainingServer(Server):
    """granian's server, which says that it stops before it does."""

    draining_file: Path
    drain_s: float

    def shutdown(self, exit_code: int = 0) -> None:
        self.draining_file.touch()
        if self.interrupt_signal:
            time.sleep(self.drain_s)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def serve(settings: CollectorSettings) -> None:
    """
    Run the collector until SIGTERM or SIGINT; then finish what is under way and return.

    Must be called in the main thread. On a signal `/readyz` turns false, after `drain_s` no connection
    is taken any more, and requests under way are answered.

    Raises:
        PortInUse: another process listens there.
        SystemExit: with status 1, a worker ended by itself, e.g. because the log could not be opened.
    """
    ensure_free(settings.host, settings.port)
    with tempfile.TemporaryDirectory(prefix="thumbline-collector-") as folder:
        run_dir = Path(folder)
        environ = replace(settings, run_dir=run_dir).to_environ()
        before = {name: os.environ.get(name) for name in environ}
        os.environ.update(environ)
        try:
            _server(settings, run_dir).serve()
        finally:
            _restore(before)


def _server(settings: CollectorSettings, run_dir: Path) -> _DrainingServer:
    server = _DrainingServer(
        _TARGET,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=settings.workers,
        backlog=BACKLOG,
        backpressure=room_for(settings.connections),
        blocking_threads=settings.threads + settings.vote_threads + _PROBE_THREADS,
        workers_kill_timeout=int(settings.stop_timeout_s),
        # One protocol, the one that the clients speak.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.header_timeout_s * 1000), max_buffer_size=MAX_BUFFER_BYTES
        ),
        websockets=False,
        # Its warnings are about thread counts that are chosen here on purpose.
        log_level=LogLevels.error,
    )
    server.draining_file = run_dir / DRAINING_FILE
    server.drain_s = settings.drain_s
    return server


def _restore(before: dict[str, Any]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
