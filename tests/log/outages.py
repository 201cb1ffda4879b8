"""Writers that go on through an outage, and what is held against them afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from flask.testing import FlaskClient

from tests.events import log_records, thumb
from tests.processes import wait_for
from thumbline_ingest.collector.app import create_app
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.keys import KeyStore
from thumbline_ingest.loader import Loader, LoaderSettings
from thumbline_ingest.log import Log, LogUnavailable
from thumbline_ingest.log.base import LogWriter
from thumbline_warehouse.connect import connect
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

_THREADS = 4


class Writers:
    """
    Threads that append through one writer without a pause, as a collector's do, and the collector's probes over it.

    Attributes:
        acknowledged: event ids that the log said it has.
        last_success_at: when the last append that succeeded was begun.
    """

    def __init__(self, log: Log, folder: Path) -> None:
        self.log = log
        self.acknowledged: list[str] = []
        self.last_success_at = 0.0
        self._folder = folder
        self._stop = threading.Event()
        self._stack = ExitStack()
        self.writer: LogWriter = self._stack.enter_context(closing(log.writer()))
        settings = CollectorSettings("unused", folder / "keys.json", folder, check_interval_s=0.5)
        app = create_app(settings, self.writer, KeyStore(folder / "keys.json"))
        self._stack.callback(app.extensions["thumbline"].close)
        self._client: FlaskClient = app.test_client()
        self._threads = [threading.Thread(target=self._append, args=(number,)) for number in range(_THREADS)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.acknowledged) > 20, what="writers write")
        assert self.is_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._stack.close()

    def stop(self) -> None:
        """Append no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more events are acknowledged."""
        enough = len(self.acknowledged) + count
        wait_for(lambda: len(self.acknowledged) >= enough, 30, f"{count} more events are acknowledged")

    def is_ready(self) -> bool:
        """What `/readyz` says of the log."""
        return bool(self._client.get("/readyz").json["checks"]["log"]["ok"])

    def log_up(self) -> bool:
        """What `/metrics` says of it."""
        return b"thumbline_collector_log_up 1.0" in self._client.get("/metrics").data

    def seconds_until_one_succeeds(self, since: float, timeout_s: float) -> float:
        """Wait for an append that was begun after `since` and succeeded."""
        wait_for(lambda: self.last_success_at >= since, timeout_s, "an append succeeds again")
        return time.monotonic() - since

    def _append(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            events = [thumb(f"a{number}-{count}-{i}", "up", conversation_id=f"c{count % 97}") for i in range(5)]
            count += 1
            began = time.monotonic()
            try:
                result = self.writer.append(log_records(events))
            except LogUnavailable as error:
                self._stop.wait(min(error.retry_after_s, 0.2))
                continue
            taken = [one for place, one in enumerate(events) if place not in result.failed]
            self.acknowledged += [one["event_id"] for one in taken]
            if len(taken) == len(events):
                self.last_success_at = max(self.last_success_at, began)
            self._stop.wait(0.01)

    def assert_landed_once(self) -> None:
        """Land everything; nothing that was acknowledged is missing, and nothing is there twice."""
        self.stop()
        url = WarehouseUrl.parse(f"ducklake:{self._folder}/warehouse/catalog.sqlite")
        with closing(DuckLakeStore(url)) as store:
            Loader(self.log, store, LoaderSettings(max_batch_age_s=0.2)).run(threading.Event(), until_empty=True)
        with closing(connect(url, read_only=True)) as db:
            landed = [str(event_id) for (event_id,) in db.execute("SELECT event_id FROM events").fetchall()]
        assert len(landed) == len(set(landed))
        assert not set(self.acknowledged) - set(landed)


def outage(writers: Writers, begin: Callable[[], None], end: Callable[[], None], length_s: float) -> float:
    """
    Have an outage of this length under running writers.

    The collector must say that its log is away, and say otherwise when it is back.

    Returns:
        Seconds from its end until an append succeeded.
    """
    began = time.monotonic()
    begin()
    wait_for(lambda: not writers.is_ready() and not writers.log_up(), length_s - 1, "readiness and log_up false")
    while (left := began + length_s - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))
        assert not writers.is_ready()
        assert not writers.log_up()
    end()
    back = writers.seconds_until_one_succeeds(time.monotonic(), 15)
    wait_for(lambda: writers.is_ready() and writers.log_up(), 15, "readiness and log_up true again")
    return back
