"""
What the collector writes around an event: who sent it and when it came.

    {"v":1,"project":"demo","received_at":1764000000000,"event":{"kind":"thumb",...}}
    {"v":1,"project":"demo","received_at":1764000000000,"extra":{"mood":"good"},"event":{...}}

The event's own bytes stay as they were sent, unless something in it had to be mended first. `received_at`
is Unix time in milliseconds. `extra` holds the fields that this version's contract does not know, where there are any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

ENVELOPE_VERSION = 1

_encode = msgspec.json.Encoder().encode


def envelope_head(project: str, received_at_ms: int) -> bytes:
    """The part that all events of a request share; cut off before the event."""
    return b'{"v":%d,"project":%s,"received_at":%d,' % (ENVELOPE_VERSION, json.dumps(project).encode(), received_at_ms)


def wrap(head: bytes, event: bytes, extra: Mapping[str, Any] | None = None) -> bytes:
    """
    One record's value: a single line.

    Args:
        head: from `envelope_head`.
        event: the event as it was sent: valid UTF-8 JSON.
        extra: unknown fields, or nothing.
    """
    # Between JSON tokens a line break is mere white space, and inside a string it cannot stand raw.
    body = event.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in event or b"\r" in event else event
    if not extra:
        return head + b'"event":' + body + b"}"
    return head + b'"extra":' + _encode(extra) + b',"event":' + body + b"}"
