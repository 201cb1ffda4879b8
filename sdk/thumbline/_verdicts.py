"""Reads a server's reply to a batch: what to do with each of its events."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .problems import Problem
    from .transport import Reply

Action = Literal["settle", "again", "split", "too_large", "halt"]

_VERDICTS: Final = frozenset({"accepted", "duplicate", "rejected", "retry"})
_MAX_RETRY_AFTER_S: Final = 300.0
# The request never reached a collector, or not with a key that it knows. Nothing is wrong with the
# events, so they are kept until someone has mended the URL or the key.
_MISCONFIGURED: Final = frozenset({401, 403, 404, 405, 407, 410, 421})
_TRANSIENT: Final = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Outcome:
    """
    What a reply says.

    Attributes:
        action: `settle` by verdict; send all `again`; `split` to find the bad one; `too_large`: split to
            make it fit; `halt`: URL or key are wrong, try again much later.
        verdicts: one per event, in order; empty unless `settle`.
        retry_after_s: seconds that the server asks to wait.
        problems: of rejected events, by position.
        cause: status or what was wrong with the reply, for the log.
    """

    action: Action
    verdicts: Sequence[str] = ()
    retry_after_s: float = 0.0
    problems: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    cause: str = ""


def read_reply(reply: Reply, count: int) -> Outcome:
    """
    What to do about a batch of `count` events after `reply`.

        200 {"verdicts": ["accepted", "retry"]}  ->  settle the first, send the second again
        503, Retry-After: 7                      ->  all again, in 7 seconds at the earliest
        413                                      ->  too_large
    """
    status, wait_s = reply.status, retry_after_s(reply.headers.get("retry-after"))
    cause = f"status {status}"
    if 200 <= status < 300:
        return _read_verdicts(reply.body, count, wait_s)
    if status == 413:
        return Outcome("too_large", cause=cause)
    if status in _MISCONFIGURED:
        return Outcome("halt", retry_after_s=wait_s, cause=cause)
    if status in _TRANSIENT or not 400 <= status < 500:
        return Outcome("again", retry_after_s=wait_s, cause=cause)
    return Outcome("split", cause=cause)


def retry_after_s(value: str | None) -> float:
    """Seconds in a `Retry-After` header, which holds seconds or a date; 0 to 300."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value)
    # Written so that NaN ends at 0.
    return min(seconds, _MAX_RETRY_AFTER_S) if seconds > 0 else 0.0


def _seconds_until(http_date: str) -> float:
    from email.utils import parsedate_to_datetime  # rare, and slow to import

    try:
        return parsedate_to_datetime(http_date).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _read_verdicts(body: bytes, count: int, wait_s: float) -> Outcome:
    # A reply that cannot be read says nothing, and the server knows each event by its id: send it again.
    try:
        answer = json.loads(body)
        verdicts = answer["verdicts"]
        if not isinstance(verdicts, list) or len(verdicts) != count or not _VERDICTS.issuperset(verdicts):
            return Outcome("again", retry_after_s=wait_s, cause="reply without one verdict per event")
    except (ValueError, TypeError, KeyError, RecursionError):
        return Outcome("again", retry_after_s=wait_s, cause="unreadable reply")
    problems = _read_problems(answer.get("errors")) if "rejected" in verdicts else {}
    return Outcome("settle", verdicts, wait_s, problems, "events to be sent again")


def _read_problems(errors: Any) -> dict[int, tuple[Problem, ...]]:
    entries = errors if isinstance(errors, list) else []
    return {index: problems for index, problems in map(_read_problem_list, entries) if problems}


def _read_problem_list(error: Any) -> tuple[int, tuple[Problem, ...]]:
    from .problems import Problem

    try:
        return int(error["index"]), tuple(
            Problem(str(p.get("field", "")), str(p.get("message", "")), p.get("allowed"))
            for p in error.get("problems", ())
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return -1, ()  # the verdict counts, its explanation is only for the log
