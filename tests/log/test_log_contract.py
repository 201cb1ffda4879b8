"""One suite for every log: what a loader and a collector may rely on."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import pytest

from thumbline_ingest.log import Log, LogReader, MemoryLog, Record, SqliteLog, open_log


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    if request.param == "memory":
        return MemoryLog()
    if request.param == "sqlite":
        made = SqliteLog(tmp_path / "log.sqlite")
        made.writer().close()
        return made
    address = request.getfixturevalue("kafka_address")
    topic = open_log(f"kafka://{address}/t{uuid.uuid4().hex}?session_timeout_s=6&group=g{uuid.uuid4().hex}")
    topic.create_topic()
    return topic


def read(
    reader: LogReader, count: int, seek_to: dict[int, int] | None = None, timeout_s: float = 20
) -> dict[int, list[bytes]]:
    """Read until `count` records came; each newly assigned partition is placed as a loader would."""
    got: dict[int, list[bytes]] = {}
    deadline = time.monotonic() + timeout_s
    while sum(map(len, got.values())) < count and time.monotonic() < deadline:
        polled = reader.poll(0.2, 1_000)
        if polled.newly_assigned:
            reader.seek({p: (seek_to or {}).get(p, 0) for p in polled.newly_assigned})
        for chunk in polled.chunks:
            assert len(chunk.positions) == len(chunk.values)
            assert chunk.first <= chunk.positions[0]
            assert chunk.positions[-1] < chunk.next
            got.setdefault(chunk.partition, []).extend(chunk.values)
    return got


def some(count: int, tag: str = "") -> list[Record]:
    return [Record(b"key-%d" % (i % 7), b'{"n":%d,"tag":"%s"}' % (i, tag.encode())) for i in range(count)]


def test_what_was_appended_is_read_once_and_in_order_per_key(log: Log) -> None:
    writer, sent = log.writer(), some(500)
    for start in range(0, 500, 50):
        assert not writer.append(sent[start : start + 50]).failed

    reader = log.reader("m")
    got = read(reader, 500)

    keys = {record.value: record.key for record in sent}
    for key in {record.key for record in sent}:
        mine = [value for values in got.values() for value in values if keys[value] == key]
        assert mine == [record.value for record in sent if record.key == key]
    assert sum(map(len, got.values())) == 500
    reader.close()
    writer.close()


def test_append_returns_only_when_another_reader_can_see_it(log: Log) -> None:
    writer = log.writer()
    before = sum(b.end for b in log.bounds().values())
    writer.append(some(3))
    assert sum(b.end for b in log.bounds().values()) == before + 3
    writer.close()


def test_a_reader_goes_on_from_any_position(log: Log) -> None:
    writer = log.writer()
    writer.append(some(100))
    ends = {p: b.end for p, b in log.bounds().items()}
    middle = {p: end // 2 for p, end in ends.items()}

    reader = log.reader("m")
    got = read(reader, sum(ends.values()) - sum(middle.values()), middle)

    assert {p: len(got.get(p, [])) for p in ends} == {p: ends[p] - middle[p] for p in ends}
    reader.close()
    writer.close()


def test_an_onlooker_sees_the_newest_records_from_a_position_on_and_takes_nothing_from_the_reader(log: Log) -> None:
    writer, sent = log.writer(), some(60)
    assert log.peek(dict.fromkeys(log.bounds(), 0), 10) == []
    writer.append(sent[:40])
    reader = log.reader("m")
    before = {p: len(values) for p, values in read(reader, 40).items()}
    writer.append(sent[40:])
    ends = {p: b.end for p, b in log.bounds().items()}

    seen = {chunk.partition: chunk for chunk in log.peek({p: before.get(p, 0) for p in ends}, 100)}
    few = {chunk.partition: chunk for chunk in log.peek(dict.fromkeys(ends, 0), 2)}
    got = read(reader, 20)

    assert sum(map(len, got.values())) == 20
    assert {p: list(chunk.values) for p, chunk in seen.items()} == got
    for p, chunk in seen.items():
        assert list(chunk.positions) == list(range(before.get(p, 0), ends[p]))
        assert chunk.next == ends[p]
    assert {p: list(chunk.positions) for p, chunk in few.items()} == {
        p: list(range(max(0, end - 2), end)) for p, end in ends.items() if end
    }
    reader.close()
    writer.close()


def test_many_threads_append_at_once(log: Log) -> None:
    writer = log.writer()
    threads = [threading.Thread(target=lambda n=n: writer.append(some(20, f"t{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    reader = log.reader("m")
    values = [value for values in read(reader, 160).values() for value in values]

    assert len(values) == len(set(values)) == 160
    reader.close()
    writer.close()


def test_a_partition_has_one_reader_at_a_time_and_passes_on(log: Log) -> None:
    writer = log.writer()
    one = log.reader("one")
    writer.append(some(10))
    assert sum(map(len, read(one, 10).values())) == 10
    one.close()

    two = log.reader("two")
    assert sum(map(len, read(two, 10).values())) == 10
    two.close()
    writer.close()


def test_identity_stays_and_differs_between_logs(log: Log, tmp_path: Path) -> None:
    assert log.identity() == log.identity()
    other = SqliteLog(tmp_path / "other.sqlite")
    other.writer().close()
    assert log.identity().id != other.identity().id
    assert log.identity().partitions == len(log.bounds())


def test_a_working_log_passes_its_check(log: Log) -> None:
    writer = log.writer()
    began = time.monotonic()
    writer.check()
    assert time.monotonic() - began < 2
    writer.close()
