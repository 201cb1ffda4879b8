"""What lies behind a client: buffer, sender and spool, through fork and to the end of the process."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import _exit
from ._buffer import NEVER, Buffer
from ._encode import Encoder, Item
from ._log import QuietLog
from ._sender import Sender
from .errors import InvalidEvent
from .settings import DEFAULT_SPOOL, ClientSettings, NoHome, default_spool_directory
from .spool import FileSpool
from .stats import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._buffer import Entry
    from ._encode import Draft
    from .clock import Clock
    from .spool import Spool
    from .stats import DropReason, OnDrop, Stats
    from .transport import Transport

_log = QuietLog("client")

_POLL_MIN_S = 0.001
_POLL_MAX_S = 0.02
# So long `flush` and `close` wait beyond their time for an `on_drop` that is under way: one that hangs must not
# keep the host from ending.
TELL_PATIENCE_S = 5.0
_FULL = ""  # in place of a receipt


class Pipeline:
    """
    Takes events and answers for them until the process ends.

    Args:
        settings: the client's.
        transport: carries batches.
        clock: the time.
        on_drop: told of each event that is given up.
    """

    _buffer: Buffer
    _sender: Sender
    _is_closed: bool
    _is_finished: bool
    _closer: int  # the thread that closes it

    def __init__(self, settings: ClientSettings, transport: Transport, clock: Clock, on_drop: OnDrop) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._on_drop = on_drop
        self._encode = Encoder(settings)
        self._eager = settings.debug or settings.durable
        self._spool = _spool_of(settings)
        self._begin()
        _exit.register(self)

    def record(self, size: int, event_id: str, fields: dict[str, Any]) -> None:
        """
        Take one event.

        Args:
            size: estimate of the memory that `fields` take.
            event_id: its id.
            fields: its other fields, not changed by anyone afterwards.

        Raises:
            InvalidEvent: with `debug` only.
        """
        now_ns = self._clock.now_ns()
        if self._eager:
            self._record_eagerly(event_id, now_ns, fields)
        elif self._buffer.put(size, event_id, now_ns, fields):
            self._sender.notice()
        else:
            self._overflow(event_id, now_ns, fields)

    def refuse(self, reason: DropReason, event_id: str, error: InvalidEvent | None = None) -> None:
        """Count an event that never came to be."""
        self._sender.drop(Drop(reason, event_id, error.problems if error else ()), in_flight=False)

    @property
    def exit_timeout_s(self) -> float:
        """How long the end of the process may take."""
        return self._settings.exit_timeout_s

    def stats(self) -> Stats:
        """All counts at one moment."""
        return self._buffer.stats()

    def mark(self) -> int:
        """What `is_delivered` is to wait for: everything recorded so far."""
        return self._buffer.last_sequence

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Deliver without delay for the length of a block."""
        sender = self._sender
        sender.hurry()
        try:
            yield
        finally:
            sender.relax()

    def is_delivered(self, mark: int) -> bool:
        """Whether everything up to a mark has its end."""
        return self._sender.delivered(mark)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything recorded so far has its end; False when time ran out."""
        deadline_s = time.monotonic() + timeout_s
        with self.hurried():
            in_time = self._wait_for_delivery(self.mark(), deadline_s)
        self._wait_until_told()
        return in_time

    @property
    def has_told(self) -> bool:
        """Whether `on_drop` knows all that `stats` counts."""
        return self._sender.has_told

    def _wait_until_told(self) -> None:
        if not _poll(lambda: self.has_told, TELL_PATIENCE_S):
            _log.warning("on_drop", "on_drop does not return; going on without it")

    def _wait_for_delivery(self, mark: int, deadline_s: float) -> bool:
        pause_s = _POLL_MIN_S
        while not self.is_delivered(mark):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or self._sender.is_current:
                return False
            if self._sender.is_running:
                time.sleep(min(pause_s, left_s))
                pause_s = min(2 * pause_s, _POLL_MAX_S)
            else:
                self._sender.step_here(left_s)
        return True

    def stop_intake(self) -> None:
        """Take no more events and hurry with the rest."""
        with self._buffer.lock:
            self._buffer.closed = True
        if self._buffer.last_sequence:
            self._sender.hurry()

    def close(self, timeout_s: float) -> bool:
        """Deliver what is left within a time, spool the rest; False when there was a rest."""
        if self._is_closed:
            # Another thread may be in the middle of it; this one may be too, in `on_drop`.
            is_mine = self._closer == threading.get_ident() or self._sender.is_current
            return is_mine or _poll(lambda: self._is_finished, timeout_s)
        self._is_closed = True
        self._closer = threading.get_ident()
        try:
            self.stop_intake()
            # A process that recorded nothing is not kept from ending.
            return not self._buffer.last_sequence or self.flush(timeout_s)
        finally:  # also on Ctrl-C: whoever is in a hurry must not lose events by it
            self._finish()
            self._is_finished = True

    def retire(self) -> None:
        """Nobody records any more: end the thread when everything is delivered. Takes no lock."""
        self._sender.retiring = True
        if not self._buffer.last_sequence:
            _exit.unregister(self)

    def after_fork(self) -> None:
        """In the child: what is under way is the parent's."""
        if self._spool is not None:
            self._spool.after_fork()
        self._begin()

    def _begin(self) -> None:
        self._is_closed = False
        self._is_finished = False
        self._closer = 0
        self._buffer, self._sender = self._new()

    def _new(self) -> tuple[Buffer, Sender]:
        buffer = Buffer(self._settings.max_queue_bytes)
        sender = Sender(
            buffer,
            self._encode,
            self._transport,
            self._spool,
            self._settings,
            self._clock,
            self._on_drop,
            self._finish,
        )
        return buffer, sender

    def _record_eagerly(self, event_id: str, now_ns: int, fields: dict[str, Any]) -> None:
        if self._buffer.closed:
            self.refuse("shutdown", event_id)
            return
        draft: Draft = (0, self._buffer.begin(), event_id, now_ns, fields)
        encoded = self._sender.encode(draft)
        if isinstance(encoded, Drop):
            self._sender.drop(encoded)
            if self._settings.debug and encoded.problems:
                raise Counted(encoded.problems)
            return
        has_room = self._buffer.fits(encoded.size)
        if self._settings.durable:
            receipt = self._append(encoded, held=has_room)
            encoded = encoded._replace(receipt=None if receipt == _FULL else receipt)
        if not has_room:
            self._keep(encoded, "queue_full")
        elif not self._buffer.push(encoded):
            self._keep(encoded, "shutdown")
        self._sender.notice()

    def _overflow(self, event_id: str, now_ns: int, fields: dict[str, Any]) -> None:
        if self._buffer.closed or self._spool is None:
            self.refuse("shutdown" if self._buffer.closed else "queue_full", event_id)
            return
        # On the caller's thread: slower than the queue, and faster than losing the event.
        self._encode_and_keep((0, self._buffer.begin(), event_id, now_ns, fields), "queue_full")
        self._sender.notice()

    def _finish(self) -> None:
        reason: DropReason = "unauthorized" if self._sender.unauthorized else "shutdown"
        for entry in [*self._sender.halt(), *self._buffer.take(NEVER, NEVER)]:
            self._encode_and_keep(entry, reason)
        self._wait_until_told()
        try:
            if self._spool is not None:
                self._spool.close()
            self._transport.close()
        except Exception as error:  # noqa: BLE001 - both may be the host's
            _log.warning("close", "closing failed: %s", type(error).__name__)
        _exit.unregister(self)

    def _encode_and_keep(self, entry: Entry, otherwise: DropReason) -> None:
        encoded = self._sender.encode(entry)
        if isinstance(encoded, Drop):
            self._sender.drop(encoded)
        else:
            self._keep(encoded, otherwise)

    def _keep(self, item: Item, otherwise: DropReason) -> None:
        # On disk already, or put there now; else given up, for the reason that it was to be kept.
        receipt = item.receipt or self._append(item, held=False)
        if receipt is None:
            self._sender.drop(Drop(otherwise, item.event_id))
        elif receipt == _FULL:
            self._sender.drop(Drop("spool_full", item.event_id))
        else:
            self._buffer.spool()

    def _append(self, item: Item, *, held: bool) -> str | None:
        """Receipt of the spool, `_FULL`, or None where there is no spool that can be written."""
        if self._spool is None:
            return None
        try:
            return self._spool.append(item.event_id, item.data, held=held) or _FULL
        except Exception as error:  # noqa: BLE001 - a broken disk, or a spool of the host's
            _log.warning("spool", "the spool cannot be written, memory only: %s", type(error).__name__)
            return None


def _poll(is_done: Callable[[], bool], timeout_s: float) -> bool:
    """Look again and again until something is done; False when time ran out."""
    deadline_s = time.monotonic() + timeout_s
    pause_s = _POLL_MIN_S
    while not is_done():
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, _POLL_MAX_S)
    return True


class Counted(InvalidEvent):
    """An invalid event that is in the books already."""


def _spool_of(settings: ClientSettings) -> Spool | None:
    spool = settings.spool
    if spool is None or hasattr(spool, "append"):
        return spool  # type: ignore[return-value]
    try:
        directory = default_spool_directory(settings) if spool == DEFAULT_SPOOL else spool
    except NoHome:
        _log.warning(
            "home", "this user has no home directory, memory only: set THUMBLINE_SPOOL to a directory or to off"
        )
        return None
    return FileSpool(directory, max_bytes=settings.spool_max_bytes)
