"""What the collector's tests share: a stub log, Flask's test client, and a real server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient

from thumbline._ids import uuid7
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.keys import KeyStore
from thumbline_ingest.log import SqliteLog
from thumbline_ingest.log.base import Appended, Record


def thumb(**changes: Any) -> dict[str, Any]:
    """A good event with a new id."""
    return {
        "kind": "thumb", "event_id": uuid7(), "occurred_at": "2026-11-24T10:00:00Z", "target_id": "answer-1",
        "rater": {"id": "r-9c1f"}, "value": "up",
    } | changes  # fmt: skip


def thumb_json(inside: str | bytes) -> bytes:
    """A good event's JSON with `inside` as one more member, which need not be JSON."""
    more = inside if isinstance(inside, bytes) else inside.encode("utf-8", "surrogatepass")
    return json.dumps(thumb()).encode()[:-1] + b"," + more + b"}"


class StubWriter:
    """A log writer that does what the test says, over a list."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.answer: Appended | Exception = Appended()
        self.check_error: Exception | None = None
        self.on_append: Callable[[], None] = lambda: None

    def append(self, records: Sequence[Record]) -> Appended:
        self.on_append()
        if isinstance(self.answer, Exception):
            raise self.answer
        bad = {*self.answer.refused, *self.answer.failed}
        self.records.extend(record for place, record in enumerate(records) if place not in bad)
        return self.answer

    def check(self) -> None:
        if self.check_error is not None:
            raise self.check_error

    def close(self) -> None:
        pass


@dataclass
class App:
    """The collector behind Flask's test client."""

    client: FlaskClient
    key: str
    keys: KeyStore
    writer: StubWriter

    def post(self, body: Any, key: str | None = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.key if key is None else key}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/v1/events", data=data, headers=given, content_type="application/json")

    @property
    def events(self) -> list[Any]:
        """What is in the log."""
        return [json.loads(record.value)["event"] for record in self.writer.records]


@dataclass
class Server:
    """A collector in processes of its own, over a SQLite log."""

    settings: CollectorSettings
    key: str
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        environ = os.environ | self.settings.to_environ()
        self.process = subprocess.Popen([sys.executable, "-c", _SERVE], env=environ, start_new_session=True)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/livez")[0] == 200:
                    return
            assert self.process.poll() is None, "the collector ended"
            time.sleep(0.02)
        raise AssertionError("the collector did not start")

    def connect(self, timeout_s: float = 10) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=timeout_s)

    def get(self, path: str) -> tuple[int, bytes]:
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def post(
        self, events: Any, connection: http.client.HTTPConnection | None = None, **headers: str
    ) -> tuple[int, Any]:
        used = connection or self.connect()
        body = events if isinstance(events, (bytes, Iterator)) else json.dumps(events).encode()
        given = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | headers
        used.request("POST", "/v1/events", body, given, encode_chunked=isinstance(body, Iterator))
        response = used.getresponse()
        answer = json.loads(response.read())
        if connection is None:
            used.close()
        return response.status, answer

    def logged(self) -> list[Any]:
        """All events in the log's file."""
        reader = SqliteLog(self.settings.log_url.removeprefix("sqlite:")).reader("test")
        events: list[Any] = []
        try:
            reader.poll(0, 1)
            reader.seek({0: 0})
            while chunks := reader.poll(0, 10_000).chunks:
                events += [json.loads(value)["event"] for chunk in chunks for value in chunk.values]
        finally:
            reader.close()
        return events

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


_SERVE = """
from thumbline_ingest.collector.server import serve
from thumbline_ingest.collector.settings import CollectorSettings
if __name__ == "__main__":
    serve(CollectorSettings.from_environ())
"""
