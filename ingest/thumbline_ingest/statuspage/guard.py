"""Who may look: this machine alone, or whoever has the token."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

from .settings import is_loopback

COOKIE: Final = "thumbline_status"
"""Name of the cookie that a sign-in sets."""

SESSION_S: Final = 12 * 3600
"""Seconds for which a sign-in holds."""

_SCHEME: Final = "bearer "
_CONTEXT: Final = b"thumbline/status/v1 "


class Guard:
    """
    Checks requests.

    Args:
        token: what opens the page; empty where the page is on loopback alone.
        now: Unix time in seconds.
    """

    def __init__(self, token: str, now: Callable[[], float] = time.time) -> None:
        self._token = token.encode()
        self._now = now

    @property
    def needs_token(self) -> bool:
        """Whether there is a token to be known."""
        return bool(self._token)

    def is_host(self, host: str) -> bool:
        """
        Whether a Host header names this machine.

        Without a token whoever reaches the page may read it. A page of another site can make a name of its own lead
        to 127.0.0.1 and read then what the browser gets; the browser says under which name it asked. With a token
        that page has no cookie, since cookies go by the name too.
        """
        return self.needs_token or is_loopback(_name(host))

    def is_known(self, authorization: str, cookie: str) -> bool:
        """Whether a request carries the token, or the cookie of a sign-in."""
        if not self.needs_token:
            return True
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            return self.is_token(authorization[len(_SCHEME) :].strip())
        return self._is_session(cookie)

    def is_token(self, text: str) -> bool:
        """Whether a text is the token; takes the same time whatever it is."""
        return self.needs_token and hmac.compare_digest(_digest(text.encode()), _digest(self._token))

    def session(self) -> str:
        """What the cookie holds: until when, signed with the token, from which the token cannot be told."""
        until = str(int(self._now()) + SESSION_S)
        return f"{until}.{self._signature(until)}"

    def _is_session(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        is_signed = hmac.compare_digest(self._signature(until).encode(), signature.encode("utf-8", "replace"))
        return is_signed and until.isdigit() and int(until) > self._now()

    def _signature(self, until: str) -> str:
        return hmac.new(self._token, _CONTEXT + until.encode("utf-8", "replace"), "sha256").hexdigest()


def _digest(text: bytes) -> bytes:
    # Of equal lengths: the comparison would tell the token's length otherwise.
    return hashlib.sha256(text).digest()


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
