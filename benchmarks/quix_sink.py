"""
A DuckDB sink for Quix Streams, as its documentation shows how to write one; run in a venv of its own.

    python benchmarks/quix_sink.py HOST:PORT TOPIC GROUP FILE COUNT
"""

from __future__ import annotations

import sys

import duckdb
import pyarrow as pa
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

NAMES = ("event_id", "kind", "occurred_at", "target_id", "conversation_id", "value", "comment", "app", "surface", "sdk")


class DuckDBSink(BatchingSink):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.db = duckdb.connect(path)
        self.db.execute(f"CREATE TABLE thumbs ({', '.join(f'{name} VARCHAR' for name in NAMES)}, rater VARCHAR)")

    def write(self, batch: SinkBatch) -> None:
        events = [item.value["event"] for item in batch]
        columns = {name: [event.get(name) for event in events] for name in NAMES}
        rows = pa.table(columns | {"rater": [event["rater"]["id"] for event in events]})  # noqa: F841 - read by the SQL
        self.db.execute(
            "INSERT INTO thumbs SELECT DISTINCT ON (event_id) * FROM rows r "
            "WHERE NOT EXISTS (SELECT 1 FROM thumbs t WHERE t.event_id = r.event_id)"
        )


address, topic, group, path, count = sys.argv[1:]
app = Application(
    broker_address=address,
    consumer_group=group,
    auto_offset_reset="earliest",
    commit_every=100_000,
    loglevel="ERROR",
    auto_create_topics=False,
)
sink = DuckDBSink(path)
app.dataframe(app.topic(topic, value_deserializer="json")).sink(sink)
app.run(count=int(count))
print(sink.db.execute("SELECT count(*) FROM thumbs").fetchone()[0])
