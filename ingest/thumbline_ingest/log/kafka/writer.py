"""The collector's end of the log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from ..base import Appended, LogUnavailable, Record
from .admin import admin_client, describe, mapped
from .settings import KafkaSettings

# kafka-python 3 has no bound on what its producer holds: this is it. Above one request at its largest.
_MAX_IN_FLIGHT_BYTES: Final = 64 * 1024 * 1024
# The collector answers within this, or says 503; below the client's read timeout.
_DELIVERY_TIMEOUT_S: Final = 10.0
_METADATA_TIMEOUT_S: Final = 2.0


class KafkaWriter:
    """
    The collector's end.

    Make it in the process that uses it: a producer does not survive a fork.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._in_flight_bytes = 0
        with mapped(settings):
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
        with admin_client(self._settings, timeout_s=_METADATA_TIMEOUT_S * 0.7) as admin:
            describe(admin, self._settings)

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
