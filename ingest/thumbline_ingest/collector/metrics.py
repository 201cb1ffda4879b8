"""What the collector counts, for Prometheus; every label has a small, fixed set of values."""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from thumbline.events import KINDS, Event
from thumbline.problems import Problem

from .batch import Batch
from .verdicts import VERDICTS, Verdict

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STATUSES: Final = (200, 400, 401, 411, 413, 415, 500, 503)


def _known_fields() -> frozenset[str]:
    from typing import get_args

    return frozenset(name for model in get_args(Event) for name in model.model_fields)


class Metrics:
    """The collector's own registry; `prometheus_client`'s global one is left alone."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        events = Counter("thumbline_collector_events", "Events by verdict.", ["verdict"], registry=registry)
        kinds = Counter("thumbline_collector_accepted", "Accepted events by kind.", ["kind"], registry=registry)
        batches = Counter("thumbline_collector_batches", "Requests by status.", ["status"], registry=registry)
        self._rejected = Counter(
            "thumbline_collector_rejected", "Problems of rejected events by top-level field.", ["field"], registry=registry
        )
        self._bytes = Counter("thumbline_collector_body_bytes", "Bytes of bodies, inflated.", registry=registry)
        self.request_seconds = Histogram(
            "thumbline_collector_request_seconds", "Time from headers to answer.", buckets=_SECONDS, registry=registry
        )
        self._append_seconds = Histogram(
            "thumbline_collector_append_seconds", "Time that the log took.", buckets=_SECONDS, registry=registry
        )
        self.inflight_bytes = Gauge(
            "thumbline_collector_inflight_bytes", "Bytes of bodies held now.", registry=registry, multiprocess_mode="livesum"
        )
        self.log_up = Gauge(
            "thumbline_collector_log_up", "1 while the log takes records.", registry=registry, multiprocess_mode="livemin"
        )
        # A labelled child is looked up under a lock: done once here, not in every request.
        self._events = {verdict: events.labels(verdict) for verdict in VERDICTS}
        self._kinds = {kind: kinds.labels(kind) for kind in KINDS}
        self._batches = {status: batches.labels(str(status)) for status in _STATUSES}
        self._fields = _known_fields()

    def appending(self) -> AbstractContextManager[object]:
        """Measures one append."""
        return self._append_seconds.time()

    def count_body(self, size: int) -> None:
        """A body of `size` bytes was read."""
        self._bytes.inc(size)

    def count_batch(self, status: int) -> None:
        """A request was answered with `status`."""
        self._batches.get(status, self._batches[500]).inc()

    def count_events(self, verdicts: Sequence[Verdict], batch: Batch) -> None:
        """The verdicts of a batch. `batch` holds the events that went to the log."""
        for verdict, count in Tally(verdicts).items():
            self._events[verdict].inc(count)
        for kind, count in Tally(batch.kinds).items():
            self._kinds[kind].inc(count)
        for rejection in batch.rejections.values():
            for problem in rejection.problems:
                self._rejected.labels(self._top_field(problem)).inc()

    def render(self) -> bytes:
        """The text that Prometheus reads; all workers' where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _top_field(self, problem: Problem) -> str:
        name = problem.field.split(".")[0]
        return name if name in self._fields else "other" if name else "event"
