"""The collector's end of the log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from ..base import Appended, LogUnavailable, Record
from .admin import in_time, look_at_brokers, mapped
from .clients import made
from .producer import Producer, Producers
from .settings import KafkaSettings

# kafka-python 3 has no bound on what its producer holds: this is it. Above one request at its largest.
_MAX_IN_FLIGHT_BYTES: Final = 64 * 1024 * 1024
# The collector answers within this, or says 503; below the client's read timeout.
_DELIVERY_TIMEOUT_S: Final = 10.0
_METADATA_TIMEOUT_S: Final = 2.0
_BOOTSTRAP_TIMEOUT_MS: Final = 5_000
# How long an append waits where the producer is being made anew.
_RENEWAL_S: Final = 2.0
# An append that waits for longer than this says that the log takes nothing now. Above a slow disk's worst commit.
_STALLED_S: Final = 3.0
_CHECK_TIMEOUT_S: Final = 1.9
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


class KafkaWriter:
    """
    The collector's end.

    Make it in the process that uses it: a producer does not survive a fork. A producer that may be dead is
    replaced, once for all threads; until there is another, appends are refused soon.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        with mapped(settings):
            self._producers = Producers(self._make)

    def append(self, records: Sequence[Record]) -> Appended:
        producer = self._producer()
        if not producer.hold(sum(len(record.value) for record in records), _MAX_IN_FLIGHT_BYTES):
            raise LogUnavailable(f"{self._settings.name}: too much is under way")
        attempt = _Attempt(self._settings.topic, producer, records)
        with producer.under_way():
            attempt.run(_DELIVERY_TIMEOUT_S)
        if attempt.timed_out:
            self._producers.give_up(producer, f"no answer in {_DELIVERY_TIMEOUT_S:g} s")
        elif attempt.failed and (why := producer.death()) is not None:
            self._producers.give_up(producer, why)
        if attempt.failed and len(attempt.failed) + len(attempt.refused) == len(records):
            raise LogUnavailable(f"{self._settings.name}: {next(iter(attempt.failed.values()))}")
        return Appended(attempt.refused, attempt.failed)

    def check(self) -> None:
        # First of the producer that is used: a cluster that is well does not help one that is dead.
        producer = self._producers.current(0.0)
        if producer is None:
            raise self._away()
        waits_s = producer.waits_s()
        if waits_s > _STALLED_S:
            raise LogUnavailable(f"{self._settings.name}: an append has waited for {waits_s:.0f} s")
        in_time(partial(look_at_brokers, self._settings, _METADATA_TIMEOUT_S * 0.7), self._settings, _CHECK_TIMEOUT_S)

    def close(self) -> None:
        self._producers.close()

    def _producer(self) -> Producer:
        producer = self._producers.current(_RENEWAL_S)
        if producer is None:
            raise self._away()
        return producer

    def _away(self) -> LogUnavailable:
        trouble = self._producers.trouble
        return LogUnavailable(f"{self._settings.name}: the producer is made anew{f' ({trouble})' if trouble else ''}")

    def _make(self) -> Any:
        return made(
            KafkaProducer,
            self._settings,
            bootstrap_timeout_ms=_BOOTSTRAP_TIMEOUT_MS,
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


class _Attempt:
    """
    The records of one append on their way through one producer.

    Attributes:
        refused: index of a record -> why it will never be taken.
        failed: index of a record -> why it was not taken now.
        timed_out: the producer may be dead from here on.
    """

    def __init__(self, topic: str, producer: Producer, records: Sequence[Record]) -> None:
        self.refused: dict[int, str] = {}
        self.failed: dict[int, str] = {}
        self.timed_out = False
        self._topic = topic
        self._producer = producer
        self._records = records

    def run(self, timeout_s: float) -> None:
        """Send all, and wait until it is known what became of each."""
        deadline = time.monotonic() + timeout_s
        for index, future in self._send():
            try:
                future.get(timeout=max(0.0, deadline - time.monotonic()))
            except KafkaError as error:
                self._note(index, error)

    def _send(self) -> list[tuple[int, Any]]:
        sent: list[tuple[int, Any]] = []
        for index, record in enumerate(self._records):
            try:
                sent.append((index, self._send_one(record)))
            except KafkaError as error:
                self._note(index, error)
                if index in self.refused:
                    self._producer.release(len(record.value))
                    continue
                # The broker is away: the rest would each wait as long.
                left = range(index, len(self._records))
                self._producer.release(sum(len(self._records[i].value) for i in left))
                self.failed.update(dict.fromkeys(left, self.failed[index]))
                break
        return sent

    def _send_one(self, record: Record) -> Any:
        future = self._producer.client.send(self._topic, key=record.key, value=record.value)
        # Held until it is known what became of it, even where the waiting thread has given up.
        future.add_both(partial(self._on_done, len(record.value)))
        return future

    def _on_done(self, size: int, _result: Any) -> None:
        self._producer.release(size)

    def _note(self, index: int, error: KafkaError) -> None:
        if isinstance(error, _TOO_LARGE):
            self.refused[index] = f"too large for the log: {type(error).__name__}"
            return
        self.failed[index] = str(error)
        self.timed_out |= isinstance(error, KafkaTimeoutError)
