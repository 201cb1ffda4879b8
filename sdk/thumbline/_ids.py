"""Event ids: UUIDv7 for new events, UUIDv8 derived from a host's own key for repeatable ones."""

from __future__ import annotations

import os
import random
import re
import time
from typing import Final

# What this module makes. Other versions of UUIDs are a host's own keys, such as the primary keys of its tables.
_EVENT_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


# A generator of our own: a host that calls `random.seed(7)` in each worker must not make them mint
# the same ids. Ids have to be unique, not secret, so a system call for each would be waste.
_random = random.Random()
_getrandbits = _random.getrandbits

if hasattr(os, "register_at_fork"):
    # Without this parent and child would go on with the same ids.
    os.register_at_fork(after_in_child=_random.seed)


def uuid7(now_ms: int | None = None) -> str:
    """
    A new UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.

    Args:
        now_ms: Unix time in milliseconds; the present when left out.
    """
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    # One formatting of one big number: half the cost of going through `uuid.UUID`.
    tail = _getrandbits(74)
    text = f"{ms:012x}7{tail >> 62:03x}{0x8000000000000000 | tail & 0x3FFFFFFFFFFFFFFF:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def event_id_from(own_key: str, kind: str) -> str:
    """
    The event id that belongs to a host's own key and a kind of event.

    The same key always gives the same id, so an import that runs twice adds nothing the second time. With
    another kind it gives another id: the row that holds an answer, its vote and its edit has one key.
    What is an event id already (UUIDv7 or v8, as every method returns one) is taken as it is. All else becomes
    a UUIDv8 (RFC 9562, section 5.8) from the first 122 bits of SHA-256.

        "0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e11"  ->  the same
        "import-2026-11/row-17"                 ->  "9a5d…-8…-…"

    Args:
        own_key: the host's key.
        kind: of the event, e.g. `thumb`.
    """
    if _EVENT_ID.fullmatch(own_key):
        return own_key
    import hashlib  # OpenSSL takes longer to load than the rest of the client

    digest = hashlib.sha256(f"{kind}\0{own_key}".encode("utf-8", "surrogatepass")).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 0x3]
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
