"""A real server on loopback that speaks the wire protocol, and a way to run other processes."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import thumbline
from thumbline._log import QuietLog

SDK = str(Path(thumbline.__file__).parent.parent)


class CapturingServer:
    """Collector double: dedups by event id, answers each request as scripted, then normally."""

    def __init__(self):
        self.requests = []  # (headers, batch)
        self.times = []
        self.peers = []  # port of the client, by request
        self.stored = {}  # event id -> event
        self.received = []  # every event id of every request that was answered with verdicts
        self.script = []
        self.is_down = False
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def stop(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, headers, body):
        batch = json.loads(zlib.decompress(body, 31))
        with self._lock:
            self.requests.append((headers, batch))
            self.times.append(time.monotonic())
            scripted = self.script.pop(0) if self.script else None
            if callable(scripted):
                scripted = scripted(batch)
            if isinstance(scripted, int):
                return scripted, {}, b"no"
            if isinstance(scripted, tuple):
                return scripted
            return 200, {}, json.dumps(self.verdicts(batch, scripted)).encode()

    def verdicts(self, batch, told=None):
        verdicts = told or ["accepted"] * len(batch)
        for i, (event, verdict) in enumerate(zip(batch, verdicts, strict=True)):
            self.received.append(event["event_id"])
            if verdict == "accepted":
                if event["event_id"] in self.stored:
                    verdicts[i] = "duplicate"
                self.stored[event["event_id"]] = event
        return {
            "verdicts": verdicts,
            **{v: verdicts.count(v) for v in ("accepted", "duplicate", "rejected", "retry")},
        }

    def events(self, kind=None):
        found = sorted(self.stored.values(), key=lambda e: e["sequence"])
        return [event for event in found if kind in (None, event["kind"])]

    def wait_for(self, count, timeout_s=20.0):
        deadline = time.monotonic() + timeout_s
        while len(self.stored) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return len(self.stored)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """Aborted connections are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if owner.is_down:
            self.close_connection = True
            return
        assert self.path == "/v1/events"
        owner.peers.append(self.client_address[1])
        status, headers, content = owner.answer(dict(self.headers.items()), body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = CapturingServer()
    yield server
    server.stop()


@pytest.fixture
def make_client(server):
    """Clients of the server that wait little; closed at the end."""
    made = []

    def make(**options):
        options = {"spool": None, "flush_interval_s": 0.02, "backoff_initial_s": 0.01, "key": "k", **options}
        client = thumbline.Client(options.pop("url", server.url), **options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close(0.5)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No settings from outside, and no spool in anybody's home."""
    for name in list(os.environ):
        if name.startswith("THUMBLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", SDK)
    for name in ("_pipeline", "client", "_sender", "settings"):
        # Each test may see a warning that an earlier one saw.
        monkeypatch.setattr(f"thumbline.{name}._log", QuietLog(name.strip("_")))


@pytest.fixture
def run_python():
    """Run a program in a process of its own; its output, and how long it took."""

    def run(code, *args, check=True, quiet=True, wait=True):
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, args)]
        if not wait:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        done.seconds = time.monotonic() - start
        if check:
            assert done.returncode == 0, done.stderr
            assert "Traceback" not in done.stderr
            assert "Exception ignored" not in done.stderr
            assert not quiet or done.stderr == ""
        return done

    return run
