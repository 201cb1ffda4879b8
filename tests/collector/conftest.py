from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.collector.helpers import App, Server, StubWriter
from thumbline_ingest.collector.app import create_app
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.keys import KeyStore
from thumbline_ingest.ports import free_port


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., App]]:
    made: list[Any] = []

    def make(**changes: Any) -> App:
        settings = replace(CollectorSettings("memory:", tmp_path / "keys.json", tmp_path), **changes)
        keys = KeyStore(settings.keys_path)
        writer = StubWriter()
        app = create_app(settings, writer, keys)
        made.append(app.extensions["thumbline"])
        return App(app.test_client(), keys.create("demo"), keys, writer)

    yield make
    for collector in made:
        collector.close()


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    return make_app()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(**changes: Any) -> Server:
        settings = CollectorSettings(
            f"sqlite:{tmp_path / 'log.sqlite'}",
            tmp_path / "keys.json",
            tmp_path,
            port=free_port(),
            drain_s=0.3,
        )
        key = KeyStore(settings.keys_path).create("demo")
        server = Server(replace(settings, **changes), key)
        server.start()
        made.append(server)
        return server

    yield make
    for server in made:
        if server.process.poll() is None:
            server.process.terminate()
            try:
                server.process.wait(12)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server()
