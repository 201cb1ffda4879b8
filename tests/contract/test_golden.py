"""One complete payload per kind: what clients send today must be understood by every later version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from thumbline.events import EVENT_ADAPTER, KINDS, Event, parse_event, routing_key, unknown_fields

GOLDEN = Path(__file__).parent / "golden"


def golden(kind: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((GOLDEN / f"{kind}.json").read_text())
    return payload


def test_one_per_kind() -> None:
    """Every kind has its file, and there is no other."""
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == sorted(KINDS)
    assert sorted(KINDS) == sorted(model.model_fields["kind"].default for model in get_args(Event))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_there(kind: str) -> None:
    """The payload uses all fields of its kind, so a removed or renamed one is noticed."""
    model = next(m for m in get_args(Event) if m.model_fields["kind"].default == kind)

    assert set(golden(kind)) == set(model.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind: str) -> None:
    """Read and written again it is the same, key by key."""
    payload = golden(kind)

    event = parse_event(json.dumps(payload))

    assert json.loads(EVENT_ADAPTER.dump_json(event, exclude_unset=True)) == payload
    assert unknown_fields(event) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_fields_are_kept(kind: str) -> None:
    """A newer client's fields survive, at the top, in the rater and in messages."""
    payload = golden(kind) | {"mood": {"a": [1, None]}}
    payload["rater"] |= {"team": 7}
    if "response" in payload:
        payload["response"]["refusal"] = None

    event = parse_event(json.dumps(payload))

    assert unknown_fields(event) == {"mood": {"a": [1, None]}, "rater": {"team": 7}}
    assert json.loads(EVENT_ADAPTER.dump_json(event, exclude_unset=True)) == payload


def test_routing_is_by_known_fields_only() -> None:
    """An unknown field that is named like one of another kind does not decide where an event goes."""
    payload = golden("completion") | {"target_id": ["x"] * 100}
    del payload["conversation_id"]

    assert routing_key(parse_event(json.dumps(payload))) == payload["completion_id"]
