"""
The log on Apache Kafka, through kafka-python: the only module that knows that library.

Each event is a record of its own, keyed by what it is about, so that one conversation's events stay
in order and other consumers of the topic find what they expect.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError, TopicAlreadyExistsError

from .base import Appended, Bounds, Chunk, LogIdentity, LogMisconfigured, LogUnavailable, Polled, Record

# kafka-python 3 has no bound on what its producer holds: this is it. Above one request at its largest.
_MAX_IN_FLIGHT_BYTES: Final = 64 * 1024 * 1024
# The collector answers within this, or says 503; below the client's read timeout.
_DELIVERY_TIMEOUT_S: Final = 10.0
_METADATA_TIMEOUT_S: Final = 2.0
_CALL_TIMEOUT_S: Final = 15.0
_PEEK_TIMEOUT_S: Final = 5.0
_T = TypeVar("_T")
_GROUP: Final = "thumbline-loader"

logging.getLogger("kafka").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class KafkaSettings:
    """
    How to reach a topic. In a URL, every field but the first two is a query parameter.

        kafka://broker-1:9093,broker-2:9093/thumbline?security_protocol=SASL_SSL&sasl_mechanism=SCRAM-SHA-512
                &sasl_username=loader&ssl_cafile=/etc/ssl/kafka.pem

    Attributes:
        bootstrap_servers: `host:port` of some brokers.
        topic: the topic's name.
        partitions: for `thumbline topic create`: how many; bounds how many loaders share the work.
        replication_factor: for `thumbline topic create`: -1 is the cluster's default.
        group: the consumer group of the loaders.
        session_timeout_s: after how many silent seconds a loader's partitions go to the others.
        security_protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        ssl_cafile: certificates to trust, PEM; the system's when empty. Host names are always checked.
        ssl_certfile: the client's certificate, PEM.
        ssl_keyfile: its key.
        sasl_mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        sasl_username: the user.
        sasl_password: its password; better from `THUMBLINE_KAFKA_PASSWORD`, which no process list shows.
    """

    bootstrap_servers: tuple[str, ...]
    topic: str
    partitions: int = 4
    replication_factor: int = -1
    group: str = _GROUP
    session_timeout_s: float = 30.0
    security_protocol: str = "PLAINTEXT"
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = ""

    @classmethod
    def from_url(cls, url: str) -> KafkaSettings:
        """
        Settings from `kafka://host:port[,host:port]/topic[?setting=value&...]`.

        Raises:
            ValueError: no host or topic, or a setting that does not exist, with the ones that do.
        """
        parts = urlsplit(url)
        topic = parts.path.strip("/")
        if not parts.netloc or not topic:
            raise ValueError("THUMBLINE_LOG: a Kafka log is kafka://host:port[,host:port]/topic")
        types = {f.name: f.type for f in fields(cls) if f.name not in ("bootstrap_servers", "topic")}
        values: dict[str, Any] = {}
        for name, text in parse_qsl(parts.query):
            if name not in types:
                raise ValueError(f"THUMBLINE_LOG: '{name}' is no Kafka setting; there are {', '.join(types)}")
            values[name] = {"int": int, "float": float}.get(str(types[name]), str)(text)
        values.setdefault("sasl_password", os.environ.get("THUMBLINE_KAFKA_PASSWORD", ""))
        return cls(bootstrap_servers=tuple(parts.netloc.split(",")), topic=topic, **values)

    @property
    def name(self) -> str:
        """The log's name: its URL without settings."""
        return f"kafka://{','.join(self.bootstrap_servers)}/{self.topic}"

    def connection(self) -> dict[str, Any]:
        """Keyword arguments that every kafka-python client takes."""
        config: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap_servers),
            "security_protocol": self.security_protocol,
            "reconnect_backoff_max_ms": 1_000,
        }
        secrets = {
            "ssl_cafile": self.ssl_cafile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
        }
        return config | {name: value for name, value in secrets.items() if value}


class KafkaLog:
    """A `Log` on one topic."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings

    def identity(self) -> LogIdentity:
        return _in_time(self._identity, self.settings)

    def bounds(self) -> dict[int, Bounds]:
        return _in_time(self._bounds, self.settings)

    def _identity(self) -> LogIdentity:
        with _admin(self.settings) as admin:
            described = _describe(admin, self.settings)
        return LogIdentity(str(described["topic_id"]), self.settings.name, len(described["partitions"]))

    def _bounds(self) -> dict[int, Bounds]:
        with _mapped(self.settings), contextlib.closing(self._onlooker()) as consumer:
            numbers = consumer.partitions_for_topic(self.settings.topic)
            if not numbers:
                raise LogMisconfigured(_missing(self.settings))
            parts = [TopicPartition(self.settings.topic, number) for number in sorted(numbers)]
            starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
            return {part.partition: Bounds(starts[part], ends[part]) for part in parts}

    def peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        return _in_time(partial(self._peek, positions, max_records), self.settings)

    def _peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        # Without a group: the loaders' share of the partitions is not touched.
        with _mapped(self.settings), contextlib.closing(self._onlooker()) as consumer:
            parts = [TopicPartition(self.settings.topic, number) for number in sorted(positions)]
            consumer.assign(parts)
            starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
            first = {p: max(positions[p.partition], starts[p], ends[p] - max_records) for p in parts}
            waiting = {part for part in parts if first[part] < ends[part]}
            for part in parts:
                consumer.seek(part, first[part]) if part in waiting else consumer.pause(part)
            found: dict[int, list[Any]] = {part.partition: [] for part in waiting}
            deadline = time.monotonic() + _PEEK_TIMEOUT_S
            while waiting and time.monotonic() < deadline:
                for part, records in consumer.poll(timeout_ms=200).items():
                    found[part.partition] += [record for record in records if record.offset < ends[part]]
                waiting = {part for part in waiting if consumer.position(part) < ends[part]}
            return [
                Chunk(p.partition, first[p], ends[p], [r.offset for r in records], [r.value or b"" for r in records])
                for p in parts
                if (records := found.get(p.partition))
            ]

    def _onlooker(self) -> Any:
        return KafkaConsumer(
            **self.settings.connection(),
            bootstrap_timeout_ms=5_000,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )

    def writer(self) -> KafkaWriter:
        self.identity()
        return KafkaWriter(self.settings)

    def reader(self, member: str) -> KafkaReader:
        self.identity()
        return KafkaReader(self.settings, member)

    def create_topic(self) -> bool:
        """
        Make the topic as the settings say; `False` when it is there already.

        Raises:
            LogUnavailable: no broker answers, or it refuses.
        """
        options = {
            "num_partitions": self.settings.partitions,
            "replication_factor": self.settings.replication_factor,
        }
        with _admin(self.settings) as admin:
            try:
                admin.create_topics({self.settings.topic: options})
            except TopicAlreadyExistsError:
                return False
            admin.wait_for_topics([self.settings.topic])
        return True


class KafkaWriter:
    """
    The collector's end.

    Make it in the process that uses it: a producer does not survive a fork.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._in_flight_bytes = 0
        with _mapped(settings):
            self._producer = KafkaProducer(
                **settings.connection(),
                acks="all",
                # Named although it is the default: a conflicting setting then raises instead of winning.
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=2,
                batch_size=256 * 1024,
                max_request_size=1024 * 1024,
                max_block_ms=int(_METADATA_TIMEOUT_S * 1000),
                request_timeout_ms=int(_DELIVERY_TIMEOUT_S * 500),
                delivery_timeout_ms=int(_DELIVERY_TIMEOUT_S * 1000),
            )

    def append(self, records: Sequence[Record]) -> Appended:
        deadline = time.monotonic() + _DELIVERY_TIMEOUT_S
        refused: dict[int, str] = {}
        failed: dict[int, str] = {}
        sent: list[tuple[int, Any]] = []
        self._reserve(sum(len(record.value) for record in records))
        for index, record in enumerate(records):
            try:
                sent.append((index, self._send(record)))
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                self._release(len(record.value))
                refused[index] = f"too large for the log: {type(error).__name__}"
            except KafkaError as error:
                # The broker is away: the rest would each wait as long.
                self._release(sum(len(r.value) for r in records[index:]))
                failed.update(dict.fromkeys(range(index, len(records)), str(error)))
                break
        for index, future in sent:
            try:
                future.get(timeout=max(0.0, deadline - time.monotonic()))
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                refused[index] = f"too large for the log: {type(error).__name__}"
            except KafkaError as error:
                failed[index] = str(error)
        if failed and len(failed) + len(refused) == len(records):
            raise LogUnavailable(f"{self._settings.name}: {next(iter(failed.values()))}")
        return Appended(refused, failed)

    def check(self) -> None:
        with _admin(self._settings, timeout_s=_METADATA_TIMEOUT_S * 0.7) as admin:
            _describe(admin, self._settings)

    def close(self) -> None:
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=5)

    def _send(self, record: Record) -> Any:
        future = self._producer.send(self._settings.topic, key=record.key, value=record.value)
        # Held until it is known what became of it, even where the waiting thread has given up.
        future.add_both(partial(self._on_done, len(record.value)))
        return future

    def _on_done(self, size: int, _result: Any) -> None:
        self._release(size)

    def _reserve(self, size: int) -> None:
        with self._lock:
            if self._in_flight_bytes + size > _MAX_IN_FLIGHT_BYTES:
                raise LogUnavailable(f"{self._settings.name}: too much is under way")
            self._in_flight_bytes += size

    def _release(self, size: int) -> None:
        with self._lock:
            self._in_flight_bytes -= size


class KafkaReader:
    """The loader's end: a member of the loaders' consumer group, with a stable name."""

    def __init__(self, settings: KafkaSettings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._next: dict[int, int] = {}
        self._fresh: set[int] = set()
        with _mapped(settings):
            self._consumer = KafkaConsumer(
                **settings.connection(),
                # Below the loader's `stall_after_s`: a log that is away is no reader that hangs.
                bootstrap_timeout_ms=10_000,
                group_id=settings.group,
                # Static membership: a restarted loader gets its partitions at once instead of waiting
                # for the dead one's session to end.
                group_instance_id=member,
                session_timeout_ms=int(settings.session_timeout_s * 1000),
                heartbeat_interval_ms=int(settings.session_timeout_s * 250),
                # Positions live in the warehouse; what Kafka has committed is for lag tools only.
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=200,
                max_partition_fetch_bytes=8 * 1024 * 1024,
                check_crcs=True,
            )
            self._consumer.subscribe([settings.topic], listener=_Listener(self._assigned, self._gone))
            # Seen before the group is joined: kafka-python deals out what it knows of, which would be nothing.
            self._consumer.partitions_for_topic(settings.topic)

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        _finish_rejoin(self._consumer)
        with _mapped(self._settings):
            batches = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
            chunks = [
                self._chunk(part.partition, records)
                for part, records in batches.items()
                # Not placed yet: its position comes from the warehouse, not from Kafka.
                if part.partition in self._next
            ]
        fresh = frozenset(self._fresh)
        return Polled(chunks, frozenset(self._next) | fresh, fresh)

    def seek(self, positions: Mapping[int, int]) -> None:
        with _mapped(self._settings):
            owned = self._consumer.assignment()
            for number, position in positions.items():
                part = TopicPartition(self._settings.topic, number)
                if part not in owned:
                    # Lost while the caller looked the position up: its new owner places it.
                    continue
                self._consumer.seek(part, position)
                self._consumer.resume(part)
                self._next[number] = position
                self._fresh.discard(number)

    def landed(self, positions: Mapping[int, int]) -> None:
        # Fire and forget: if it fails, a lag tool is a moment behind.
        with contextlib.suppress(KafkaError, TypeError):
            self._consumer.commit_async(
                {TopicPartition(self._settings.topic, n): _offset(position) for n, position in positions.items()}
            )

    def close(self) -> None:
        with contextlib.suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=3_000)

    def leave(self) -> None:
        # A static member leaves only when its session ends, and who comes back under its name is given what it was
        # given last: nothing, where the member that dealt the partitions out knew of none and has died.
        self.close()
        with contextlib.suppress(LogUnavailable):
            _in_time(self._remove_member, self._settings)

    def _remove_member(self) -> None:
        with _admin(self._settings) as admin:
            admin.remove_group_members(self._settings.group, [MemberToRemove(group_instance_id=self._member)])

    def _chunk(self, number: int, records: Sequence[Any]) -> Chunk:
        first = self._next[number]
        positions = [record.offset for record in records]
        # One past the last record rather than the consumer's position: equal but for markers at the
        # end, and it needs no call.
        following = positions[-1] + 1
        self._next[number] = following
        return Chunk(number, first, following, positions, [record.value or b"" for record in records])

    def _assigned(self, numbers: set[int]) -> None:
        for number in numbers:
            self._consumer.pause(TopicPartition(self._settings.topic, number))
            self._next.pop(number, None)
        self._fresh |= numbers

    def _gone(self, numbers: set[int]) -> None:
        for number in numbers:
            self._next.pop(number, None)
        self._fresh -= numbers


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands kafka-python's rebalance calls on as partition numbers."""

    def __init__(self, assigned: Callable[[set[int]], None], gone: Callable[[set[int]], None]) -> None:
        self._on_assigned = assigned
        self._on_gone = gone

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        self._on_assigned({part.partition for part in assigned})

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        self._on_gone({part.partition for part in revoked})

    def on_partitions_lost(self, lost: Sequence[Any]) -> None:
        self._on_gone({part.partition for part in lost})


def _finish_rejoin(consumer: Any) -> None:
    """
    Have a rejoin that was begun also ended.

    kafka-python 3.0.12 rejoins when the topic's metadata has changed: when it first arrives after the
    group was joined, or when partitions are added. It gives the partitions up, and where the poll's time
    ends before the broker has answered, it forgets that it was about to rejoin: the consumer polls on for
    ever without partitions. On a busy machine this met one new consumer in thirty.
    """
    coordinator: Any = getattr(consumer, "_coordinator", None)
    if getattr(coordinator, "rejoining", False):
        coordinator.request_rejoin()


def _offset(position: int) -> Any:
    from kafka.structs import OffsetAndMetadata

    return OffsetAndMetadata(position, "", -1)


def _in_time(call: Callable[[], _T], settings: KafkaSettings) -> _T:
    """The call's result; kafka-python can wait without end, so it is given a thread and a time."""
    outcome: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            outcome.put((None, error))

    threading.Thread(target=work, name="thumbline-kafka-call", daemon=True).start()
    try:
        result, error = outcome.get(timeout=_CALL_TIMEOUT_S)
    except queue.Empty:
        raise LogUnavailable(f"{settings.name}: no answer in {_CALL_TIMEOUT_S:g} s") from None
    if error is not None:
        raise error
    return cast("_T", result)


@contextlib.contextmanager
def _mapped(settings: KafkaSettings) -> Iterator[None]:
    # kafka-python's errors end here: the rest of the project knows only the log's own.
    try:
        yield
    except KafkaError as error:
        raise LogUnavailable(f"{settings.name}: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _admin(settings: KafkaSettings, timeout_s: float = 5.0) -> Iterator[Any]:
    timeout_ms = int(timeout_s * 1000)
    with (
        _mapped(settings),
        contextlib.closing(
            KafkaAdminClient(**settings.connection(), bootstrap_timeout_ms=timeout_ms, request_timeout_ms=timeout_ms)
        ) as admin,
    ):
        yield admin


def _describe(admin: Any, settings: KafkaSettings) -> dict[str, Any]:
    (described,) = admin.describe_topics([settings.topic])
    # The error is in the row, it is not raised.
    if described["error_code"] == 3:  # UNKNOWN_TOPIC_OR_PARTITION
        raise LogMisconfigured(_missing(settings))
    if described["error_code"]:
        raise LogUnavailable(f"{settings.name}: broker answers error {described['error_code']}")
    return dict(described)


def _missing(settings: KafkaSettings) -> str:
    return (
        f"topic '{settings.topic}' does not exist on {', '.join(settings.bootstrap_servers)}; "
        "make it with `thumbline topic create`"
    )
