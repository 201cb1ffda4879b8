"""Pseudonyms: raw user ids become keyed hashes before they leave the process or reach its disk."""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["Pseudonymizer", "pepper_from_key"]

_PREFIX = "h1:"  # names the method, so that another one can follow without ambiguity
_HEX_DIGITS = 32  # 128 bits: no collisions among any number of people, and short as an id


class Pseudonymizer:
    """
    Maps a user id to `h1:` and 32 hexadecimal digits of HMAC-SHA256.

    The same id gives the same pseudonym as long as the pepper stays the same; without the pepper the
    mapping can neither be computed nor be searched.
    """

    def __init__(self, pepper: bytes) -> None:
        self._keyed = hmac.new(pepper, digestmod=hashlib.sha256)

    def __call__(self, user_id: str) -> str:
        """The pseudonym of `user_id`."""
        # Copying a keyed hash costs half of keying a new one.
        keyed = self._keyed.copy()
        keyed.update(user_id.encode("utf-8", "surrogatepass"))
        return _PREFIX + keyed.hexdigest()[:_HEX_DIGITS]


def pepper_from_key(key: str) -> bytes:
    """
    The pepper where none is configured: derived from the write key.

    When the write key is rotated, every pseudonym changes with it: a person's earlier votes are then
    another rater's, can no longer be taken back, and erasure has to be asked for under both. Configure
    a pepper of its own where keys are rotated.
    """
    return hmac.new(b"thumbline/pepper/v1", key.encode(), hashlib.sha256).digest()
