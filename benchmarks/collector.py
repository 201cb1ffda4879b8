"""
How much of a bare Flask route's throughput the collector keeps.

    PYTHONPATH=sdk:ingest python benchmarks/collector.py [--rounds 5] [--seconds 1.5] [--threads 64]

Servers run one worker pinned to one core, the load generator on another. All servers run all the
time; rounds are interleaved, and each ratio is the median over rounds of the same round's ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from thumbline._ids import uuid7
from thumbline_ingest.keys import KeyStore

HERE = Path(__file__).parent


def thumb(n: int) -> dict[str, object]:
    return {
        "event_id": uuid7(),
        "kind": "thumb",
        "occurred_at": "2026-11-24T10:00:00.123Z",
        "target_id": f"answer-{n}",
        "conversation_id": f"c-{n}",
        "rater": {"id": "r-9c1f", "kind": "human", "wrote_prompt": True},
        "value": "up",
        "tags": ["wrong"],
        "comment": "It says so, but that is not right.",
        "app": "support-chat",
        "surface": "web",
        "sdk": "thumbline-python/0.1.0",
        "training_consent": "granted",
        "properties": {"locale": "en"},
    }


def completion(n: int) -> dict[str, object]:
    return {
        "event_id": uuid7(),
        "kind": "completion",
        "occurred_at": "2026-11-24T10:00:00.123Z",
        "completion_id": f"answer-{n}",
        "conversation_id": f"c-{n}",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant. " * 5},
            {"role": "user", "content": 'How do I write "{a: 1}" in YAML,\nand why? ' * 4},
        ],
        "response": {"role": "assistant", "content": "Write it as it is, without the quotes. " * 17},
        "model": "acme-7b",
        "policy": "acme-7b@step-1200",
        "app": "support-chat",
        "author": "r-9c1f",
        "sdk": "thumbline-python/0.1.0",
        "training_consent": "granted",
        "properties": {"locale": "en"},
        "sampling": {"temperature": 0.7, "top_p": 0.95},
        "latency_ms": 812.5,
        "turn": 3,
    }


class Load:
    """Sends one batch again and again, with new event ids, over keep-alive connections."""

    def __init__(self, events: list[dict[str, object]], key: str) -> None:
        body = json.dumps(events, separators=(",", ":"), ensure_ascii=False).encode()
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.request = bytearray(head.encode() + body)
        self.places = [self.request.index(str(event["event_id"]).encode()) for event in events]
        self.batch = len(events)
        self.number = 0

    def next(self) -> bytes:
        self.number += 1
        fresh = b"%08x" % self.number
        for place in self.places:
            self.request[place : place + 8] = fresh
        return bytes(self.request)

    def run(self, port: int, seconds: float, count: int = 16) -> tuple[float, list[float]]:
        """Events per second, and each request's latency in seconds."""
        connections = [_Connection(port) for _ in range(count)]
        selector = selectors.DefaultSelector()
        latencies: list[float] = []
        for connection in connections:
            connection.send(self.next())
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            for ready, _ in selector.select(0.1):
                if ready.data.receive():
                    latencies.append(time.perf_counter() - ready.data.sent_at)
                    ready.data.send(self.next())
        took = time.perf_counter() - begin
        # What is under way is let end: the next load shall find an idle server.
        time.sleep(0.2)
        for connection in connections:
            connection.socket.close()
        return len(latencies) * self.batch / took, latencies


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        self.buffer += self.socket.recv(65536)
        head, _, body = self.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self.buffer[:300])
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) < length:
            return False
        if (b'"rejected":' in body and b'"rejected":0' not in body) or (
            b'"duplicate":' in body and b'"duplicate":0' not in body
        ):
            raise RuntimeError(body[:300])
        self.buffer = b""
        return True


def start(name: str, port: int, home: Path, args: argparse.Namespace) -> subprocess.Popen[bytes]:
    environ = os.environ | {
        "THUMBLINE_HOME": str(home),
        "THUMBLINE_LOG": f"sqlite:{home / 'log.sqlite'}",
        "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}",
    }
    if args.server == "gunicorn":
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-k",
            "gthread",
            "--threads",
            str(args.threads),
            "-w",
            "1",
            "-b",
            f"127.0.0.1:{port}",
            "--log-level",
            "error",
            f"collector_apps:{name}()",
        ]
    else:
        command = [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--factory",
            "--http",
            "1",
            "--port",
            str(port),
            "--blocking-threads",
            str(args.threads),
            "--log-level",
            "error",
            "--no-ws",
            f"collector_apps:{name}",
        ]
    return subprocess.Popen(["taskset", "-c", "0", *command], env=environ)


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"no server on {port}")


def measure(loads: dict[str, Load], ports: dict[str, int], args: argparse.Namespace) -> None:
    for label, load in loads.items():
        rates: dict[str, list[float]] = {name: [] for name in ports}
        tails: dict[str, list[float]] = {name: [] for name in ports}
        for port in ports.values():
            load.run(port, 0.3, args.connections)
        for _ in range(args.rounds):
            for name, port in ports.items():
                rate, latencies = load.run(port, args.seconds, args.connections)
                rates[name].append(rate)
                tails[name].append(statistics.quantiles(latencies, n=100)[98] * 1000)
        for name in ports:
            print(_row(label, name, rates, tails), flush=True)


def _row(label: str, name: str, rates: dict[str, list[float]], tails: dict[str, list[float]]) -> str:
    rate, tail = statistics.median(rates[name]), statistics.median(tails[name])
    row = f"{label:16} {name:10} {rate:9.0f} events/s  p99 {tail:6.1f} ms"
    for base in ("reference", "discard"):
        if base in rates and name not in (base, "reference"):
            ratios = [mine / theirs for mine, theirs in zip(rates[name], rates[base], strict=True)]
            row += f"  {statistics.median(ratios):.2f}x {base}"
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--server", choices=["granian", "gunicorn"], default="granian")
    parser.add_argument("--apps", nargs="+", default=["reference", "discard", "durable"])
    parser.add_argument("--loads", nargs="+", default=["completion-100", "thumb-100", "thumb-1"])
    args = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        home = Path(folder)
        key = KeyStore(home / "keys.json").create("bench")
        makers = {"completion": completion, "thumb": thumb}
        loads = {}
        for label in args.loads:
            kind, size = label.split("-")
            loads[label] = Load([makers[kind](n) for n in range(int(size))], key)
        ports = {name: 4700 + index for index, name in enumerate(args.apps)}
        servers = [start(name, port, home, args) for name, port in ports.items()]
        try:
            for port in ports.values():
                wait_for(port)
            measure(loads, ports, args)
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(20)


if __name__ == "__main__":
    main()
