"""
The producer in use, and another one in its place when it is dead.

kafka-python 3.0.12 does not say when its idempotent producer is dead. A batch that expires after it was
sent once resets the producer's id, leaves the state at "ready", and no new id is ever asked for: nothing
is sent any more, and nothing expires. Fatal errors (a refused id, a fenced epoch) are final too.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from kafka.errors import KafkaError

# Between two tries to make a new one.
_RETRY_S: Final = 0.5
_CLOSE_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0


class Producer:
    """
    One of kafka-python's producers, with what is known of it.

    Attributes:
        client: the `KafkaProducer`.
        held_bytes: what it holds and has not settled. Goes with it: what a dead one held is nobody's any more.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.held_bytes = 0
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._under_way: dict[int, float] = {}

    def hold(self, size: int, limit: int) -> bool:
        """Count bytes that it is given; `False` where it would hold more than this."""
        with self._lock:
            if self.held_bytes + size > limit:
                return False
            self.held_bytes += size
            return True

    def release(self, size: int) -> None:
        """They are settled, one way or the other."""
        with self._lock:
            self.held_bytes -= size

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Around one append, so that it is known how long the oldest has waited."""
        number = next(self._numbers)
        with self._lock:
            self._under_way[number] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[number]

    def waits_s(self) -> float:
        """For how long the oldest append under way has waited."""
        with self._lock:
            began = next(iter(self._under_way.values()), None)
        return 0.0 if began is None else time.monotonic() - began

    def death(self) -> str | None:
        """Why it will never send again, or None."""
        sender = getattr(self.client, "_sender", None)
        if sender is not None and not sender.is_alive():
            return "its thread has ended"
        state = getattr(self.client, "_transaction_manager", None)
        if state is None:
            return None
        if state.has_fatal_error():
            return f"{type(state.last_error).__name__}: {state.last_error}"
        if not state.has_producer_id() and state._current_state.name == "READY":
            return "its id was reset and no other was asked for"
        return None

    def close(self, timeout_s: float) -> None:
        """Finish what is under way in so many seconds; what is left then fails."""
        if timeout_s:
            with contextlib.suppress(KafkaError):
                self.client.close(timeout=timeout_s)
        sender = getattr(self.client, "_sender", None)
        if sender is not None and sender.is_alive():
            # kafka-python's own `close` raises where something is left, before it has ended the thread.
            sender.force_close()
            sender.join(_CLOSE_TIMEOUT_S)
        with contextlib.suppress(KafkaError):
            self.client.close(timeout=0)


class Producers:
    """
    The producer in use by all threads of a writer.

    Args:
        make: makes a `KafkaProducer`; raises `KafkaError` while the brokers are away.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._here = threading.Event()
        self._current: Producer | None = Producer(make())
        self._here.set()
        self._trouble = ""

    def current(self, timeout_s: float) -> Producer | None:
        """The producer in use; None where it was given up and there is no new one in this time."""
        self._here.wait(timeout_s)
        producer = self._current
        if producer is not None and (why := producer.death()) is not None:
            self.give_up(producer, why)
            return None
        return producer

    @property
    def trouble(self) -> str:
        """Why the last one was given up, or why there is no new one yet."""
        return self._trouble

    def give_up(self, producer: Producer, why: str) -> None:
        """Put another producer in this one's place; does nothing where another thread has."""
        with self._lock:
            if self._current is not producer:
                return
            self._current, self._trouble = None, why
            self._here.clear()
        if not self._stop.is_set():
            threading.Thread(target=self._replace, args=(producer,), name="thumbline-kafka-renew", daemon=True).start()

    def close(self) -> None:
        """Finish what is under way."""
        self._stop.set()
        with self._lock:
            producer, self._current = self._current, None
        self._here.set()
        if producer is not None:
            producer.close(_STOP_TIMEOUT_S)

    def _replace(self, old: Producer) -> None:
        # Closing fails what the old one holds, for whom that waits; a thread of its own, since its sender may hang.
        threading.Thread(target=old.close, args=(0.0,), name="thumbline-kafka-close", daemon=True).start()
        while not self._stop.is_set():
            try:
                made = Producer(self._make())
            except KafkaError as error:
                self._trouble = f"{type(error).__name__}: {error}"
                self._stop.wait(_RETRY_S)
                continue
            with self._lock:
                if not self._stop.is_set():
                    self._current = made
                    self._here.set()
                    return
            made.close(0.0)
