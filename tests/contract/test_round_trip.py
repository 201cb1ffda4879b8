"""Any event that the models can express survives being written and read."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from thumbline._ids import uuid7
from thumbline.events import EVENT_ADAPTER, parse_event

Fields: TypeAlias = dict[str, Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ID = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FREE = st.dictionaries(TEXT, VALUE, max_size=4)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# Hypothesis takes bounds without a zone and adds one itself.
FIRST, LAST = datetime(1970, 1, 2), datetime(2999, 12, 30)  # noqa: DTZ001
INSTANT = st.datetimes(FIRST, LAST, timezones=ZONES).map(lambda at: at.isoformat())
TAGS = st.lists(ID, max_size=4)
RATER = st.fixed_dictionaries(
    {"id": ID}, optional={"kind": st.sampled_from(["human", "model", "rule"]), "wrote_prompt": st.booleans()}
)
PART = st.fixed_dictionaries({"type": ID}, optional={"text": TEXT, "image_url": FREE})
CONTENT = st.none() | TEXT | st.lists(PART, max_size=3)
ANSWER = st.fixed_dictionaries({"role": st.just("assistant"), "content": CONTENT}, optional={"tool_calls": VALUE})
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": CONTENT})
COMMON = {
    "sequence": st.integers(0, 2**63 - 1),
    "conversation_id": ID,
    "app": ID,
    "surface": ID,
    "properties": FREE,
    "training_consent": st.sampled_from(["granted", "denied", "unknown"]),
    "mood": VALUE,
}
OPINION = {"tags": TAGS, "comment": TEXT}


def event(kind: str, needed: Fields, optional: Fields | None = None) -> st.SearchStrategy[dict[str, Any]]:
    always = {"kind": st.just(kind), "event_id": st.builds(uuid7), "occurred_at": INSTANT, "rater": RATER}
    return st.fixed_dictionaries(always | needed, optional=COMMON | (optional or {}))


IDS = st.lists(ID, min_size=2, max_size=5, unique=True)
EVENTS = st.one_of(
    event(
        "completion",
        {"completion_id": ID, "messages": st.lists(MESSAGE, max_size=3), "response": ANSWER, "model": ID},
        {
            "sampling": FREE,
            "tools": st.lists(FREE, max_size=2),
            "latency_ms": st.floats(0, 1e9),
            "turn": st.integers(0, 99),
        },
    ),
    event(
        "comparison",
        {"comparison_id": ID, "completion_ids": IDS},
        {"probability": st.floats(0, 1, exclude_min=True)},
    ),
    event("exposure", {"target_id": ID}, {"state": st.sampled_from(["shown", "seen", "dismissed"])}),
    event("thumb", {"target_id": ID, "value": st.sampled_from(["up", "down", "retracted"])}, OPINION),
    event(
        "pick",
        {"target_id": ID, "outcome": st.sampled_from(["tie", "both_bad", "skip", "retracted"])},
        OPINION,
    ),
    event(
        "pick",
        {
            "target_id": ID,
            "outcome": st.just("winner"),
            "winner_id": ID,
            "scale": st.just(8),
            "strength": st.integers(5, 8),
        },
    ),
    event("rating", {"target_id": ID, "score": st.none() | st.floats(1, 5)}, OPINION),
    event("ranking", {"target_id": ID, "ranks": IDS.map(lambda ids: [ids[:1], ids[1:]])}, {"comment": TEXT}),
    event("edit", {"target_id": ID, "response": ANSWER}, {"comment": TEXT}),
    event(
        "mark",
        {
            "target_id": ID,
            "start": st.integers(0, 9),
            "end": st.integers(10, 99),
            "text_sha256": st.just("0" * 64),
        },
    ),
    event("signal", {"target_id": ID, "name": st.sampled_from(["copy", "share"])}, {"value": NUMBER}),
    event("consent", {}).map(lambda payload: payload | {"training_consent": "denied"}),
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_round_trip(payload: dict[str, Any]) -> None:
    """Nothing is lost or changed, unknown fields included; an instant stays the same instant."""
    once = parse_event(json.dumps(payload))
    written = json.loads(EVENT_ADAPTER.dump_json(once, exclude_unset=True))

    assert datetime.fromisoformat(written.pop("occurred_at").replace("Z", "+00:00")) == once.occurred_at
    assert datetime.fromisoformat(payload.pop("occurred_at")) == once.occurred_at
    assert written == payload
    assert parse_event(EVENT_ADAPTER.dump_json(once)).model_dump() == once.model_dump()
