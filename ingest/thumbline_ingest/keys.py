"""
Keys that let a back end send events, one file for all projects.

A key reads `tlk_<id>_<secret>`. The id names it in lists and when it is revoked; of the secret only
the SHA-256 is stored, which is enough for 256 random bits: there is nothing to guess from a hash.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["KeyInfo", "KeyStore"]

_log = logging.getLogger("thumbline.keys")

_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEY: Final = re.compile(r"tlk_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})")
_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# How long a change in the file may stay unseen: half of the two seconds that a revoked key may live on.
_LOOK_INTERVAL_S: Final = 1.0


@dataclass(frozen=True)
class KeyInfo:
    """
    What is stored of a key.

    Attributes:
        id: names the key.
        project: what the key writes to.
        sha256: hash of the secret, in hex.
        created_at: ISO 8601, UTC.
        revoked_at: ISO 8601, UTC; None while the key is valid.
    """

    id: str
    project: str
    sha256: str
    created_at: str
    revoked_at: str | None = None


# The class has a method of that name.
_Keys: TypeAlias = list[KeyInfo]


class KeyStore:
    """
    The keys in one JSON file, readable by its owner only. Safe from many threads and processes.

    Args:
        path: the file; made with the first key.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._valid: dict[str, tuple[str, str]] = {}
        self._seen: tuple[int, ...] | None = ()
        self._look_at = 0.0
        # Now, so that no thread finds the keys not read yet.
        self._follow()

    def create(self, project: str) -> str:
        """
        A new key; its text cannot be shown again.

        Raises:
            ValueError: the project's name is not lower-case letters, digits and `-`, at most 63.
        """
        if not _PROJECT.fullmatch(project):
            raise ValueError(f"project {project!r}: use a-z, 0-9 and '-', at most 63, a letter or digit first")
        secret = secrets.token_urlsafe(32)
        with self._changing() as keys:
            key_id = _new_id({key.id for key in keys})
            keys.append(KeyInfo(key_id, project, _sha256(secret), _now()))
        return f"tlk_{key_id}_{secret}"

    def revoke(self, key_id: str) -> bool:
        """End a key; a running collector follows within two seconds. False where no valid key has that id."""
        with self._changing() as keys:
            for index, key in enumerate(keys):
                if key.id == key_id and key.revoked_at is None:
                    keys[index] = replace(key, revoked_at=_now())
                    return True
        return False

    def list(self) -> _Keys:
        """All keys, revoked ones too, oldest first."""
        return self._read()

    def verify(self, key: str) -> str | None:
        """
        The project that a key writes to, or None.

        Args:
            key: the key's text as the client sent it.
        """
        if time.monotonic() >= self._look_at:
            self._follow()
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        if match[1] not in self._valid:
            # Perhaps made a moment ago: a new key works at once. Costs one look at the file's status.
            self._follow()
        found = self._valid.get(match[1])
        # The comparison takes its time for an unknown id too.
        project, expected = found or (None, "")
        return project if hmac.compare_digest(_sha256(match[2]), expected) else None

    def _follow(self) -> None:
        """Read the file again if it has changed since."""
        with self._lock:
            self._look_at = time.monotonic() + _LOOK_INTERVAL_S
            try:
                seen = _signature(self.path)
                if seen != self._seen:
                    self._valid = {k.id: (k.project, k.sha256) for k in self._read() if k.revoked_at is None}
                    self._seen = seen
            except (OSError, ValueError, TypeError, KeyError) as error:
                # A file that cannot be read says nothing about keys: those known stay, none is added.
                _log.error("key file cannot be read, keeping the keys known: %s", type(error).__name__)

    def _read(self) -> _Keys:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [KeyInfo(**entry) for entry in json.loads(text)["keys"]]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Keys]:
        """The keys under an exclusive lock; written back where they changed."""
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self._read()
            before = keys.copy()
            yield keys
            if keys != before:
                self._write(keys)
                self._look_at = 0.0
        finally:
            os.close(lock)

    def _write(self, keys: _Keys) -> None:
        # A crash leaves the old file or the new one, never half of one.
        text = json.dumps({"version": 1, "keys": [asdict(key) for key in keys]}, indent=1)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.{threading.get_ident()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _new_id(taken: set[str]) -> str:
    while True:
        key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(8))
        if key_id not in taken:
            return key_id


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
