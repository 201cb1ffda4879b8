"""The loader's end of the log: a member of the loaders' consumer group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from ..base import Chunk, LogUnavailable, Polled
from .admin import admin_client, in_time, mapped
from .clients import made
from .settings import KafkaSettings

# Below the loader's `stall_after_s`: a log that is away is no reader that hangs.
_BOOTSTRAP_TIMEOUT_MS: Final = 10_000


class KafkaReader:
    """The loader's end: a member of the loaders' consumer group, with a stable name."""

    def __init__(self, settings: KafkaSettings, member: str) -> None:
        self._settings = settings
        self._member = member
        self._next: dict[int, int] = {}
        self._fresh: set[int] = set()
        with mapped(settings):
            self._consumer = made(
                KafkaConsumer,
                settings,
                bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
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
        with mapped(self._settings):
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
        with mapped(self._settings):
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
            in_time(self._remove_member, self._settings)

    def _remove_member(self) -> None:
        with admin_client(self._settings) as admin:
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
    return OffsetAndMetadata(position, "", -1)
