"""The sender: one thread that turns the queue into requests and acts on the replies."""

from __future__ import annotations

import random
import threading
import zlib
from collections import Counter, deque
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, cast

from ._buffer import NEVER, Buffer, Entry, Verdict
from ._encode import Encoder, Item, TooLarge
from ._log import QuietLog
from ._native import allocate_lock, get_ident, is_patched_since, start_new_thread
from ._signal import Signal
from ._verdicts import Outcome, read_reply
from .errors import InvalidEvent
from .stats import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .clock import Clock
    from .problems import Problem
    from .settings import ClientSettings
    from .spool import Spool
    from .stats import DropReason, OnDrop
    from .transport import Transport

_log = QuietLog("sender")

_ITEM_OVERHEAD: Final = 300  # Python's objects around an item's JSON
_MIN_BATCH_BYTES: Final = 16 * 1024  # where batches stop to shrink after "too large"
_IDLE_S: Final = 5.0  # longest sleep; a client that was garbage collected is noticed by then
_MAX_WAIT_S: Final = 300.0
_HURRIED_WAIT_S: Final = 1.0  # longest wait between tries while someone waits for `flush` or `close`


class Sender:
    """
    Delivers what is in the buffer and in the spool. One batch is under way at a time.

    Args:
        buffer: queue and books.
        encode: turns drafts into JSON.
        transport: carries batches.
        spool: events on disk; None without one.
        settings: the client's.
        clock: the time.
        on_drop: told of each event that is given up.
        on_retired: called at the end of a thread that ended because of `retiring`.
    """

    def __init__(
        self,
        buffer: Buffer,
        encode: Encoder,
        transport: Transport,
        spool: Spool | None,
        settings: ClientSettings,
        clock: Clock,
        on_drop: OnDrop,
        on_retired: Callable[[], None],
    ) -> None:
        self._buffer = buffer
        self._encode = encode
        self._transport = transport
        self._spool = spool
        self._settings = settings
        self._monotonic_s = clock.monotonic_s
        self._on_drop = on_drop
        self._on_retired = on_retired
        self._headers = {
            "Authorization": f"Bearer {settings.key}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
        }
        self._signal = Signal()
        self._thread: threading.Thread | Literal["bare"] | None = None
        self._start_lock = allocate_lock()
        self._ident = 0  # of that thread
        self._taken: deque[Entry] = deque()  # from the queue, not yet encoded
        self._working: dict[int, Item] = {}  # encoded, without verdict, by sequence
        self._random = random.Random()  # not the module's, whose numbers may be the host's experiment
        self._batch_bytes = settings.max_batch_bytes
        self._failures = 0
        self._not_before_s = 0.0
        self._server_said_wait = False
        self._next_scan_s = 0.0
        self._waiters = 0
        self._untold: Counter[int] = Counter()  # by thread: counted, with spool or `on_drop` still to be told
        self._halted = False
        self.retiring = False
        """Set when nobody will record any more: the thread ends once everything is delivered."""
        self.unauthorized = False
        """Whether the last answer said that the key or the URL is wrong."""

    # -- called from other threads -------------------------------------------------------------------

    def notice(self) -> None:
        """Something was queued: start the thread if there is none, wake it if it asked for that."""
        if self._thread is None:
            self._start()
        buffer = self._buffer
        if len(buffer) >= buffer.wake_at:
            buffer.wake_at = NEVER
            self._signal.set()

    def hurry(self) -> None:
        """Somebody waits: deliver without waiting for company, until as many calls of `relax`."""
        with self._buffer.lock:
            self._waiters += 1
        self._next_scan_s = 0.0
        if not self._server_said_wait:
            self._failures = 0
            self._not_before_s = 0.0
        self._start()
        self._signal.set()

    def relax(self) -> None:
        """Somebody waits no longer."""
        with self._buffer.lock:
            self._waiters -= 1

    def delivered(self, sequence: int) -> bool:
        """Whether nothing up to a sequence is in memory, nor anything of this or a dead process on disk."""
        buffer = self._buffer
        with buffer.lock:
            taken = self._taken[0][1] if self._taken else NEVER
            oldest = min(min(self._working, default=NEVER), taken, buffer.oldest_sequence)
            is_scanned = self._spool is None or self._next_scan_s > 0
            return oldest > sequence and not buffer.spooled and is_scanned and self.has_told

    @property
    def has_told(self) -> bool:
        """Whether `on_drop` knows all that is counted, but for what the caller's own thread is about to tell it."""
        with self._buffer.lock:
            return self._untold.keys() <= {threading.get_ident()}

    def halt(self) -> list[Entry]:
        """Stop for good, without waiting for a request under way; returns what has no verdict."""
        with self._buffer.lock:
            self._halted = True
            left = [*self._working.values(), *self._taken]
            self._working, self._taken = {}, deque()
        self._signal.set()
        return left

    def encode(self, entry: Entry) -> Item | Drop:
        """An entry as an item, or why it cannot be one."""
        if isinstance(entry, Item):
            return entry
        try:
            data, changed = self._encode(entry)
        except TooLarge as error:
            return Drop("too_large", entry[2], error.problems)
        except InvalidEvent as error:
            return Drop("invalid", entry[2], error.problems)
        except Exception as error:  # noqa: BLE001 - one event must not stop the others
            _log.warning("internal", "an event could not be encoded: %s", type(error).__name__)
            return Drop("internal", entry[2])
        if changed:
            self._buffer.change(changed)
            names = ", ".join(sorted(changed))
            _log.warning(f"changed {names}", "an event was changed so that it could be kept: %s", names)
        return Item(len(data) + _ITEM_OVERHEAD, entry[1], entry[2], data)

    def drop(self, drop: Drop, *, in_flight: bool = True) -> None:
        """Count, log and report an event that is given up."""
        with self._buffer.lock:
            self._buffer.drop(drop.reason, in_flight=in_flight)
            self._begin_telling()
        self._tell([drop])

    def _tell_one(self, drop: Drop) -> None:
        # The message of a problem is the contract's or the server's, never a value that was sent.
        what = "; ".join(f"{p.field or 'event'}: {p.message}"[:200] for p in drop.problems[:3])
        subject = f"drop {drop.reason}"
        _log.warning(subject, "an event was dropped (%s)%s", drop.reason, f": {what}" if what else "")
        try:
            self._on_drop(drop)
        except Exception as error:  # noqa: BLE001 - the host's callback must not stop the sender
            _log.warning("on_drop", "on_drop raised %s", type(error).__name__)

    # -- the thread ------------------------------------------------------------------------------------

    def _start(self) -> None:
        # Not waiting for the lock: whoever holds it is starting the thread.
        if self._thread is not None or self._halted or not self._start_lock.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                self._begin_thread()
        except RuntimeError:  # the interpreter is ending; `close` delivers on its own thread then
            self._thread = None
        finally:
            self._start_lock.release()

    def _begin_thread(self) -> None:
        if is_patched_since():
            # The locks of this client are the system's, so its thread must be one.
            _log.warning("patched", "threads were patched after thumbline was imported: its own stay the system's")
            self._thread = "bare"
            start_new_thread(self._run, ())
        else:
            self._thread = threading.Thread(target=self._run_to_the_end, name="thumbline-sender", daemon=True)
            self._thread.start()

    def _run_to_the_end(self) -> None:
        self._run()
        if is_patched_since():
            # `threading` would not know this thread any more, and say so on standard error: it stays and does nothing.
            forever = allocate_lock()
            forever.acquire()
            forever.acquire()

    def _run(self) -> None:
        self._ident = get_ident()
        try:
            while not self._halted and not (self.retiring and self._is_idle()):
                self.step()
            if self.retiring and not self._halted:
                self._on_retired()
        except Exception as error:  # noqa: BLE001 - a dead thread is made anew by the next event
            _log.warning("thread", "the sender thread ended: %s", type(error).__name__)
        finally:
            self._thread, self._ident = None, 0

    @property
    def is_running(self) -> bool:
        """Whether there is a live thread."""
        return self._thread is not None

    @property
    def is_current(self) -> bool:
        """Whether the caller is that thread, as in `on_drop`."""
        return self._ident == get_ident()

    def step_here(self, max_wait_s: float) -> None:
        """Start the thread, or where that is too late, do one batch on the caller's."""
        self._start()
        if self._thread is None and self._start_lock.acquire(blocking=False):
            try:
                self.step(max_wait_s)
            finally:
                self._start_lock.release()

    def step(self, max_wait_s: float = _MAX_WAIT_S) -> None:
        """Wait for something to do, and do one batch of it."""
        self._wait(max_wait_s)
        if self._halted:
            return
        self._recover()
        self._fill()
        if self._working and self._monotonic_s() >= self._not_before_s:
            self._deliver()

    def _is_idle(self) -> bool:
        return not self._working and not len(self._buffer) and not self._buffer.spooled

    def _wait(self, max_wait_s: float) -> None:
        now_s = self._monotonic_s()
        if now_s < self._not_before_s:
            self._signal.wait(min(max_wait_s, self._not_before_s - now_s))
        elif not self._working and not self._is_scan_due(now_s):
            self._wait_for(1, min(max_wait_s, _IDLE_S))
            if len(self._buffer) and not self._waiters:
                # There is something, but not yet a batch: others may join it.
                settings = self._settings
                self._wait_for(settings.max_batch_events, min(max_wait_s, settings.flush_interval_s))

    def _wait_for(self, count: int, timeout_s: float) -> None:
        buffer = self._buffer
        buffer.wake_at = count
        # Looked at after the wish was made known, or an event in between would wake nobody.
        if len(buffer) < count and not self._halted:
            self._signal.wait(timeout_s)
        buffer.wake_at = NEVER

    def _is_scan_due(self, now_s: float) -> bool:
        if self._spool is None or self._working or now_s < self._not_before_s:
            return False
        if self._failures:
            # The server is tried with what is in memory first; from disk only when that is all there is.
            return not len(self._buffer) and (bool(self._buffer.spooled) or now_s >= self._next_scan_s)
        return bool(self._buffer.spooled) or now_s >= self._next_scan_s

    def _recover(self) -> None:
        now_s = self._monotonic_s()
        if self._spool is None or not self._is_scan_due(now_s):
            return
        try:
            claim = self._spool.claim()
        except Exception as error:  # noqa: BLE001 - a broken disk, or a spool of the host's
            _log.warning("spool", "the spool cannot be read: %s", type(error).__name__)
            claim = None
        if claim is None:
            self._next_scan_s = now_s + max(self._settings.spool_scan_interval_s, 0.001)
            return
        with self._buffer.lock:
            if self._halted:  # stays on disk, and in the books as it was
                return
            sequences = self._buffer.unspool(len(claim.entries), foreign=claim.foreign, corrupt=claim.corrupt)
            for sequence, (event_id, data) in zip(sequences, claim.entries, strict=True):
                size = len(data) + _ITEM_OVERHEAD
                self._working[sequence] = Item(size, sequence, event_id, data, claim.receipt)
        if claim.corrupt:
            _log.warning("corrupt", "%d lines of the spool could not be read", claim.corrupt)

    def _fill(self) -> None:
        settings = self._settings
        room = settings.max_batch_events - len(self._working)
        if room <= 0:
            return
        bytes_left = self._batch_bytes - sum(item.size for item in self._working.values())
        if bytes_left <= 0:
            return
        with self._buffer.lock:
            self._taken.extend(self._buffer.take(room, bytes_left))
        while self._taken:
            entry = self._taken[0]
            encoded = self.encode(entry)
            with self._buffer.lock:
                # `halt` may have taken it away meanwhile, and then answers for it.
                if self._halted:
                    return
                self._taken.popleft()
                if isinstance(encoded, Item):
                    self._working[encoded.sequence] = encoded
                    continue
                self._buffer.drop(encoded.reason, in_flight=True)
                self._begin_telling()
            self._tell([encoded])

    def _deliver(self) -> None:
        groups = [self._next_group()]
        while groups and not self._halted:
            group = groups.pop()
            outcome = self._send(group)
            if outcome.action in ("again", "halt"):
                self._back_off(outcome)
                return
            if outcome.action in ("split", "too_large") and len(group) > 1:
                self._shrink(outcome, group)
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]]
                continue
            if not self._apply(group, outcome):
                return

    def _next_group(self) -> list[Item]:
        group: list[Item] = []
        size = 0
        for item in islice(self._working.values(), self._settings.max_batch_events):
            size += len(item.data) + 1
            if group and size > self._batch_bytes:
                break
            group.append(item)
        return group

    def _send(self, group: list[Item]) -> Outcome:
        body = b"[" + b",".join([item.data for item in group]) + b"]"
        # Level 1: a third of the size for a tenth of the time of level 9. 31: with a gzip header.
        squeezed = zlib.compressobj(1, zlib.DEFLATED, 31)
        body = squeezed.compress(body) + squeezed.flush()
        try:
            return read_reply(self._transport.send(body, self._headers), len(group))
        except Exception as error:  # noqa: BLE001 - the transport may be the host's
            return Outcome("again", cause=str(error) if isinstance(error, OSError) else type(error).__name__)

    def _apply(self, group: list[Item], outcome: Outcome) -> bool:
        """Settle a group; False when its sender has to wait before the next."""
        if outcome.action != "settle":
            self._settle(group, ["too_large" if outcome.action == "too_large" else "rejected"], {})
            return True
        self.unauthorized = False
        self._settle(group, outcome.verdicts, outcome.problems)
        if "retry" not in outcome.verdicts:
            self._failures = 0
            return True
        if any(verdict != "retry" for verdict in outcome.verdicts):
            self._failures = 0  # it does work, only not for all
        self._back_off(outcome)
        return False

    def _settle(self, group: list[Item], verdicts: Sequence[str], problems: Mapping[int, tuple[Problem, ...]]) -> None:
        counts: Counter[Verdict] = Counter()
        receipts: Counter[str] = Counter()
        drops: list[Drop] = []
        with self._buffer.lock:
            if self._halted:  # `halt` has taken the group away and answers for it
                return
            for index, (item, verdict) in enumerate(zip(group, verdicts, strict=True)):
                if verdict == "retry":
                    continue
                del self._working[item.sequence]
                if item.receipt is not None:
                    receipts[item.receipt] += 1
                if verdict in ("too_large", "rejected"):
                    drops.append(Drop(cast("DropReason", verdict), item.event_id, problems.get(index, ())))
                if verdict == "too_large":
                    self._buffer.drop("too_large", in_flight=True)
                else:
                    counts[cast("Verdict", verdict)] += 1
            self._buffer.settle(counts)
            self._begin_telling()
        self._tell(drops, receipts)

    def _begin_telling(self) -> None:
        # In the same breath as counting: whoever sees the count waits until `_tell` is done.
        self._untold[threading.get_ident()] += 1

    def _tell(self, drops: list[Drop], receipts: Mapping[str, int] = MappingProxyType({})) -> None:
        """Log and report events that were counted as given up; `receipts` are for the spool."""
        me = threading.get_ident()
        try:
            self._settle_spool(receipts)
            for drop in drops:
                self._tell_one(drop)
        finally:
            with self._buffer.lock:
                self._untold[me] -= 1
                if not self._untold[me]:
                    del self._untold[me]

    def _settle_spool(self, receipts: Mapping[str, int]) -> None:
        try:
            for receipt, count in receipts.items():
                if self._spool is not None:
                    self._spool.settle(receipt, count)
        except Exception as error:  # noqa: BLE001 - left on disk, its events will be sent again: duplicates
            _log.warning("spool", "the spool cannot be written: %s", type(error).__name__)

    def _shrink(self, outcome: Outcome, group: list[Item]) -> None:
        if outcome.action == "too_large":
            size = sum(len(item.data) for item in group)
            self._batch_bytes = max(_MIN_BATCH_BYTES, min(self._batch_bytes, size // 2))

    def _back_off(self, outcome: Outcome) -> None:
        settings = self._settings
        now_s = self._monotonic_s()
        if outcome.action == "halt":
            self.unauthorized = True
            wait_s = settings.misconfigured_wait_s
            _log.warning("halt", "the server refuses the key or does not know the URL (%s)", outcome.cause)
        else:
            ceiling_s = min(settings.backoff_max_s, settings.backoff_initial_s * 2 ** min(self._failures, 30))
            if self._waiters:
                ceiling_s = min(ceiling_s, _HURRIED_WAIT_S)
            # Full jitter: clients that lost the server at the same moment must not come back together.
            wait_s = self._random.uniform(0, ceiling_s)
            _log.warning("again", "events could not be delivered and will be sent again (%s)", outcome.cause)
        self._failures += 1
        self._server_said_wait = outcome.retry_after_s > 0
        self._not_before_s = now_s + max(wait_s, outcome.retry_after_s)
