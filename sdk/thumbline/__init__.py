"""
Turns what people say about the answers of a chat product into preference data.

    import thumbline

    tl = thumbline.Client("https://feedback.example.com", key="...")
    answer = tl.completion(messages=messages, response=text, model="acme-7b")
    tl.thumb(answer, "up", rater="user-42")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__
from .client import Client
from .clock import Clock, SystemClock
from .errors import InvalidEvent, ThumblineError, TransportError
from .handles import Answer, Conversation, Pair, Rater
from .settings import ClientSettings
from .spool import FileSpool, MemorySpool, Spool
from .stats import Drop, DropReason, Stats
from .transport import HttpTransport, Reply, Transport

if TYPE_CHECKING:
    from .events import (
        Comparison,
        Completion,
        Consent,
        Edit,
        Event,
        Exposure,
        Mark,
        Message,
        Pick,
        Ranking,
        Rating,
        Signal,
        Thumb,
        parse_event,
    )
    from .problems import Problem, problems_of

__all__ = [  # noqa: RUF022 - grouped, not sorted
    # The client, what it hands out and what it takes
    "Client",
    "Answer",
    "Pair",
    "Conversation",
    "Rater",
    "ClientSettings",
    "Stats",
    "Drop",
    "DropReason",
    # Errors
    "ThumblineError",
    "InvalidEvent",
    "TransportError",
    "Problem",
    "problems_of",
    # Seams
    "Transport",
    "HttpTransport",
    "Reply",
    "Spool",
    "FileSpool",
    "MemorySpool",
    "Clock",
    "SystemClock",
    # The contract's models
    "Event",
    "Completion",
    "Comparison",
    "Exposure",
    "Thumb",
    "Pick",
    "Rating",
    "Ranking",
    "Edit",
    "Mark",
    "Signal",
    "Consent",
    "Message",
    "parse_event",
    # The release
    "__version__",
]

# Loaded when first asked for: they bring pydantic, which takes longer than everything else here.
_CONTRACT = frozenset(
    {
        "Comparison",
        "Completion",
        "Consent",
        "Edit",
        "Event",
        "Exposure",
        "Mark",
        "Message",
        "Pick",
        "Ranking",
        "Rating",
        "Signal",
        "Thumb",
        "parse_event",
    }
)
_PROBLEMS = frozenset({"Problem", "problems_of"})


def __getattr__(name: str) -> Any:
    if name in _CONTRACT:
        from . import events

        return getattr(events, name)
    if name in _PROBLEMS:
        from . import problems

        return getattr(problems, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
