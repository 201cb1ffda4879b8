"""
Events on disk, as a seam: what could not be delivered, and with `durable=True` everything on its way.

A segment is a file of lines `crc32 event_id event_json`, open and locked (flock) by the process that
writes it. When that process is gone its lock is too, and any other process may adopt the segment, send
its events and delete it. Sending an event twice is harmless: the server knows it by its id.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ._ids import uuid7
from ._native import RLock

try:
    import fcntl
except ImportError:  # not POSIX: the client runs without a spool
    fcntl = None  # type: ignore[assignment]

__all__ = ["Claim", "FileSpool", "MemorySpool", "Spool"]

# Read back in one piece, so it bounds memory; a multiple of the largest event.
_MAX_SEGMENT_BYTES: Final = 4 * 1024 * 1024
_SUFFIX: Final = ".seg"


@dataclass(frozen=True)
class Claim:
    """
    One segment that was taken over for delivery.

    Attributes:
        receipt: names the segment in `Spool.settle`.
        entries: event id and JSON of each event.
        foreign: another process wrote it.
        corrupt: lines that could not be read.
    """

    receipt: str
    entries: Sequence[tuple[str, bytes]]
    foreign: bool
    corrupt: int = 0


class Spool(Protocol):
    """Keeps events until each has a verdict. All methods may be called from any thread."""

    def append(self, event_id: str, data: bytes, *, held: bool) -> str | None:
        """
        Keep one event; it survives the end of the process once this returns.

        Args:
            event_id: its id.
            data: its JSON in one line.
            held: this process has it in memory as well, so `claim` is not to return it.

        Returns:
            A receipt for `settle`, or None when the spool is full.

        Raises:
            OSError: it cannot be written.
        """
        ...

    def settle(self, receipt: str, count: int) -> None:
        """Forget `count` events of a segment that need not be kept any more."""
        ...

    def claim(self) -> Claim | None:
        """Take over events that nobody has in memory: this process's own, or those of one that is gone."""
        ...

    def after_fork(self) -> None:
        """In a child process: leave everything to the parent and begin anew."""
        ...

    def close(self) -> None:
        """Leave what is not settled to the next process."""
        ...


@dataclass
class _Segment:
    path: Path
    fd: int
    size: int = 0
    count: int = 0
    settled: int = 0
    held: bool = False

    @property
    def done(self) -> bool:
        return self.settled >= self.count


class FileSpool:
    """
    A spool in a directory, shared by the processes that use the same URL and key.

    Args:
        directory: made when the first event is kept; only its owner may read it.
        max_bytes: cap on the size of all segments together.
        max_segment_bytes: size at which a new segment is begun.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        max_segment_bytes: int = _MAX_SEGMENT_BYTES,
    ) -> None:
        self._directory = Path(directory)
        self._max_bytes = max_bytes
        self._max_segment_bytes = max_segment_bytes
        self._begin()

    def append(self, event_id: str, data: bytes, *, held: bool) -> str | None:
        """Write one line with one system call; see `Spool.append`."""
        line = _line(event_id, data)
        with self._lock:
            if not self._has_room(len(line)):
                return None
            segment = self._writable(held, len(line))
            self._write(segment, line)
            segment.size += len(line)
            segment.count += 1
            return segment.path.name

    def settle(self, receipt: str, count: int) -> None:
        """Count verdicts, and delete a segment that needs no more; see `Spool.settle`."""
        with self._lock:
            segment = self._segments.get(receipt)
            if segment is None:
                return
            segment.settled += count
            if not segment.done:
                return
            if self._current.get(segment.held) is segment:
                # Still being written: empty it and go on, instead of making a file for each event.
                os.ftruncate(segment.fd, 0)
                segment.size = segment.count = segment.settled = 0
            else:
                self._delete(segment)

    def claim(self) -> Claim | None:
        """Seal and read an own segment, else adopt one; see `Spool.claim`."""
        with self._lock:
            current = self._current.get(False)
            if current is not None and current.count:
                self._waiting.append(self._current.pop(False))
            if self._waiting:
                segment = self._waiting.pop(0)
                entries, _ = _read(segment.fd)
                claim = Claim(segment.path.name, entries, False, segment.count - len(entries))
                return self._claimed(segment, claim)
            return self._adopt()

    def after_fork(self) -> None:
        """Close the parent's files without unlocking them; see `Spool.after_fork`."""
        segments = self._segments
        self._begin()
        for segment in segments.values():
            os.close(segment.fd)

    def close(self) -> None:
        """Delete what is done, unlock the rest; see `Spool.close`."""
        with self._lock:
            for segment in list(self._segments.values()):
                if segment.done:
                    self._delete(segment)
                else:
                    os.close(segment.fd)
            self._segments.clear()
            self._current.clear()
            self._waiting.clear()

    def _begin(self) -> None:
        # Reentrant: a finalizer that records an event may run on a thread that is in here.
        self._lock = RLock()
        self._segments: dict[str, _Segment] = {}
        self._current: dict[bool, _Segment] = {}  # by `held`
        self._waiting: list[_Segment] = []  # sealed, its events in nobody's memory
        self._bytes_elsewhere: int | None = None  # not looked at yet

    def _has_room(self, size: int) -> bool:
        # What other processes hold is looked at now and then: with each new segment, and when it matters.
        for is_fresh in (False, True):
            if is_fresh or self._bytes_elsewhere is None:
                self._measure()
            own = sum(segment.size for segment in self._segments.values())
            if (self._bytes_elsewhere or 0) + own + size <= self._max_bytes:
                return True
        return False

    def _measure(self) -> None:
        own = set(self._segments)
        total = 0
        for path in self._files():
            if path.name not in own:
                try:
                    total += path.stat().st_size
                except OSError:  # deleted by its owner
                    continue
        self._bytes_elsewhere = total

    def _files(self) -> list[Path]:
        try:
            return sorted(self._directory.glob("*" + _SUFFIX))
        except OSError:
            return []

    def _writable(self, held: bool, size: int) -> _Segment:
        segment = self._current.get(held)
        if segment is not None and segment.size + size > self._max_segment_bytes and segment.count:
            self._seal(segment)
            segment = None
        if segment is None:
            segment = self._create(held)
            self._current[held] = segment
            self._measure()
        return segment

    def _seal(self, segment: _Segment) -> None:
        del self._current[segment.held]
        if not segment.held:
            self._waiting.append(segment)

    def _create(self, held: bool) -> _Segment:
        # Each time: somebody may tidy up under a process that runs for months.
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = self._directory / f"{uuid7()}{_SUFFIX}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            # Another process may have seen the empty file before it was locked, and adopted it.
            if _lock_file(fd) and os.fstat(fd).st_nlink:
                segment = _Segment(path, fd, held=held)
                self._segments[path.name] = segment
                return segment
            os.close(fd)

    def _write(self, segment: _Segment, line: bytes) -> None:
        try:
            written = os.write(segment.fd, line)
            if written != len(line):
                raise OSError(f"wrote {written} of {len(line)} bytes")
        except OSError:
            # Half a line would spoil the one after it.
            os.ftruncate(segment.fd, segment.size)
            raise

    def _adopt(self) -> Claim | None:
        for path in self._files():
            if path.name in self._segments:
                continue
            segment = _open_orphan(path)
            if segment is None:
                continue
            self._segments[path.name] = segment
            entries, corrupt = _read(segment.fd)
            if entries or corrupt:
                segment.size = os.fstat(segment.fd).st_size
                self._measure()
                return self._claimed(segment, Claim(path.name, entries, True, corrupt))
            self._delete(segment)
        return None

    def _claimed(self, segment: _Segment, claim: Claim) -> Claim:
        segment.count, segment.settled = len(claim.entries), 0
        if not claim.entries:
            self._delete(segment)
        return claim

    def _delete(self, segment: _Segment) -> None:
        # Unlinked before it is unlocked: the other way round, it could be adopted in between.
        segment.path.unlink(missing_ok=True)
        os.close(segment.fd)
        self._segments.pop(segment.path.name, None)
        if self._current.get(segment.held) is segment:
            del self._current[segment.held]


class MemorySpool:
    """
    A spool that lives and dies with its process: for tests, and for hosts without a writable disk.

    Args:
        max_bytes: cap on the events' JSON.
    """

    def __init__(self, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._begin()

    def append(self, event_id: str, data: bytes, *, held: bool) -> str | None:
        """See `Spool.append`."""
        with self._lock:
            size = sum(len(event) for kept in self._kept.values() for _, event in kept.entries)
            if size + len(data) > self._max_bytes:
                return None
            receipt = uuid7()
            self._kept[receipt] = _Kept([(event_id, data)], 1, held)
            return receipt

    def settle(self, receipt: str, count: int) -> None:
        """See `Spool.settle`."""
        with self._lock:
            kept = self._kept.get(receipt)
            if kept is not None:
                kept.unsettled -= count
                if kept.unsettled <= 0:
                    del self._kept[receipt]

    def claim(self) -> Claim | None:
        """See `Spool.claim`."""
        with self._lock:
            for foreign in (False, True):
                free = [r for r, kept in self._kept.items() if not kept.held and kept.foreign is foreign]
                entries = [entry for receipt in free for entry in self._kept.pop(receipt).entries]
                if entries:
                    receipt = uuid7()
                    self._kept[receipt] = _Kept(entries, len(entries), True)
                    return Claim(receipt, entries, foreign)
        return None

    def after_fork(self) -> None:
        """See `Spool.after_fork`."""
        self._begin()

    def close(self) -> None:
        """Leave everything to the client that is given this spool next."""
        with self._lock:
            for kept in self._kept.values():
                kept.held, kept.foreign = False, True

    def _begin(self) -> None:
        self._lock = RLock()
        self._kept: dict[str, _Kept] = {}


@dataclass
class _Kept:
    entries: list[tuple[str, bytes]]
    unsettled: int
    held: bool
    foreign: bool = False


def _line(event_id: str, data: bytes) -> bytes:
    content = event_id.encode() + b" " + data
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _read(fd: int) -> tuple[list[tuple[str, bytes]], int]:
    # A last line without its end was cut off by a crash: the call that wrote it never returned.
    size = os.fstat(fd).st_size
    content = os.pread(fd, size, 0)
    lines = content.split(b"\n")[:-1]
    entries = [entry for entry in map(_parse, lines) if entry is not None]
    return entries, len(lines) - len(entries)


def _parse(line: bytes) -> tuple[str, bytes] | None:
    checksum, _, content = line.partition(b" ")
    event_id, _, data = content.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(content) or not data:
            return None
        return event_id.decode("ascii"), data
    except ValueError:
        return None


def _open_orphan(path: Path) -> _Segment | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
    except OSError:  # deleted by its owner, or not ours to read
        return None
    # Between opening and locking, its owner may have deleted it.
    if _lock_file(fd) and os.fstat(fd).st_nlink:
        return _Segment(path, fd)
    os.close(fd)
    return None


def _lock_file(fd: int) -> bool:
    if fcntl is None:
        raise OSError("this system has no flock")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
