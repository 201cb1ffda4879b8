"""Room on the log's disk: how much is left to others, and a file that gives some back when there is none."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from ..base import LogUnavailable

_MB: Final = 1024 * 1024
_RETRY_AFTER_S: Final = 5.0


def free_bytes(folder: Path) -> tuple[int, int]:
    """Free and total bytes of a folder's disk, as far as this user may fill it."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def reserve_bytes(total: int) -> int:
    """What the log leaves free on a disk of this size: for the loader, and for dropping what has landed."""
    return min(64 * _MB, total // 20)


def ensure_room(path: Path, size: int) -> None:
    """
    Refuse to grow the log into the reserve.

    Args:
        path: the log's file.
        size: bytes that are to be written.

    Raises:
        LogUnavailable: there is too little room; there is again when the loader has landed more.
    """
    free, total = free_bytes(path.parent)
    reserve = reserve_bytes(total)
    # Written to the write-ahead file first, and moved into the log then.
    if free < reserve + 2 * size:
        raise LogUnavailable(
            f"the disk of log file {path} is full: {free / _MB:,.1f} MB are free, and {reserve / _MB:,.1f} MB are kept "
            "for the loader; free some, or let the loader catch up",
            _RETRY_AFTER_S,
        )


class Ballast:
    """
    A file that takes room while there is enough, and gives it back where others have filled the disk.

    Args:
        path: the log's file; the ballast lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._file = Path(f"{path}.reserve")

    def tend(self) -> None:
        """Give the room back where the disk is full, and take it where there is plenty again."""
        free, total = free_bytes(self._folder)
        size = reserve_bytes(total) // 4
        if free < size // 2:
            self.give_back()
        elif free > 8 * size and not self._file.exists():
            self._take(size)

    def give_back(self) -> bool:
        """Give its room to whoever is quick; `False` where there is none."""
        try:
            self._file.unlink()
        except OSError:
            return False
        return True

    def _take(self, size: int) -> None:
        with contextlib.suppress(OSError):
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            except OSError:
                self._file.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
