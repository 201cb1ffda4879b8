"""
The least that a loader has to do, as a reference for ours: Kafka to a de-duplicated DuckLake table.

    python benchmarks/limit_path.py HOST:PORT TOPIC FOLDER

kafka-python in a thread, Arrow, `from_json` in DuckDB, DISTINCT, anti-join, positions, one transaction
per 100,000 records. It checks nothing, quarantines nothing, and survives nothing.
"""

from __future__ import annotations

import queue
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition

from thumbline_warehouse.connect import attach_statements
from thumbline_warehouse.urls import WarehouseUrl

_BATCH = 100_000
_FIELDS = {
    "event_id": "UUID",
    "kind": "VARCHAR",
    "occurred_at": "TIMESTAMPTZ",
    "sequence": "BIGINT",
    "conversation_id": "VARCHAR",
    "app": "VARCHAR",
    "surface": "VARCHAR",
    "app_version": "VARCHAR",
    "sdk": "VARCHAR",
    "training_consent": "VARCHAR",
    "properties": "JSON",
    "target_type": "VARCHAR",
    "target_id": "VARCHAR",
    "value": "VARCHAR",
    "tags": "VARCHAR[]",
    "comment": "VARCHAR",
}


def _json_schema() -> str:
    event = ", ".join(f'"{n}": ' + ('["VARCHAR"]' if t == "VARCHAR[]" else f'"{t}"') for n, t in _FIELDS.items())
    rater = '"rater": {"id": "VARCHAR", "kind": "VARCHAR", "wrote_prompt": "BOOLEAN"}'
    return f'{{"project": "VARCHAR", "received_at": "BIGINT", "event": {{{event}, {rater}}}}}'


def _poll(address: str, topic: str, out: queue.Queue[dict[int, list[object]]]) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    parts = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(parts)
    left = sum(consumer.end_offsets(parts).values())
    while left > 0:
        polled = {p.partition: records for p, records in consumer.poll(100, max_records=10_000).items()}
        left -= sum(len(records) for records in polled.values())
        out.put(polled)
    out.put({})


def _insert(db: duckdb.DuckDBPyConnection, values: list[bytes], positions: dict[int, int]) -> None:
    db.register("records", pa.table({"record": pa.array(values, pa.large_binary()).cast(pa.large_string())}))
    names = ", ".join(f"e.{n}" for n in _FIELDS)
    db.execute("BEGIN")
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE staged AS SELECT DISTINCT ON (event_id) * FROM (SELECT {names}, e.rater.id AS rater_id, "
        f"e.rater.kind AS rater_kind, e.rater.wrote_prompt AS rater_wrote_prompt, project, received_at "
        f"FROM (SELECT r.project, make_timestamp(r.received_at * 1000) AS received_at, r.event AS e "
        f"FROM (SELECT from_json(record, '{_json_schema()}') AS r FROM records)))"
    )
    low, high = db.execute("SELECT min(event_id), max(event_id) FROM staged").fetchone() or (None, None)
    db.execute(
        f"INSERT INTO thumbs SELECT * FROM staged WHERE event_id NOT IN "
        f"(SELECT event_id FROM thumbs WHERE event_id BETWEEN '{low}'::UUID AND '{high}'::UUID)"
    )
    db.execute("INSERT INTO positions VALUES " + ", ".join(f"({n}, {p})" for n, p in positions.items()))
    db.execute("COMMIT")
    db.unregister("records")


def main(address: str, topic: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    db = duckdb.connect(config={"memory_limit": "1GB"})
    for statement in attach_statements(WarehouseUrl.parse(f"ducklake:{folder}/catalog.sqlite"), read_only=False):
        db.execute(statement)
    columns = ", ".join(f"{name} {type_}" for name, type_ in _FIELDS.items())
    db.execute(
        f"CREATE TABLE thumbs ({columns}, rater_id VARCHAR, rater_kind VARCHAR, rater_wrote_prompt BOOLEAN, "
        "project VARCHAR, received_at TIMESTAMP)"
    )
    db.execute("CREATE TABLE positions (partition INTEGER, next BIGINT)")
    polled: queue.Queue[dict[int, list[object]]] = queue.Queue(12)
    threading.Thread(target=_poll, args=(address, topic, polled), daemon=True).start()
    values: list[bytes] = []
    positions: dict[int, int] = {}
    while batch := polled.get():
        for number, records in batch.items():
            values += [record.value for record in records]  # type: ignore[attr-defined]
            positions[number] = records[-1].offset + 1  # type: ignore[attr-defined]
        if len(values) >= _BATCH:
            _insert(db, values, positions)
            values = []
    if values:
        _insert(db, values, positions)
    print(db.execute("SELECT count(*) FROM thumbs").fetchone()[0])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
