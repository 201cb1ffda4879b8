"""Keeps the last rejections on disk for the status page: best effort, and never in a request's way."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from typing import Final, get_args

from thumbline.events import Event, Message, Rater
from thumbline.problems import Problem
from thumbline_ingest.rejections import (
    CAPACITY,
    PLACES,
    RefusedRequests,
    RejectedEvent,
    Rejections,
    read_file,
    to_bytes,
)
from thumbline_ingest.slots import take_slot

from .errors import RequestRefused
from .strict import plain_name
from .verdicts import Rejection

# Of one request: a batch of a thousand bad events must cost no more than one of a few.
_PER_REQUEST: Final = 20
_MAX_REASON_CHARS: Final = 300
# Different reasons for refusing a request; there are about a dozen.
_MAX_REQUEST_KINDS: Final = 64
_WRITE_INTERVAL_S: Final = 0.25
_FIELDS: Final = frozenset(name for model in (*get_args(Event), Rater, Message) for name in model.model_fields)


class RejectionRing:
    """
    The last rejections of one process, in a file that is written by a thread of its own.

    Args:
        folder: where the collector's workers have their files; made when needed.
        on_lost: told how many rejections could not be kept.
        capacity: rejected events that are kept.
    """

    def __init__(self, folder: Path, on_lost: Callable[[int], None], capacity: int = CAPACITY) -> None:
        self._folder = folder
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._events: deque[RejectedEvent] = deque(maxlen=capacity)
        self._requests: dict[tuple[str, int, str], RefusedRequests] = {}
        self._not_kept = 0
        self._unwritten = 0
        self._file: Path | None = None
        self._place = -1
        self._changed = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def note_events(self, route: str, project: str, rejections: Collection[Rejection]) -> None:
        """Remember why events were refused; cheap, and never raises."""
        try:
            now = time.time()
            kept = [_entry(now, route, project, one) for one in islice(rejections, _PER_REQUEST)]
            with self._lock:
                over = max(0, len(self._events) + len(kept) - (self._events.maxlen or 0))
                self._not_kept += over + len(rejections) - len(kept)
                self._events.extend(kept)
            self._tell(len(rejections))
        except Exception:  # noqa: BLE001 - the sender's answer must not depend on this
            self._lose(len(rejections))

    def note_request(self, route: str, refusal: RequestRefused) -> None:
        """Remember that a request was refused as a whole; cheap, and never raises."""
        try:
            key = (route, refusal.status, refusal.code)
            with self._lock:
                if key not in self._requests and len(self._requests) >= _MAX_REQUEST_KINDS:
                    return
                count = self._requests[key].count if key in self._requests else 0
                self._requests[key] = RefusedRequests(*key, count + 1, time.time())
            self._tell(0)
        except Exception:  # noqa: BLE001 - as above
            self._lose(1)

    def close(self) -> None:
        """Write what is not written yet, and leave the place to another process."""
        self._closed.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(2)
        if self._place >= 0:
            os.close(self._place)
            self._place = -1

    def _tell(self, events: int) -> None:
        with self._lock:
            self._unwritten += events
            if self._thread is None and not self._closed.is_set():
                # With the first rejection: a collector that refuses nothing has neither thread nor file.
                self._thread = threading.Thread(target=self._run, name="thumbline-rejections", daemon=True)
                self._thread.start()
        self._changed.set()

    def _run(self) -> None:
        while True:
            self._changed.wait()
            # Others that come meanwhile are written with it.
            self._closed.wait(_WRITE_INTERVAL_S)
            self._changed.clear()
            self._write()
            if self._closed.is_set():
                return

    def _write(self) -> None:
        with self._lock:
            unwritten, self._unwritten = self._unwritten, 0
        try:
            self._claim()
            if self._file is None:
                raise OSError("no free place")
            with self._lock:
                found = Rejections(tuple(self._events), tuple(self._requests.values()), self._not_kept)
            temporary = self._file.with_suffix(".tmp")
            temporary.write_bytes(to_bytes(found))
            temporary.replace(self._file)
        except Exception:  # noqa: BLE001 - a full disk or a folder that is gone: counted, and tried again next time
            self._lose(unwritten)

    def _claim(self) -> None:
        """Take the first free place of the folder, with what its last owner has left there."""
        if self._file is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = take_slot(self._folder / f"{number}.lock" for number in range(PLACES))
        if taken is None:
            return
        number, self._place = taken
        self._file = self._folder / f"{number}.json"
        self._go_on_from(read_file(self._file))

    def _go_on_from(self, before: Rejections) -> None:
        with self._lock:
            events = (*before.events, *self._events)
            self._events.clear()
            # The oldest go where there is not room for all.
            self._events.extend(events)
            self._not_kept += before.not_kept + len(events) - len(self._events)
            for one in before.requests[:_MAX_REQUEST_KINDS]:
                key = (one.route, one.status, one.code)
                mine = self._requests.get(key, RefusedRequests(*key, 0, 0.0))
                self._requests[key] = RefusedRequests(*key, one.count + mine.count, max(one.last_at, mine.last_at))

    def _lose(self, count: int) -> None:
        with contextlib.suppress(Exception):
            self._on_lost(count)


def _entry(now: float, route: str, project: str, rejection: Rejection) -> RejectedEvent:
    problem = rejection.problems[0] if rejection.problems else Problem("", "?")
    return RejectedEvent(
        at=now,
        route=route,
        project=rejection.project or project,
        event_id=rejection.event_id or "",
        kind=rejection.kind or "",
        field=_plain_field(problem.field),
        reason=problem.message[:_MAX_REASON_CHARS],
    )


def _plain_field(path: str) -> str:
    """A field's path in which only our own names and places are left: keys further down are the host's own words."""
    first, *others = path.split(".")
    return ".".join([plain_name(first) if first else "", *(s if s.isdigit() or s in _FIELDS else "?" for s in others)])
