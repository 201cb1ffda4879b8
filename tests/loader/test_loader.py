"""The loader in this process: gathering, gaps, changed logs, busy warehouses."""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from tests.events import log_records, random_thumbs, thumb
from tests.processes import wait_for
from thumbline_ingest.loader import Loader, LoaderSettings
from thumbline_ingest.log import LogUnavailable, MemoryLog, Polled, Record, SqliteLog, open_log
from thumbline_warehouse.errors import LogChanged, WarehouseBusy
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl


@pytest.fixture
def store(tmp_path: Path):
    with closing(DuckLakeStore(WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite"))) as made:
        yield made


def load(log, store, **settings: object) -> None:
    """Land what is there; ended after a while even where a fault would keep it for ever."""
    stop = threading.Event()
    end = threading.Timer(60, stop.set)
    end.start()
    try:
        Loader(log, store, LoaderSettings(max_batch_age_s=0.2, **settings)).run(stop, until_empty=True)
    finally:
        end.cancel()


def test_everything_lands_once_and_the_log_is_trimmed_behind_it(tmp_path: Path, store: DuckLakeStore) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    with closing(log.writer()) as writer:
        for start in range(0, 3_000, 100):
            writer.append(log_records(random_thumbs(100, seed=start)))
        load(log, store, max_batch_records=700)
        assert store._db.execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchone() == (3_000, 3_000)
        assert log.bounds()[0].end == 3_000
        assert log.bounds()[0].start > 0

        writer.append(log_records(random_thumbs(10, seed=-1)))
        load(log, store)
    assert store.positions(log.identity().id) == {0: 3_010}


def test_a_record_waits_no_longer_than_the_batch_age(tmp_path: Path, store: DuckLakeStore) -> None:
    log, stop, seen = MemoryLog(), threading.Event(), threading.Event()
    loader = Loader(log, store, LoaderSettings(max_batch_age_s=0.3), on_landed=lambda _: seen.set())
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    log.writer().append(log_records([thumb("a", "up")]))
    assert seen.wait(5)
    stop.set()
    thread.join()


def test_a_log_made_anew_stops_the_loader_with_the_way_on(tmp_path: Path, store: DuckLakeStore) -> None:
    path = tmp_path / "log.sqlite"
    for accept in (False, True):
        with closing(SqliteLog(path).writer()) as writer:
            writer.append(log_records([thumb("a", "up")]))
        if accept:
            with pytest.raises(LogChanged, match="--accept-new-log"):
                load(SqliteLog(path), store)
        load(SqliteLog(path), store, accept_new_log=accept)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    assert store._db.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_records_that_the_log_dropped_unread_are_asked_about_then_counted(store: DuckLakeStore, caplog) -> None:
    log = MemoryLog()
    writer = log.writer()
    writer.append(log_records(random_thumbs(10)))
    load(log, store)
    writer.append(log_records(random_thumbs(20, seed=1)))
    log.trim(15)

    with pytest.raises(LogChanged, match="5 records were dropped unread.*--accept-gap"):
        load(_Trimmed(log), store)
    with caplog.at_level(logging.ERROR):
        load(_Trimmed(log), store, accept_gap=True)

    assert store._db.execute("SELECT sum(landed), sum(lost), max(next_position) FROM loads").fetchone() == (25, 5, 30)
    assert "5 records were dropped" in caplog.text


def test_a_log_that_was_cut_short_stops_the_loader(store: DuckLakeStore) -> None:
    log = MemoryLog()
    log.writer().append(log_records(random_thumbs(10)))
    load(log, store)
    del log.records[5:]
    with pytest.raises(LogChanged, match="cut short"):
        load(log, store)


def test_a_log_that_is_away_for_a_while_is_waited_for(store: DuckLakeStore) -> None:
    class Flaky(MemoryLog):
        failures = 3

        def identity(self):
            if self.failures:
                self.failures -= 1
                raise LogUnavailable("away", 0.01)
            return super().identity()

    log = Flaky()
    log.writer().append(log_records(random_thumbs(10)))
    load(log, store)
    assert store._db.execute("SELECT count(*) FROM events").fetchone() == (10,)


def test_a_loader_that_was_overtaken_drops_its_batch_and_goes_on(tmp_path: Path) -> None:
    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")
    log = MemoryLog()
    log.writer().append(log_records(random_thumbs(50)))
    with closing(DuckLakeStore(url)) as mine, closing(DuckLakeStore(url)) as other:
        overtaken = _OvertakenOnce(mine, other)
        load(log, overtaken)
        assert overtaken.happened
        assert mine._db.execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchone() == (50, 50)


# After how long the spare loader below takes itself for left out.
STALL_S = 2.0


class _Trimmed:
    """A memory log whose readers begin where it was trimmed, as Kafka's do."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def __getattr__(self, name: str):
        return getattr(self._log, name)

    def reader(self, member: str):
        real, start = self._log.reader(f"{member}-{id(self)}"), self._log.bounds()[0].start
        self._log._owner = None

        class Reader:
            def __getattr__(self, name: str):
                return getattr(real, name)

            def poll(self, timeout_s, max_records):
                polled = real.poll(timeout_s, max_records)
                from dataclasses import replace

                chunks = [
                    replace(c, positions=c.positions[start - c.first :], values=c.values[start - c.first :])
                    if c.first < start
                    else c
                    for c in polled.chunks
                ]
                return replace(polled, chunks=chunks)

        return Reader()


class _OvertakenOnce:
    """A store whose first batch somebody else lands a moment before."""

    def __init__(self, mine: DuckLakeStore, other: DuckLakeStore) -> None:
        self._mine, self._other, self.happened = mine, other, False

    def __getattr__(self, name: str):
        return getattr(self._mine, name)

    def land(self, log_id, batch):
        if not self.happened:
            self.happened = True
            self._other.land(log_id, batch)
        return self._mine.land(log_id, batch)


def test_the_longest_line_is_one_record() -> None:
    """White space between JSON tokens must not split a record in the SQLite log's lines."""
    from thumbline_ingest.envelope import envelope_head, wrap

    value = wrap(envelope_head("p", 1), b'{\n  "a":\r\n 1\n}')
    assert b"\n" not in value
    assert b"\r" not in value
    assert Record(b"k", value).value.endswith(b"}")


class _OddFirst(MemoryLog):
    """Its first reader polls as it is told to, the others as they should."""

    def __init__(self, poll) -> None:
        super().__init__()
        self.readers = 0
        self._poll = poll
        self.writer().append(log_records(random_thumbs(10)))

    def reader(self, member: str):
        reader = super().reader(member)
        self.readers += 1
        if self.readers == 1:
            reader.poll = self._poll  # type: ignore[method-assign]
        return reader


def no_partitions(*_: object) -> Polled:
    time.sleep(0.01)
    return Polled([], frozenset(), frozenset())


def test_a_reader_that_hangs_is_left_and_replaced(store: DuckLakeStore, caplog) -> None:
    """A poll that never returns must not stop the loader."""
    forever = threading.Event()
    log = _OddFirst(lambda *_: forever.wait())
    with caplog.at_level(logging.ERROR):
        load(log, store, stall_after_s=1)
    forever.set()
    assert log.readers == 2
    assert "hangs" in caplog.text
    assert store._db.execute("SELECT count(*) FROM events").fetchone() == (10,)


def test_a_reader_that_is_never_given_its_partitions_is_replaced(store: DuckLakeStore, caplog) -> None:
    log = _OddFirst(no_partitions)
    with caplog.at_level(logging.ERROR):
        load(log, store, stall_after_s=0.5, check_interval_s=0.1)
    assert log.readers == 2
    assert "making the reader anew" in caplog.text
    assert store._db.execute("SELECT count(*) FROM events").fetchone() == (10,)


@pytest.mark.kafka
def test_a_name_to_which_nothing_was_dealt_out_is_given_up(store: DuckLakeStore, kafka_address: str, caplog) -> None:
    """A loader that dies before it has seen the topic's partitions leaves its name without any."""
    log = open_log(f"kafka://{kafka_address}/t{uuid.uuid4().hex}?group={uuid.uuid4().hex}")
    log.create_topic()
    with closing(log.writer()) as writer:
        writer.append(log_records(random_thumbs(10)))
    dying = log.reader("loader-0")
    group = dying._consumer._coordinator
    group._cluster.partitions_for_topic = lambda topic: None
    wait_for(lambda: bool(dying.poll(0.1, 10)) and group.stable(), what="joined")
    assert not dying._consumer.assignment()
    dying.close()

    with caplog.at_level(logging.ERROR):
        load(log, store, stall_after_s=4, check_interval_s=0.2)
    assert "making the reader anew" in caplog.text
    assert store._db.execute("SELECT count(*) FROM events").fetchone() == (10,)


def test_a_loader_that_has_lost_its_partitions_to_another_lets_that_one_work(tmp_path: Path, caplog) -> None:
    class Lost(MemoryLog):
        polls = 0

        def reader(self, member: str):
            reader = super().reader(member)
            if member == "spare":
                poll = reader.poll
                reader.poll = lambda *wait: self.few(poll, *wait)  # type: ignore[method-assign]
            return reader

        def few(self, poll, *wait) -> Polled:
            self.polls += 1
            if self.polls <= 10:
                return poll(*wait)
            self.release("spare")
            return no_partitions()

    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")
    log, stop = Lost(), threading.Event()
    landings = [time.monotonic()]
    writer = log.writer()
    writer.append(log_records(random_thumbs(10)))
    with closing(DuckLakeStore(url)) as mine, closing(DuckLakeStore(url)) as other, caplog.at_level(logging.ERROR):
        loaders = [
            Loader(
                log,
                store,
                LoaderSettings(member, max_batch_age_s=0.1, stall_after_s=STALL_S, check_interval_s=0.1),
                on_landed=lambda _: landings.append(time.monotonic()),
            )
            for member, store in (("spare", mine), ("other", other))
        ]
        threads = [threading.Thread(target=loader.run, args=(stop,)) for loader in loaders]
        log.claim("spare")
        for thread in threads:
            thread.start()
        wait_for(lambda: log.polls > 10, what="partitions lost")
        end = time.monotonic() + 2.5 * STALL_S
        while time.monotonic() < end:
            writer.append(log_records([thumb(f"a{time.monotonic_ns()}", "up")]))
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join(60)
        landed = other.positions(log.identity().id)
    assert landed[0] > 10
    # On a machine so busy that the other lands nothing for that long, the spare one is right to look for it.
    if max(after - before for before, after in itertools.pairwise(landings)) < STALL_S / 2:
        assert "making the reader anew" not in caplog.text


def test_a_stop_is_heard_while_the_warehouse_is_busy(store: DuckLakeStore) -> None:
    class Busy:
        def __getattr__(self, name: str):
            return getattr(store, name)

        def land(self, log_id, batch):
            raise WarehouseBusy("locked")

    log, stop = MemoryLog(), threading.Event()
    log.writer().append(log_records(random_thumbs(5)))
    thread = threading.Thread(target=Loader(log, Busy(), LoaderSettings(max_batch_age_s=0.1)).run, args=(stop,))
    thread.start()
    time.sleep(1)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    # It is still in the log for the next loader.
    load(log, store)
    assert store._db.execute("SELECT count(*) FROM events").fetchone() == (5,)
