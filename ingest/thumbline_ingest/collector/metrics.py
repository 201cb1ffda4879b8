"""What the collector counts, for Prometheus; every label has a small, fixed set of values."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from thumbline.events import KINDS, Event

from .batch import Batch
from .verdicts import VERDICTS, Verdict

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX: Final = "thumbline_collector_"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Counter -> its label, what it says, and the values of the label that are there from the start.
_COUNTERS: Final[Mapping[str, tuple[str, str, Sequence[str]]]] = {
    "events": ("verdict", "Events by verdict.", VERDICTS),
    "accepted": ("kind", "Accepted events by kind.", KINDS),
    "batches": ("status", "Requests to /v1/events by status.", ("200", "400", "401", "413", "503")),
    "vote_batches": ("status", "Requests to /v1/votes by status.", ("200", "400", "403", "413", "429", "503")),
    "rejected": ("field", "Problems of rejected events by top-level field.", ()),
    "changed": ("field", "Accepted events that were changed so that they could be kept, by top-level field.", ()),
    "lost_notes": ("", "Rejections that could not be kept for the status page.", ("",)),
    "body_bytes": ("", "Bytes of bodies, after inflating.", ("",)),
}
_HISTOGRAMS: Final = {
    "request_seconds": "Seconds from a request's headers to its answer.",
    "append_seconds": "Seconds that the log took for a batch.",
}
_GAUGES: Final = {
    "inflight_bytes": "Bytes of bodies held now.",
    "log_up": "1 while the log takes records; with several workers, the number of them that find it so.",
}


class Metrics(Collector):
    """
    Counters of one process, and the sum over the processes of one collector.

    `prometheus_client`'s own counters take a lock for each of the numbers that a request changes, which
    shows at one event per request. Here one lock covers them, and the library only writes them out.

    Args:
        shared_dir: folder in which the processes of one collector leave their numbers for each other;
            None where there is one process.
    """

    def __init__(self, shared_dir: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self._gauges: dict[str, float] = dict.fromkeys(_GAUGES, 0.0)
        self._shared_dir = shared_dir
        self._fields = frozenset(name for model in get_args(Event) for name in model.model_fields) | {"receipt"}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def set(self, gauge: str, value: float) -> None:
        """Set `inflight_bytes` or `log_up`."""
        self._gauges[gauge] = value

    def count_request(self, status: int, seconds: float, route: Literal["batches", "vote_batches"] = "batches") -> None:
        """A request was answered with `status` after `seconds`."""
        bucket = bisect_left(_SECONDS, seconds)
        with self._lock:
            numbers = self._numbers
            numbers[f"{route} {status}"] += 1
            numbers[f"request_seconds {bucket}"] += 1
            numbers["request_seconds sum"] += seconds  # type: ignore[assignment]

    def count_append(self, seconds: float) -> None:
        """The log took `seconds` for a batch."""
        bucket = bisect_left(_SECONDS, seconds)
        with self._lock:
            self._numbers[f"append_seconds {bucket}"] += 1
            self._numbers["append_seconds sum"] += seconds  # type: ignore[assignment]

    def count_events(self, body_bytes: int, verdicts: Sequence[Verdict], batch: Batch) -> None:
        """The verdicts of a body. `batch` holds the events that are in the log now."""
        with self._lock:
            numbers = self._numbers
            numbers["body_bytes "] += body_bytes
            for verdict in set(verdicts):
                numbers[f"events {verdict}"] += verdicts.count(verdict)
            for kind in set(batch.kinds):
                numbers[f"accepted {kind}"] += batch.kinds.count(kind)
            for rejection in batch.rejections.values():
                for problem in rejection.problems:
                    numbers[f"rejected {self._top_field(problem.field)}"] += 1
            for index, fields in batch.changed.items():
                if verdicts[index] == "accepted":
                    numbers.update(f"changed {self._top_field(field)}" for field in fields)

    def count_lost_notes(self, count: int) -> None:
        """So many rejections could not be kept for the status page."""
        with self._lock:
            self._numbers["lost_notes "] += count

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)

    def share(self) -> None:
        """Leave this process's numbers for the others; called about once a second."""
        if self._shared_dir is None:
            return
        with self._lock:
            text = json.dumps([self._numbers, self._gauges])
        temporary = self._shared_dir / f"metrics-{os.getpid()}.tmp"
        # A full disk must not end the thread that looks at log and disk: the numbers are left with the next call.
        with contextlib.suppress(OSError):
            temporary.write_text(text)
            temporary.replace(temporary.with_suffix(".json"))

    def collect(self) -> Iterable[Metric]:
        """For `prometheus_client`: everything as metric families."""
        self.share()
        numbers, gauges = self._together()
        for name, (label, about, values) in _COUNTERS.items():
            yield _counter(name, label, about, {key: numbers[f"{name} {key}"] for key in _keys(numbers, name, values)})
        for name, about in _HISTOGRAMS.items():
            yield _histogram(name, about, numbers)
        for name, about in _GAUGES.items():
            yield GaugeMetricFamily(_PREFIX + name, about, gauges[name])

    def _together(self) -> tuple[Counter[str], Counter[str]]:
        if self._shared_dir is None:
            with self._lock:
                return Counter(self._numbers), Counter(self._gauges)
        numbers: Counter[str] = Counter()
        gauges: Counter[str] = Counter()
        for path in self._shared_dir.glob("metrics-*.json"):
            with contextlib.suppress(OSError, ValueError):
                theirs = json.loads(path.read_text())
                numbers.update(theirs[0])
                gauges.update(theirs[1])
        return numbers, gauges

    def _top_field(self, path: str) -> str:
        name = path.split(".")[0]
        return name if name in self._fields else "other" if name else "event"


def _keys(numbers: Mapping[str, float], name: str, values: Sequence[str]) -> Iterator[str]:
    yield from values
    for key in sorted(numbers):
        counter, _, value = key.partition(" ")
        if counter == name and value not in values:
            yield value


def _counter(name: str, label: str, about: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, about, labels=[label] if label else [])
    for value, number in values.items():
        family.add_metric([value] if label else [], number)
    return family


def _histogram(name: str, about: str, numbers: Mapping[str, float]) -> Metric:
    # Prometheus wants each bucket to hold the smaller ones too.
    below = 0.0
    buckets: list[tuple[str, float]] = []
    for index, bound in enumerate((*map(str, _SECONDS), "+Inf")):
        below += numbers[f"{name} {index}"]
        buckets.append((bound, below))
    return HistogramMetricFamily(_PREFIX + name, about, buckets=buckets, sum_value=numbers[f"{name} sum"])
