"""Reads the log in a thread of its own, so that reading goes on while DuckDB works."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from thumbline_ingest.log import LogReader, LogUnavailable, Polled

_POLL_S: Final = 0.1
_POLL_RECORDS: Final = 10_000
_RETRY_S: Final = 0.5
_CLOSE_TIMEOUT_S: Final = 10.0
# A reader that has brought nothing but errors for this long is made anew.
_RENEW_AFTER_S: Final = 30.0
# Polls that wait to be landed; with the one being landed this bounds what the loader holds.
_MAX_WAITING: Final = 12
_MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


class Poller:
    """
    Owns a `LogReader` in its own thread; what it is to do there is handed over as small commands.

    Args:
        open_reader: makes the reader; called in the poller's thread, again after `restart`.
        on_unavailable: told why the log cannot be read, each time.
    """

    def __init__(self, open_reader: Callable[[], LogReader], on_unavailable: Callable[[LogUnavailable], None]) -> None:
        self._open_reader = open_reader
        self._on_unavailable = on_unavailable
        self._polled: queue.Queue[Polled] = queue.Queue(_MAX_WAITING)
        self._waiting_bytes = 0
        self._announced: frozenset[int] = frozenset()
        self._assigned: frozenset[int] = frozenset()
        self._alive_at = time.monotonic()
        self._bytes_lock = threading.Lock()
        self._commands: queue.SimpleQueue[Callable[[LogReader], None]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._reopen = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="thumbline-poller", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def get(self, timeout_s: float) -> Polled | None:
        """
        The next poll that brought records or another assignment, or None.

        Raises:
            Exception: what ended the poller's thread.
        """
        try:
            polled = self._polled.get(timeout=max(0.0, timeout_s))
            self._count(-_size(polled))
            return polled
        except queue.Empty:
            if self._failure is not None:
                raise self._failure from None
            return None

    def seek(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from these positions."""

        def place(reader: LogReader) -> None:
            reader.seek(positions)
            # Should they be assigned anew from now on, even within the next poll, that is news again.
            self._announced -= positions.keys()

        self._commands.put(place)

    def landed(self, positions: Mapping[int, int]) -> None:
        """What lies before these positions is landed."""
        self._commands.put(lambda reader: reader.landed(positions))

    @property
    def silent_s(self) -> float:
        """Seconds since the reader's thread was last seen: a poll that never returns makes it grow."""
        return time.monotonic() - self._alive_at

    def abandon(self) -> None:
        """Leave a thread that hangs to itself; should it ever go on, it ends."""
        self._stop.set()
        self._drain()

    def restart(self) -> None:
        """Give the reader up and make a new one."""
        self._reopen.set()

    def close(self) -> None:
        """Stop reading and give the partitions up."""
        self._stop.set()
        deadline = time.monotonic() + _CLOSE_TIMEOUT_S
        while self._thread.is_alive() and time.monotonic() < deadline:
            # The thread may wait for room in the queue.
            self._drain()
            self._thread.join(0.05)
        self._drain()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._reopen.clear()
                self._drain()
                self._read()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks for records
            self._failure = error

    def _read(self) -> None:
        try:
            reader = self._open_reader()
        except LogUnavailable as error:
            self._wait(error)
            return
        self._announced = self._assigned = frozenset()
        well_at = time.monotonic()
        try:
            while not self._stop.is_set() and not self._reopen.is_set():
                self._alive_at = time.monotonic()
                self._obey(reader)
                try:
                    polled = reader.poll(_POLL_S, _POLL_RECORDS)
                except LogUnavailable as error:
                    self._wait(error)
                    if time.monotonic() - well_at > _RENEW_AFTER_S:
                        # It may be the reader that is broken, and not the log.
                        return
                    continue
                well_at = time.monotonic()
                # Newly assigned partitions are told once; they stay so until `seek` has come.
                fresh = polled.newly_assigned - self._announced
                self._announced = polled.newly_assigned
                is_news = polled.assigned != self._assigned
                self._assigned = polled.assigned
                if polled.chunks or fresh or is_news:
                    self._put(Polled(polled.chunks, polled.assigned, fresh))
            self._obey(reader)
        finally:
            if self._reopen.is_set():
                reader.leave()
            else:
                reader.close()

    def _obey(self, reader: LogReader) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command(reader)

    def _put(self, polled: Polled) -> None:
        size = _size(polled)
        while not self._stop.is_set() and not self._reopen.is_set():
            self._alive_at = time.monotonic()
            if self._waiting_bytes and self._waiting_bytes + size > _MAX_WAITING_BYTES:
                self._stop.wait(0.01)
                continue
            try:
                self._polled.put(polled, timeout=0.1)
            except queue.Full:
                continue
            self._count(size)
            return

    def _count(self, size: int) -> None:
        with self._bytes_lock:
            self._waiting_bytes += size

    def _wait(self, error: LogUnavailable) -> None:
        self._alive_at = time.monotonic()
        self._on_unavailable(error)
        self._stop.wait(_RETRY_S)

    def _drain(self) -> None:
        while True:
            try:
                self._count(-_size(self._polled.get_nowait()))
            except queue.Empty:
                return


def _size(polled: Polled) -> int:
    return sum(len(value) for chunk in polled.chunks for value in chunk.values)
