"""
What the collector refused lately: written by its workers into the home folder, read by the status page.

A refused event is answered at once and stored nowhere else. What is kept of it is what its sender was told:

    {"at": 1764000000.1, "route": "/v1/events", "project": "demo", "event_id": "0192...", "kind": "thumb",
     "field": "value", "reason": "Input should be 'up', 'down' or 'retracted'"}

Never a value that was sent. Each worker has one file, which holds its last ones and counts the others; a worker
takes the first free place, so that restarts add no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "rejections"
"""Its name in the home folder."""

CAPACITY: Final = 200
"""Rejected events that a worker keeps."""

PLACES: Final = 64
"""Workers that are given a file."""

_VERSION: Final = 1
# Above what a full file takes: an entry is below 1 KB.
_MAX_FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class RejectedEvent:
    """
    An event that was refused.

    Attributes:
        at: Unix time in seconds.
        route: where it was sent to.
        project: what its key or receipt writes to; empty where that is not known.
        event_id: as its sender has it; empty where it is none.
        kind: its kind; empty where it is none.
        field: the field that is wrong; empty where it is the event itself.
        reason: what is wrong with it.
    """

    at: float
    route: str
    project: str
    event_id: str
    kind: str
    field: str
    reason: str


@dataclass(frozen=True)
class RefusedRequests:
    """
    Requests that were refused as a whole for the same reason.

    Attributes:
        route: where they were sent to.
        status: HTTP status.
        code: name of the reason, e.g. `bad_key`.
        count: how many.
        last_at: Unix time of the last one.
    """

    route: str
    status: int
    code: str
    count: int
    last_at: float


@dataclass(frozen=True)
class Rejections:
    """
    What was refused lately.

    Attributes:
        events: newest first.
        requests: the most recent first.
        not_kept: rejected events of which only the number is known: a request had too many, or others came since.
    """

    events: tuple[RejectedEvent, ...] = ()
    requests: tuple[RefusedRequests, ...] = ()
    not_kept: int = 0


def to_bytes(found: Rejections) -> bytes:
    """A worker's file."""
    content = {
        "v": _VERSION,
        "events": [asdict(event) for event in found.events],
        "requests": [asdict(request) for request in found.requests],
        "not_kept": found.not_kept,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def read_file(path: Path) -> Rejections:
    """One worker's file; nothing where there is none, or none that this version knows."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_FILE_BYTES))
        return _parsed(content)
    except (OSError, ValueError, TypeError, KeyError):
        return Rejections()


def read_folder(folder: Path) -> Rejections:
    """What all workers of this machine have left in the home folder's `rejections`."""
    return _together(read_file(path) for path in sorted(folder.glob("*.json"))[:PLACES])


def _parsed(content: Any) -> Rejections:
    if content["v"] != _VERSION:
        return Rejections()
    return Rejections(
        tuple(RejectedEvent(**event) for event in content["events"]),
        tuple(RefusedRequests(**request) for request in content["requests"]),
        int(content["not_kept"]),
    )


def _together(parts: Iterable[Rejections]) -> Rejections:
    events: list[RejectedEvent] = []
    requests: dict[tuple[str, int, str], RefusedRequests] = {}
    not_kept = 0
    for part in parts:
        events += part.events
        not_kept += part.not_kept
        for one in part.requests:
            key = (one.route, one.status, one.code)
            before = requests.get(key, RefusedRequests(*key, 0, 0.0))
            requests[key] = RefusedRequests(*key, before.count + one.count, max(before.last_at, one.last_at))
    return Rejections(
        tuple(sorted(events, key=lambda event: event.at, reverse=True)),
        tuple(sorted(requests.values(), key=lambda request: request.last_at, reverse=True)),
        not_kept,
    )
