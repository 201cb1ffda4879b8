"""
The log: where acknowledged events live until they are landed. Chosen by a URL.

    sqlite:/var/lib/thumbline/log.sqlite       one machine, no server
    kafka://broker-1:9092,broker-2:9092/topic  many machines
"""

from __future__ import annotations

from .base import (
    Appended,
    Bounds,
    Chunk,
    Log,
    LogIdentity,
    LogMisconfigured,
    LogMissing,
    LogReader,
    LogUnavailable,
    LogWriter,
    Polled,
    Record,
)
from .memory import MemoryLog
from .sqlite import SqliteLog
from .urls import open_log

__all__ = [
    "Appended",
    "Bounds",
    "Chunk",
    "Log",
    "LogIdentity",
    "LogMisconfigured",
    "LogMissing",
    "LogReader",
    "LogUnavailable",
    "LogWriter",
    "MemoryLog",
    "Polled",
    "Record",
    "SqliteLog",
    "open_log",
]
