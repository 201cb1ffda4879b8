"""What this machine's collector says of itself: its `/metrics` and whether it is ready."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_TIMEOUT_S: Final = 2.0
_MAX_BYTES: Final = 256 * 1024
_LINE: Final = re.compile(r'^thumbline_collector_(\w+?)(?:_total)?(?:\{\w+="([^"]*)"\})? ([0-9.e+]+)$', re.MULTILINE)


@dataclass(frozen=True)
class CollectorState:
    """
    A collector, as it answers.

    Attributes:
        is_ready: it takes events now.
        problem: why it does not; empty where it does.
        verdicts: verdict -> events since it started.
        requests: status -> requests to either route since it started.
        lost_notes: rejections since it started that could not be kept for this page.
    """

    is_ready: bool
    problem: str
    verdicts: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    lost_notes: int = 0


def read_collector(host: str, port: int) -> CollectorState:
    """
    Ask a collector.

    Raises:
        OSError: it does not answer.
    """
    status, body = _get(host, port, "/readyz")
    ready, problem = _readiness(status, body)
    _, metrics = _get(host, port, "/metrics")
    numbers: dict[tuple[str, str], int] = {}
    for name, label, value in _LINE.findall(metrics.decode("utf-8", "replace")):
        numbers[name, label] = int(float(value))
    requests: Counter[str] = Counter()
    for (name, label), count in numbers.items():
        if name in ("batches", "vote_batches"):
            requests[label] += count
    verdicts = Counter({label: count for (name, label), count in numbers.items() if name == "events"})
    return CollectorState(ready, problem, verdicts, requests, numbers.get(("lost_notes", ""), 0))


def url_of(host: str, port: int) -> str:
    """The collector's address, as this machine reaches it."""
    reached = _reached(host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _readiness(status: int, body: bytes) -> tuple[bool, str]:
    try:
        found = json.loads(body)
        bad = [f"{name}: {check['message']}" for name, check in found["checks"].items() if not check["ok"]]
        return bool(found["ready"]), "; ".join(bad)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False, f"something that is no collector answers there, with status {status}"


def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection(_reached(host), port, timeout=_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(_MAX_BYTES)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {type(error).__name__}") from error


def _reached(host: str) -> str:
    # What listens everywhere is reached on loopback.
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
