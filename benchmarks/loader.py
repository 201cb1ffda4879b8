"""
`thumbline load` from Kafka to a committed, de-duplicated DuckLake table: against the least that has
to be done (limit_path.py), a Quix Streams sink, a warehouse that is large already, and kill -9.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.measure import CACHE, ROOT, interleave, peer_python, ratio, run, table, verdict
from tests.kafka_broker import Broker
from tests.processes import environ_of
from thumbline._ids import uuid7
from thumbline_ingest.envelope import envelope_head, wrap
from thumbline_warehouse.connect import connect
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

_START_MS = 1_795_521_600_000
_REPEATED = 0.03
_TOPIC = "thumbline"


def produce(address: str, count: int) -> int:
    """Fill the topic; the number of distinct ids."""
    from kafka import KafkaProducer

    draw = random.Random(0)
    producer = KafkaProducer(bootstrap_servers=address, compression_type="lz4", linger_ms=20, batch_size=256 * 1024)
    recent: list[str] = []
    distinct = 0
    for n in range(count):
        if recent and draw.random() < _REPEATED:
            event_id = draw.choice(recent)
        else:
            event_id = uuid7(_START_MS + n // 10)
            recent = [*recent[-999:], event_id] if n % 100 == 0 else recent
            distinct += 1
        event = (
            f'{{"event_id":"{event_id}","kind":"thumb","occurred_at":"2026-11-24T12:{n // 60 % 60:02d}:{n % 60:02d}.123Z",'
            f'"rater":{{"id":"h1:{draw.getrandbits(64):016x}","kind":"human","wrote_prompt":true}},"target_id":"answer-{n}",'
            f'"conversation_id":"conversation-{n // 3}","value":"{"down" if n % 4 == 0 else "up"}","tags":["wrong","too_long"],'
            f'"comment":"It says so, but that is not right: {draw.getrandbits(128):032x} {draw.getrandbits(128):032x}.",'
            f'"app":"support-chat","surface":"web","sdk":"thumbline-python/0.1.0","training_consent":"granted",'
            f'"properties":{{"locale":"en"}}}}'
        )
        value = wrap(envelope_head("demo", _START_MS + n // 10), event.encode())
        producer.send(_TOPIC, value, key=f"conversation-{n // 3}".encode())
        if n % 20_000 == 0:
            producer.flush()
    producer.flush()
    producer.close()
    return distinct


class Bench:
    def __init__(self, broker: Broker, folder: Path, count: int) -> None:
        self.address = broker.address
        self.folder = folder
        self.count = count
        self.distinct = 0
        self.peak_mb = 0.0

    def log_url(self) -> str:
        return f"kafka://{self.address}/{_TOPIC}?group=g{uuid.uuid4().hex[:8]}"

    def make_topic(self) -> None:
        environ = environ_of(self.folder, log=f"kafka://{self.address}/{_TOPIC}?partitions=4")
        run([sys.executable, "-m", "thumbline_ingest", "topic", "create"], environ)
        begin = time.perf_counter()
        self.distinct = produce(self.address, self.count)
        took = time.perf_counter() - begin
        print(f"  {self.count:,} records, {self.distinct:,} ids, produced in {took:.0f} s", file=sys.stderr)

    def load(self, home: Path, before: int = 0) -> float:
        """Seconds of `thumbline load --until-empty`, whole process; the result is checked."""
        command = [sys.executable, "-m", "thumbline_ingest", "load", "--until-empty"]
        done = run(command, environ_of(home, log=self.log_url()))
        self.peak_mb = max(self.peak_mb, done.peak_mb)
        with closing(connect(_url(home), read_only=True)) as db:
            (rows,) = db.execute("SELECT count(*) FROM events").fetchone() or (0,)
        _must_be(rows - before, self.distinct)
        return done.seconds

    def ours(self) -> float:
        with _fresh(self.folder) as home:
            return self.count / self.load(home)

    def limit(self) -> float:
        with _fresh(self.folder) as home:
            command = [
                sys.executable,
                str(ROOT / "benchmarks" / "limit_path.py"),
                self.address,
                _TOPIC,
                str(home / "w"),
            ]
            done = run(command)
        _must_be(int(done.output), self.distinct)
        return self.count / done.seconds

    def quix(self) -> float:
        python = peer_python("quixstreams==3.28.1", "duckdb==1.5.5", "pyarrow")
        with _fresh(self.folder) as home:
            script = str(ROOT / "benchmarks" / "quix_sink.py")
            group = f"q{uuid.uuid4().hex[:8]}"
            done = run([python, script, self.address, _TOPIC, group, str(home / "w.duckdb"), str(self.count)])
        _must_be(int(done.output.split()[-1]), self.distinct)
        return self.count / done.seconds

    def after_kill(self) -> float:
        """Seconds from the start of a loader whose predecessor was killed to its first committed load."""
        with _fresh(self.folder) as home:
            environ = environ_of(home, log=self.log_url())
            command = [sys.executable, "-m", "thumbline_ingest", "load"]
            first = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL)
            _wait(lambda: _loads(home) >= 1)
            first.send_signal(signal.SIGKILL)
            first.wait()
            stood = _loads(home)
            begin = time.perf_counter()
            second = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL)
            try:
                _wait(lambda: _loads(home) > stood)
                return time.perf_counter() - begin
            finally:
                second.terminate()
                second.wait(30)


class Large:
    """A warehouse with many rows, put back to what it was before each use."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.home = CACHE / "bench" / f"loader-{rows}"
        self._kept = self.home / "catalog.kept"
        if not self._kept.exists():
            print(f"filling {self.home} (once)", file=sys.stderr)
            shutil.rmtree(self.home, ignore_errors=True)
            self._fill()

    def reset(self) -> Path:
        catalog = self.home / "warehouse" / "catalog.sqlite"
        for path in catalog.parent.glob("catalog.sqlite*"):
            path.unlink()
        shutil.copyfile(self._kept, catalog)
        known = set((self.home / "files.kept").read_text().split("\n"))
        for path in (self.home / "warehouse" / "data").rglob("*.parquet"):
            if str(path) not in known:
                path.unlink()
        return self.home

    def _fill(self) -> None:
        url = _url(self.home)
        self.home.mkdir(parents=True)
        DuckLakeStore(url).close()
        with closing(connect(url)) as db:
            step = 1_000_000
            for load, first in enumerate(range(0, self.rows, step), 1):
                # A hundredth of a second apart, long before the records of the topic.
                ms = f"{_START_MS} - 400000000 + i * 10"
                db.execute(
                    f"""INSERT INTO events (event_id, kind, project, occurred_at, received_at, load_id, rater_id, rater_kind,
                            conversation_id, app, training_consent, target_type, target_id, value, tags, comment)
                    SELECT (printf('%012x', {ms}) || '7' || left(md5('' || i), 3) || '8' || right(md5('' || i), 15))::UUID,
                           'thumb', 'demo', make_timestamp(({ms}) * 1000), make_timestamp(({ms}) * 1000), {load},
                           'h1:' || left(md5('r' || i % 9999), 16), 'human', 'conversation-' || i // 3, 'support-chat', 'granted',
                           'completion', 'answer-' || i, CASE WHEN i % 4 = 0 THEN 'down' ELSE 'up' END, ['wrong'],
                           'It says so: ' || md5('x' || i)
                    FROM range({first}, {min(first + step, self.rows)}) t(i)"""
                )
            db.execute(f"UPDATE head SET load_id = {load}")
        files = sorted(str(path) for path in (self.home / "warehouse" / "data").rglob("*.parquet"))
        (self.home / "files.kept").write_text("\n".join(files))
        with closing(sqlite3.connect(self.home / "warehouse" / "catalog.sqlite")) as catalog:
            catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(self.home / "warehouse" / "catalog.sqlite", self._kept)


def _url(home: Path) -> WarehouseUrl:
    return WarehouseUrl.parse(f"ducklake:{home}/warehouse/catalog.sqlite")


class _fresh:  # noqa: N801 - used like a function
    def __init__(self, folder: Path) -> None:
        self._path = folder / uuid.uuid4().hex[:8]

    def __enter__(self) -> Path:
        self._path.mkdir()
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def _loads(home: Path) -> int:
    """Committed loads, from the catalog itself: opening the warehouse would take as long as what is measured."""
    catalog = home / "warehouse" / "catalog.sqlite"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as db:
        # A load adds a Parquet file to `events`.
        return int(
            db.execute(
                "SELECT count(*) FROM ducklake_data_file f JOIN ducklake_table t USING (table_id) WHERE t.table_name = 'events'"
            ).fetchone()[0]
        )
    return 0


def _wait(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.perf_counter() + timeout_s
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"not in {timeout_s} s")
        time.sleep(0.005)


def _must_be(found: int, expected: int) -> None:
    if found != expected:
        raise AssertionError(f"{found:,} rows landed, {expected:,} distinct ids were sent")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--only", nargs="+", default=["limit", "quix", "large", "kill"])
    args = parser.parse_args()
    (CACHE / "bench").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder:
        broker = Broker(Path(folder) / "kafka")
        broker.start()
        try:
            bench = Bench(broker, Path(folder), args.records)
            bench.make_topic()
            _measure(bench, args)
        finally:
            broker.stop()


def _measure(bench: Bench, args: argparse.Namespace) -> None:
    references = {"limit path": bench.limit, "quixstreams + DuckDB": bench.quix}
    chosen = {n: f for n, f in references.items() if n.split()[0].removesuffix("streams") in args.only}
    if chosen:
        found = interleave({"thumbline load": bench.ours} | chosen, args.rounds)
        notes = {"thumbline load": f"peak {bench.peak_mb:,.0f} MB"}
        table(f"{bench.count:,} records from Kafka to DuckLake, whole process", "records/s", found, notes)
        for name, target in (("limit path", 0.7), ("quixstreams + DuckDB", 2.5)):
            if name in found:
                verdict(f"ours / {name}", ratio(found["thumbline load"], found[name]), target, at_most=False)
    if "large" in args.only:
        large = Large(args.large)

        def into_empty() -> float:
            with _fresh(bench.folder) as home:
                return bench.load(home)

        into = {
            f"into {args.large:,} rows": lambda: bench.load(large.reset(), before=args.large),
            "into an empty warehouse": into_empty,
        }
        found = interleave(into, args.rounds)
        table(f"load of {bench.count:,} records", "s", found)
        verdict("large / empty", ratio(*found.values()), 1.2, at_most=True)
    if "kill" in args.only:
        found = interleave({"first load after kill -9": bench.after_kill}, args.rounds)
        table("from the start of the next loader", "s", found)
        verdict("seconds / 1 s", sorted(found["first load after kill -9"])[args.rounds // 2], 2.0, at_most=True)


if __name__ == "__main__":
    main()
