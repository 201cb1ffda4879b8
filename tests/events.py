"""Events and records as the collector would write them, for tests that begin behind it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from thumbline._ids import uuid7
from thumbline_ingest.envelope import envelope_head, wrap
from thumbline_ingest.log import Record
from thumbline_warehouse.landing import Records

NOON = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def at(seconds: float) -> str:
    """A time so many seconds after noon, as an event carries it."""
    return (NOON + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def event(kind: str, seconds: float = 0, **fields: Any) -> dict[str, Any]:
    """An event with what every event needs; a rater `r1` where nothing else is said."""
    base = {"event_id": uuid7(), "kind": kind, "occurred_at": at(seconds), "training_consent": "granted"}
    if kind not in ("completion", "comparison", "signal"):
        base["rater"] = {"id": "r1"}
    return base | fields


def completion(name: str, prompt: str = "Capital of France?", text: str = "Paris.", **fields: Any) -> dict[str, Any]:
    """An answer to one question."""
    defaults = {
        "completion_id": name,
        "messages": [{"role": "user", "content": prompt}],
        "response": {"role": "assistant", "content": text},
        "model": "acme-7b",
        "conversation_id": f"conversation-of-{name}",
    }
    return event("completion", **(defaults | fields))


def thumb(target: str, value: str, seconds: float = 0, rater: str = "r1", **fields: Any) -> dict[str, Any]:
    """A thumb by a rater."""
    return event("thumb", seconds, **({"target_id": target, "value": value, "rater": {"id": rater}} | fields))


RECEIVED_MS = int((NOON + timedelta(days=1)).timestamp() * 1000)


def value_of(one: dict[str, Any], project: str = "demo", received_at_ms: int = RECEIVED_MS) -> bytes:
    """The record that the collector makes of an event; received a day later, after all that tests let happen."""
    return wrap(envelope_head(project, received_at_ms), json.dumps(one).encode())


def records(
    events: Sequence[dict[str, Any] | bytes], first: int = 0, partition: int = 0, project: str = "demo"
) -> Records:
    """A batch for the store; raw bytes stand for themselves."""
    values = [one if isinstance(one, bytes) else value_of(one, project) for one in events]
    return Records(partition, first, first + len(values), range(first, first + len(values)), values)


def log_records(events: Sequence[dict[str, Any]], project: str = "demo") -> list[Record]:
    """The same for a log writer, keyed by conversation."""
    return [
        Record(str(e.get("conversation_id", e.get("target_id", "k"))).encode(), value_of(e, project)) for e in events
    ]


def random_thumbs(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Thumbs of many raters on many answers, in many conversations."""
    draw = random.Random(seed)
    return [
        thumb(
            f"a{i}",
            draw.choice(["up", "down"]),
            seconds=i,
            rater=f"r{draw.randrange(100)}",
            conversation_id=f"c{i // 3}",
        )
        for i in range(count)
    ]
