"""
One SDK in a process of its own: calls it, and prints what was measured.

    python benchmarks/sdk_worker.py thumbline|langfuse|segment call|drain URL COUNT

`call`: median of the calls, in microseconds. `drain`: events a second, from the first call to the end of the flush.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

COMMENT = ("It says so, but that is not right. " * 6)[:200]
TRACE = "0af7651916cd43dd8448eb211c80319c"
Record = Callable[[int], object]
Flush = Callable[[], object]


def thumbline(url: str) -> tuple[Record, Flush]:
    from thumbline import Client

    client = Client(
        url, key="tlk_benchmark_0123456789", spool=None, max_queue_bytes=512 * 1024 * 1024, training_consent="granted"
    )

    def flush() -> None:
        client.flush(120)
        stats = client.stats()
        if stats.accepted != stats.created:
            raise SystemExit(f"not everything arrived: {stats}")

    return lambda n: client.thumb(f"answer-{n}", "up", rater="user-42", tags=["wrong"], comment=COMMENT), flush


def langfuse(url: str) -> tuple[Record, Flush]:
    from langfuse import Langfuse

    client = Langfuse(public_key="pk-lf-1", secret_key="sk-lf-1", base_url=url)
    return lambda n: client.create_score(name="thumb", value=1.0, trace_id=TRACE, comment=COMMENT), client.flush


def segment(url: str) -> tuple[Record, Flush]:
    from segment.analytics.client import Client

    lost: list[object] = []
    client = Client("write-key", host=url, max_queue_size=200_000, on_error=lambda error, items: lost.append(error))

    def flush() -> None:
        client.flush()
        if lost:
            raise SystemExit(f"not everything arrived: {lost[0]}")

    properties = {"target_id": "answer-1", "value": "up", "tags": ["wrong"], "comment": COMMENT}
    return lambda n: client.track("user-42", "thumb", properties), flush


def main() -> None:
    name, mode, url, count = sys.argv[1:]
    record, flush = {"thumbline": thumbline, "langfuse": langfuse, "segment": segment}[name](url)
    for n in range(200):
        record(n)
    flush()
    if mode == "call":
        clock, took = time.perf_counter_ns, []
        for n in range(int(count)):
            begin = clock()
            record(n)
            took.append(clock() - begin)
        print(statistics.median(took) / 1000)
        flush()
    else:
        start = time.perf_counter()
        for n in range(int(count)):
            record(n)
        flush()
        print(int(count) / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
