"""The hash of a file, worked out while it is being written: on its own it takes as long as choosing the rows."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

_BLOCK: Final = 4 * 1024 * 1024
_WAIT_S: Final = 0.02


class Follower:
    """
    Reads a file that others append to, and hashes it.

        with Follower(path) as follower:
            write(path)
        follower.sha256, follower.bytes

    Args:
        path: the file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._done = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._follow, name="thumbline-hash", daemon=True)
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file, in hex."""
        return self._digest.hexdigest()

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _follow(self) -> None:
        while not self._path.exists() and not self._done.is_set():
            self._done.wait(_WAIT_S)
        try:
            with self._path.open("rb", buffering=0) as file:
                while self._read(file.read(_BLOCK)):
                    pass
        except OSError as error:
            self._error = error

    def _read(self, block: bytes) -> bool:
        """Take a block; whether more may come."""
        if block:
            self._digest.update(block)
            self.bytes += len(block)
            return True
        # Nothing new: over only if nothing could have been written since that was seen.
        if self._finished:
            return False
        self._finished = self._done.is_set()
        if not self._finished:
            self._done.wait(_WAIT_S)
        return True

    _finished = False
