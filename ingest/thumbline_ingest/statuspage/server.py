"""The process that serves the page: granian with one worker."""

from __future__ import annotations

import os
from typing import Final

from flask import Flask
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from thumbline_ingest.ports import ensure_free
from thumbline_ingest.workers import BACKLOG, MAX_BUFFER_BYTES, Server, room_for

from .app import create_app
from .settings import ENVIRONMENT_NAME, StatusPageSettings

_THREADS: Final = 8
_CONNECTIONS: Final = 4_096
_HEADER_TIMEOUT_MS: Final = 10_000
_STOP_TIMEOUT_S: Final = 5


def serve(settings: StatusPageSettings) -> None:
    """
    Run the page until SIGTERM or SIGINT. Must be called in the main thread.

    Raises:
        NotSafe: the page would be open to others.
        PortInUse: another process listens there.
    """
    settings.check()
    ensure_free(settings.host, settings.port)
    os.environ.update(settings.to_environ())
    try:
        _server(settings).serve()
    finally:
        os.environ.pop(ENVIRONMENT_NAME, None)


def create() -> Flask:
    """The application of the serving process, with settings from the environment."""
    return create_app(StatusPageSettings.from_environ())


def _server(settings: StatusPageSettings) -> Server:
    # granian as for the collector, and not werkzeug's server: that one is for development, knows no time limit
    # for headers, and the page may be opened to a network. One worker, so that there is one look at a time.
    return Server(
        "thumbline_ingest.statuspage.server:create",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        # Idle connections must not keep others waiting.
        backlog=BACKLOG,
        backpressure=room_for(_CONNECTIONS),
        blocking_threads=_THREADS,
        workers_kill_timeout=_STOP_TIMEOUT_S,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT_MS, max_buffer_size=MAX_BUFFER_BYTES),
        websockets=False,
        log_level=LogLevels.error,
    )
