"""The log on one topic: who it is, what it holds, and its writers and readers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from kafka import TopicPartition
from kafka.errors import TopicAlreadyExistsError

from ..base import Bounds, Chunk, LogIdentity, LogMisconfigured
from .admin import admin_client, describe, in_time, mapped, missing, onlooker
from .reader import KafkaReader
from .settings import KafkaSettings
from .writer import KafkaWriter

_PEEK_TIMEOUT_S: Final = 5.0


class KafkaLog:
    """A `Log` on one topic."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings

    def identity(self) -> LogIdentity:
        return in_time(self._identity, self.settings)

    def bounds(self) -> dict[int, Bounds]:
        return in_time(self._bounds, self.settings)

    def _identity(self) -> LogIdentity:
        with admin_client(self.settings) as admin:
            described = describe(admin, self.settings)
        return LogIdentity(str(described["topic_id"]), self.settings.name, len(described["partitions"]))

    def _bounds(self) -> dict[int, Bounds]:
        with mapped(self.settings), contextlib.closing(onlooker(self.settings)) as consumer:
            numbers = consumer.partitions_for_topic(self.settings.topic)
            if not numbers:
                raise LogMisconfigured(missing(self.settings))
            parts = [TopicPartition(self.settings.topic, number) for number in sorted(numbers)]
            starts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
            return {part.partition: Bounds(starts[part], ends[part]) for part in parts}

    def peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        return in_time(partial(self._peek, positions, max_records), self.settings)

    def _peek(self, positions: Mapping[int, int], max_records: int) -> list[Chunk]:
        with mapped(self.settings), contextlib.closing(onlooker(self.settings)) as consumer:
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
        with admin_client(self.settings) as admin:
            try:
                admin.create_topics({self.settings.topic: options})
            except TopicAlreadyExistsError:
                return False
            admin.wait_for_topics([self.settings.topic])
        return True
