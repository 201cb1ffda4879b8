"""
Keys that let a back end send events, one file for all projects.

A key reads `tlk_<id>_<secret>`. The id names it in lists and when it is revoked; of the secret only
the SHA-256 is stored, which is enough for 256 random bits: there is nothing to guess from a hash.

The hash cannot send events, but receipts are signed with a key derived from it (`thumbline.receipts`):
who can read the file can forge receipts, so it is its owner's only.
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
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from thumbline.receipts import WRITE_KEY, signer_of

if TYPE_CHECKING:
    from itsdangerous import Signer

__all__ = ["KeyInfo", "KeyStore"]

_log = logging.getLogger("thumbline.keys")

_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
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
        revoked_at: ISO 8601, UTC; None where it was not revoked.
        expires_at: ISO 8601, UTC; when a key that another one has taken the place of ends by itself.
    """

    id: str
    project: str
    sha256: str
    created_at: str
    revoked_at: str | None = None
    expires_at: str | None = None

    def is_valid(self, now: datetime | None = None) -> bool:
        """
        Whether it opens anything.

        Args:
            now: the time; the present when left out.
        """
        if self.revoked_at is not None:
            return False
        return self.expires_at is None or (now or datetime.now(timezone.utc)) < datetime.fromisoformat(self.expires_at)


@dataclass(frozen=True)
class _Valid:
    """A key as `verify` needs it."""

    project: str
    sha256: str
    ends_at: float | None

    @cached_property
    def signer(self) -> Signer:
        return signer_of(self.sha256)

    def has_ended(self) -> bool:
        return self.ends_at is not None and time.time() >= self.ends_at


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
        self._valid: dict[str, _Valid] = {}
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
        with self._changing() as keys:
            return _add(keys, project)

    def rotate(self, key_id: str, overlap_s: float) -> str | None:
        """
        A new key of the same project; the old one ends by itself.

        Args:
            key_id: the key whose place is taken.
            overlap_s: seconds for which the old key, and receipts minted with it, still hold.

        Returns:
            The new key's text; None where no valid key has that id.
        """
        ends = datetime.now(timezone.utc) + timedelta(seconds=overlap_s)
        with self._changing() as keys:
            for index, key in enumerate(keys):
                if key.id == key_id and key.is_valid():
                    # Rotating twice does not give it more time.
                    earlier = min(ends, datetime.fromisoformat(key.expires_at)) if key.expires_at else ends
                    keys[index] = replace(key, expires_at=earlier.isoformat(timespec="seconds"))
                    return _add(keys, key.project)
        return None

    def revoke(self, key_id: str) -> bool:
        """End a key; a running collector follows within two seconds. False where no valid key has that id."""
        with self._changing() as keys:
            for index, key in enumerate(keys):
                if key.id == key_id and key.is_valid():
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
        match = WRITE_KEY.fullmatch(key)
        if match is None:
            return None
        found = self._find(match[1])
        # The comparison takes its time for an unknown id too.
        same = hmac.compare_digest(_sha256(match[2]), found.sha256 if found else "")
        return found.project if found and same else None

    def signer(self, key_id: str) -> Signer | None:
        """
        The signer of a valid key's receipts, or None.

        Args:
            key_id: names the key.
        """
        found = self._find(key_id)
        return found.signer if found else None

    def project(self, key_id: str) -> str | None:
        """
        The project of a valid key, or None.

        Args:
            key_id: names the key.
        """
        found = self._find(key_id)
        return found.project if found else None

    def _find(self, key_id: str) -> _Valid | None:
        # A key that is not known was perhaps made a moment ago, and works at once: one look at the file's status.
        if time.monotonic() >= self._look_at or key_id not in self._valid:
            self._follow()
        found = self._valid.get(key_id)
        return None if found is None or found.has_ended() else found

    def _follow(self) -> None:
        """Read the file again if it has changed since."""
        with self._lock:
            self._look_at = time.monotonic() + _LOOK_INTERVAL_S
            try:
                seen = _signature(self.path)
                if seen != self._seen:
                    self._valid = {key.id: _valid(key) for key in self._read() if key.is_valid()}
                    self._seen = seen
            except (OSError, ValueError, TypeError, KeyError) as error:
                # A file that cannot be read says nothing about keys: those known stay, none is added.
                _log.error("key file cannot be read, keeping the keys known: %s", type(error).__name__)

    def _read(self) -> _Keys:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        try:
            return [KeyInfo(**entry) for entry in json.loads(text)["keys"]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"key file {self.path} is damaged ({error}): restore it from a copy, or move it away and make new keys"
            ) from error

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


def _valid(key: KeyInfo) -> _Valid:
    ends_at = None if key.expires_at is None else datetime.fromisoformat(key.expires_at).timestamp()
    return _Valid(key.project, key.sha256, ends_at)


def _add(keys: _Keys, project: str) -> str:
    secret = secrets.token_urlsafe(32)
    key_id = _new_id({key.id for key in keys})
    keys.append(KeyInfo(key_id, project, _sha256(secret), _now()))
    return f"tlk_{key_id}_{secret}"


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
