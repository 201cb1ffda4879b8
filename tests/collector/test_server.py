"""The collector in processes of its own, over a SQLite log, through real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.collector.helpers import Server, thumb
from thumbline import limits
from thumbline_ingest.keys import KeyStore

Make = Callable[..., Server]


def ready(server: Server) -> tuple[bool, dict[str, Any]]:
    status, body = server.get("/readyz")
    answer = json.loads(body)
    assert answer["ready"] == (status == 200)
    return answer["ready"], answer["checks"]


def seconds_until(condition: Callable[[], bool], limit_s: float) -> float:
    begin = time.monotonic()
    while time.monotonic() - begin < limit_s:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_s} s")


class Hammer:
    """Threads that send batches until the server is gone, and remember every id that was acknowledged."""

    def __init__(self, server: Server, threads: int = 6, batch: int = 20) -> None:
        self.acknowledged: set[str] = set()
        self._server = server
        self._batch = batch
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def join(self) -> set[str]:
        for thread in self._threads:
            thread.join(20)
        return self.acknowledged

    def _run(self) -> None:
        connection = self._server.connect()
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                events = [thumb() for _ in range(self._batch)]
                status, answer = self._server.post(events, connection)
                if status == 200 and answer["accepted"] == self._batch:
                    self.acknowledged.update(event["event_id"] for event in events)
        connection.close()


def test_takes_events_in_every_wrapping(server: Server) -> None:
    """With a length, in chunks, and many on one connection: what is acknowledged is in the file."""
    events = [thumb() for _ in range(3)]

    with contextlib.closing(server.connect()) as connection:
        assert server.post(events[:1], connection)[1]["accepted"] == 1
        assert server.post(iter([b"[", json.dumps(events[1]).encode(), b"]"]), connection)[1]["accepted"] == 1
        assert server.post(events, connection)[1]["verdicts"] == ["duplicate", "duplicate", "accepted"]
    assert server.logged() == events


def test_chunks_stop_at_the_limit(server: Server) -> None:
    """A body without a length is cut off at the same limit."""

    def endless() -> Iterator[bytes]:
        for _ in range(limits.MAX_BODY_BYTES // 65536 + 20):
            yield b" " * 65536

    try:
        with contextlib.closing(server.connect()) as connection:
            status, answer = server.post(endless(), connection)
    except (BrokenPipeError, ConnectionResetError):
        # The server has answered and closed before the last chunk was sent.
        return
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


def test_declared_length_is_refused_unread(server: Server) -> None:
    """A body that says that it is too large is refused before it is sent."""
    with socket.create_connection(("127.0.0.1", server.settings.port), timeout=5) as connection:
        connection.sendall(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {limits.MAX_BODY_BYTES + 1}\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_slow_clients_block_nobody(make_server: Make) -> None:
    """Connections that send headers or bodies byte by byte leave others alone; headers have a deadline."""
    server = make_server(header_timeout_s=1.0)
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    body = head + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n["
    with contextlib.ExitStack() as stack:
        slow = []
        for text in [head] * 30 + [body] * 30 + [body.replace(server.key, "wrong")] * 30:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.settings.port), 5))
            connection.sendall(text.encode())
            slow.append(connection)

        begin = time.monotonic()
        for _ in range(20):
            assert server.post([thumb()])[1]["accepted"] == 1
        assert time.monotonic() - begin < 2

        # Without a key no thread waits for the body.
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 401")
        # An unfinished header ends with the connection.
        slow[0].settimeout(5)
        assert not slow[0].recv(100).startswith(b"HTTP/1.1 200")


def test_readiness_follows_the_log(server: Server) -> None:
    """Not ready soon after the log's file is gone; alive all the same; ready again after."""
    path = server.settings.data_dir / "log.sqlite"
    assert ready(server)[0]

    path.rename(path.with_suffix(".away"))
    seconds_until(lambda: not ready(server)[0], 20)
    assert not ready(server)[1]["log"]["ok"]
    assert server.get("/livez")[0] == 200
    assert b"thumbline_collector_log_up 0.0" in server.get("/metrics")[1]
    assert server.post([thumb()])[0] == 503

    path.with_suffix(".away").rename(path)
    seconds_until(lambda: ready(server)[0], 20)
    assert server.post([thumb()])[0] == 200


def test_hanging_log_does_not_hang_the_probes(make_server: Make) -> None:
    """While every request waits for a locked log, the probes answer at once, and say no soon."""
    server = make_server(threads=4)
    lock = sqlite3.connect(server.settings.data_dir / "log.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    waiting = [threading.Thread(target=server.post, args=([thumb()],)) for _ in range(6)]
    for thread in waiting:
        thread.start()

    begin = before = time.monotonic()
    time.sleep(0.5)
    while ready(server)[0]:
        assert time.monotonic() - before < 4
        assert time.monotonic() - begin < 20
        time.sleep(0.1)
        before = time.monotonic()
    assert server.get("/livez")[0] == 200
    assert not ready(server)[0]
    status, answer = server.post([thumb()])
    assert (status, answer["error"]["code"]) == (503, "unavailable")
    assert time.monotonic() - before < 4

    lock.execute("ROLLBACK")
    lock.close()
    for thread in waiting:
        thread.join()
    seconds_until(lambda: ready(server)[0], 20)


def test_full_disk_is_not_ready(make_server: Make) -> None:
    """Too little room on the disk makes it not ready; the log is said to be well."""
    server = make_server(min_free_fraction=1.0, min_free_bytes=2**60)

    is_ready, checks = ready(server)

    assert not is_ready
    assert (checks["log"]["ok"], checks["disk"]["ok"]) == (True, False)


def test_sigterm_under_load_loses_nothing_acknowledged(make_server: Make) -> None:
    """On SIGTERM readiness turns false first; every acknowledged id is in the log; status 0 in time."""
    server = make_server(drain_s=1.5)
    hammer = Hammer(server)
    seconds_until(lambda: len(hammer.acknowledged) > 500, 30)

    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    seconds_until(lambda: not ready(server)[0], 1.5)
    status = server.process.wait(15)
    took = time.monotonic() - begin

    acknowledged = hammer.join()
    assert status == 0
    assert took < 12
    assert len(acknowledged) > 500
    logged = {event["event_id"] for event in server.logged()}
    assert acknowledged <= logged


def workers_of(server: Server) -> list[int]:
    command = ["pgrep", "-P", str(server.process.pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(pid) for pid in found.stdout.split()]


def test_sigkill_of_a_worker_loses_nothing_acknowledged(server: Server) -> None:
    """A worker is killed: every acknowledged id is in the log, and the whole ends with an error."""
    hammer = Hammer(server)
    seconds_until(lambda: len(hammer.acknowledged) > 500, 30)

    for pid in workers_of(server):
        os.kill(pid, signal.SIGKILL)

    acknowledged = hammer.join()
    assert server.process.wait(25) == 1
    assert len(acknowledged) > 500
    assert acknowledged <= {event["event_id"] for event in server.logged()}
    server.start()
    assert ready(server)[0]


def test_workers_end_with_their_parent(server: Server) -> None:
    """Where the main process is killed, nothing keeps listening; what was acknowledged is in the log."""
    hammer = Hammer(server)
    time.sleep(0.5)

    assert server.stop(signal.SIGKILL) == -signal.SIGKILL

    def refused() -> bool:
        try:
            server.get("/livez")
        except OSError:
            return True
        return False

    seconds_until(refused, 20)
    assert hammer.join() <= {event["event_id"] for event in server.logged()}


def test_ctrl_c_is_no_failure(make_server: Make) -> None:
    """Ctrl-C reaches every process of the terminal's group, and still drains and ends with status 0."""
    server = make_server(drain_s=1.5)
    hammer = Hammer(server)
    time.sleep(0.3)

    os.killpg(server.process.pid, signal.SIGINT)
    seconds_until(lambda: not ready(server)[0], 1.5)

    assert server.process.wait(25) == 0
    assert hammer.join() <= {event["event_id"] for event in server.logged()}


def test_two_workers_count_together(make_server: Make) -> None:
    """Whichever worker answers, the counters are those of all."""
    server = make_server(workers=2)
    for _ in range(30):
        server.post([thumb(), thumb(value="maybe")])

    def counted() -> bool:
        text = server.get("/metrics")[1]
        return b'events_total{verdict="accepted"} 30.0' in text and b'rejected_total{field="value"} 30.0' in text

    seconds_until(counted, 20)
    assert b'accepted_total{kind="thumb"} 30.0' in server.get("/metrics")[1]
    assert len(server.logged()) == 30
    assert server.stop() == 0


def test_keys_change_while_it_runs(server: Server) -> None:
    """A new key works and a revoked one stops working soon: within two seconds where the machine has time."""
    keys = KeyStore(server.settings.keys_path)
    other = replace_key(server, keys.create("other"))
    seconds_until(lambda: other.post([thumb()])[0] == 200, 15)

    keys.revoke(other.key.split("_")[1])

    seconds_until(lambda: other.post([thumb()])[0] == 401, 15)
    assert server.post([thumb()])[0] == 200


def replace_key(server: Server, key: str) -> Server:
    return Server(server.settings, key)


def test_port_in_use(server: Server) -> None:
    """A second collector on the same port does not start, although the socket would allow it."""
    environ = os.environ | server.settings.to_environ()
    code = "from thumbline_ingest.collector.server import *; from thumbline_ingest.collector.settings import *\n"
    code += "try: serve(CollectorSettings.from_environ())\nexcept PortInUse as error: print(error)"

    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=20)

    assert f"127.0.0.1:{server.settings.port}" in done.stdout


def test_log_that_cannot_be_opened(make_server: Make) -> None:
    """Without a log it ends instead of running without one."""
    with pytest.raises(AssertionError, match="the collector ended"):
        make_server(log_url="sqlite:/nonexistent/folder/log.sqlite")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/openapi.json"])
def test_pages(server: Server, path: str) -> None:
    """Each page that the index names is there."""
    assert server.get(path)[0] == 200


def test_idle_connections_do_not_make_it_deaf(server: Server) -> None:
    """2,048 of them, with nothing sent and with half a request: probes and events are answered at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for number in range(2_048):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", server.settings.port)))
            if number % 2:
                idle.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        assert server.get("/livez")[0] == 200
        assert ready(server)[0]
        assert server.post([thumb()])[1]["accepted"] == 1
        # The first of them are let go after 10 s: it has not waited for that.
        assert time.monotonic() - began < 5
