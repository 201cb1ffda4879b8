"""
`KafkaWriter.append` by the request of 100 events, against kafka-python's producer sending the same
records with the same settings and waiting for each request's last one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.measure import interleave, ratio, table
from tests.kafka_broker import Broker
from thumbline_ingest.log import Record, open_log

_TOPIC = "thumbline"
_BATCH = 100
# Requests that a collector has under way at the same time.
_THREADS = 4


def main() -> None:
    from kafka import KafkaProducer

    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=400)
    args = parser.parse_args()
    texts = [os.urandom(200).hex() for _ in range(64)]
    records = [
        Record(b"conversation-%d" % (i // 3), b'{"comment":"%s"}' % texts[i % 64].encode()) for i in range(_BATCH)
    ]
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker")
        broker.start()
        try:
            log = open_log(f"kafka://{broker.address}/{_TOPIC}")
            log.create_topic()
            with (
                closing(log.writer()) as writer,
                closing(
                    KafkaProducer(
                        bootstrap_servers=broker.address,
                        acks="all",
                        enable_idempotence=True,
                        compression_type="lz4",
                        linger_ms=2,
                        batch_size=256 * 1024,
                    )
                ) as producer,
            ):

                def bare(batch: Sequence[Record]) -> None:
                    sent = [producer.send(_TOPIC, key=r.key, value=r.value) for r in batch]
                    for future in sent:
                        future.get(timeout=10)

                found = interleave(
                    {
                        "KafkaWriter.append": lambda: _events_per_second(writer.append, records, args.batches),
                        "kafka-python's producer": lambda: _events_per_second(bare, records, args.batches),
                    },
                    args.rounds,
                )
        finally:
            broker.stop()
    table(f"{args.batches} requests of {_BATCH} events, {_THREADS} at a time", "events/s", found)
    ours, theirs = found["KafkaWriter.append"], found["kafka-python's producer"]
    print(f"  ours / producer: {ratio(ours, theirs):.2f}x   (reported, no target)")


def _events_per_second(append: Callable[[Sequence[Record]], object], records: Sequence[Record], batches: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(append, [records] * batches))
    return batches * len(records) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
