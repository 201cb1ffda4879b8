"""What becomes of records: rows, duplicates, quarantine; never anything lost or twice."""

from __future__ import annotations

import json

import duckdb
import pytest

from tests.events import completion, event, records, thumb, value_of
from tests.warehouse.conftest import LOG
from thumbline._ids import event_id_from
from thumbline.events import EVENT_ADAPTER, KINDS
from thumbline_warehouse.errors import Fenced, WarehouseBusy
from thumbline_warehouse.landing import Counts
from thumbline_warehouse.schema import EVENTS


def test_every_field_of_the_contract_has_a_column() -> None:
    """A field added to the contract cannot be forgotten here."""
    schema = EVENT_ADAPTER.json_schema()
    fields = {
        name
        for kind in schema["$defs"].values()
        if "event_id" in kind.get("properties", {})
        for name in kind["properties"]
    }
    columns = {column.name for column in EVENTS}
    assert fields - {"rater"} <= columns


def test_golden_events_land_whole(land, query, golden) -> None:
    landed = land(list(golden.values()))

    assert landed.counts[0] == Counts(records=len(KINDS), landed=len(KINDS), duplicates=0, quarantined=0)
    assert {kind for (kind,) in query("SELECT kind FROM events")} == set(KINDS)
    for kind, sent in golden.items():
        for name in set(sent) & {column.name for column in EVENTS} - {"occurred_at", "event_id"}:
            ((stored,),) = query(f"SELECT \"{name}\" FROM events WHERE kind = '{kind}'")
            if isinstance(sent[name], (dict, list)) and isinstance(stored, str):
                stored = json.loads(stored)
            if name == "value" and kind == "signal":
                stored = float(stored)
            assert stored == sent[name], (kind, name)


def test_the_same_id_lands_once_within_a_batch_and_over_batches(land, query) -> None:
    vote = thumb("a", "up")
    assert land([vote, vote, thumb("b", "up")]).counts[0] == Counts(3, 2, 1, 0)
    assert land([vote]).counts[0] == Counts(1, 0, 1, 0)
    assert query("SELECT count(*), count(DISTINCT event_id) FROM events") == [(2, 2)]


@pytest.mark.parametrize(
    "own", ["import/row-1", "0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e11"], ids=["hashed id", "id that is years old"]
)
def test_an_id_from_outside_the_recent_window_is_still_found(land, query, own: str) -> None:
    late = thumb("a", "up", event_id=event_id_from(own, "thumb"))
    land([late])
    land([thumb(f"t{i}", "up") for i in range(50)])
    assert land([late, thumb("new", "up")]).counts[0] == Counts(2, 1, 1, 0)
    assert query("SELECT count(*) FROM events") == [(52,)]


def test_unlandable_records_go_to_quarantine_with_bytes_position_and_reason(land, query) -> None:
    bad = [
        b"nope",
        b"\xff\xfe",
        b"[1]",
        b'{"v":1,"project":"demo","received_at":1,"event":{"kind":"thumb"}}',
        value_of(event("dance")),
        value_of(thumb("a", "up", occurred_at="yesterday")),
        value_of({k: v for k, v in thumb("a", "up").items() if k != "rater"}),
        value_of(completion("c", response=None)),
        value_of(thumb("a", "maybe")),
    ]
    good = [value_of(thumb(f"g{i}", "up")) for i in range(len(bad))]
    mixed = [record for pair in zip(bad, good, strict=True) for record in pair]

    landed = land(mixed)

    assert landed.counts[0] == Counts(records=18, landed=9, duplicates=0, quarantined=9)
    rows = query("SELECT position, record, reason FROM quarantine ORDER BY position")
    assert [(position, bytes(record)) for position, record, _ in rows] == [
        (2 * i, record) for i, record in enumerate(bad)
    ]
    assert [reason.split(":")[0] for _, _, reason in rows] == [
        "not UTF-8 JSON",
        "not UTF-8 JSON",
        "not an envelope of the collector",
        "event_id",
        "kind",
        "occurred_at",
        "rater.id",
        "completion",
        "value",
    ]


def test_a_record_that_duckdb_itself_refuses_is_found_and_set_aside(land, query, monkeypatch) -> None:
    """Whatever goes wrong with one record, the others land and the partition goes on."""
    from thumbline_warehouse import store as module

    events = [thumb(f"a{i}", "up", comment="poison" if i == 13 else "") for i in range(40)]
    real = module.insert

    def refuse(db, log_id, load_id):
        if db.execute("SELECT count(*) FROM staged WHERE comment = 'poison'").fetchone()[0]:
            db.execute("SELECT error('no check foresaw this')").fetchall()
        return real(db, log_id, load_id)

    monkeypatch.setattr(module, "insert", refuse)
    landed = land(events)

    assert (landed.total("landed"), landed.total("quarantined")) == (39, 1)
    ((reason, record),) = query("SELECT reason, record FROM quarantine")
    assert "no check foresaw this" in reason
    assert b"poison" in bytes(record)
    assert query("SELECT max(next_position) FROM loads") == [(40,)]


def test_times_are_stored_in_utc(land, query) -> None:
    land(
        [
            thumb("a", "up", occurred_at="2026-11-24T02:30:00+02:00"),
            thumb("b", "up", occurred_at="2026-11-24T00:30:00.25Z"),
        ]
    )
    assert query("SELECT occurred_at::VARCHAR FROM events ORDER BY 1") == [
        ("2026-11-24 00:30:00",),
        ("2026-11-24 00:30:00.25",),
    ]


def test_unknown_fields_are_kept(store, query) -> None:
    from thumbline_ingest.envelope import envelope_head, wrap

    vote = thumb("a", "up", mood="good")
    store.land(LOG, [records([wrap(envelope_head("demo", 1), json.dumps(vote).encode(), {"mood": "good"})])])
    assert [json.loads(extra) for (extra,) in query("SELECT extra FROM events")] == [{"mood": "good"}]


def test_a_load_that_does_not_follow_is_refused_and_changes_nothing(store, query) -> None:
    store.land(LOG, [records([thumb("a", "up")])])
    for first in (0, 5):
        with pytest.raises(Fenced) as fenced:
            store.land(LOG, [records([thumb("b", "up")], first)])
        assert fenced.value.positions == {0: 1}
    assert query("SELECT count(*) FROM events") == [(1,)]


def test_messages_survive_unchanged(land, query) -> None:
    messages = [
        {"role": "system", "content": 'Be brief. é \u2028 \U0001f600 "quoted" \\ back'},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "21"},
    ]
    land([completion("a", messages=messages)])
    ((stored, form, end),) = query("SELECT messages, form, prompt_end FROM completions")
    assert json.loads(stored) == messages
    assert (form, end) == ("rich", "tool")


def test_a_full_disk_is_no_reason_to_set_a_vote_aside(store, query, monkeypatch) -> None:
    """An error of the warehouse is tried again; only one of the data sends a record to quarantine."""
    from thumbline_warehouse import store as module

    real, failures = module.insert, [1]

    def full(*arguments):
        if failures:
            failures.pop()
            raise duckdb.IOException("No space left on device")
        return real(*arguments)

    monkeypatch.setattr(module, "insert", full)
    batch = [records([thumb("a", "up")])]
    with pytest.raises(WarehouseBusy, match="No space left"):
        store.land(LOG, batch)
    assert store.land(LOG, batch).counts[0] == Counts(1, 1, 0, 0)
    assert query("SELECT count(*) FROM quarantine") == [(0,)]


def test_a_field_of_another_kind_is_unknown_and_kept_apart(store, query) -> None:
    from thumbline_ingest.envelope import envelope_head, wrap

    foreign = {
        "model": "m",
        "outcome": "tie",
        "messages": [{"role": "user", "content": "x"}],
        "response": {"role": "assistant", "content": "x"},
    }
    value = wrap(envelope_head("demo", 1), json.dumps(thumb("a", "up", **foreign)).encode(), foreign)
    store.land(LOG, [records([value])])
    assert query("SELECT model, outcome, messages, response, prompt_hash, form FROM events") == [(None,) * 6]
    assert json.loads(query("SELECT extra FROM events")[0][0]) == foreign


def test_one_prompt_written_in_two_ways_has_one_hash(land, query) -> None:
    prompts = [
        [{"role": "user", "content": "Hi"}],
        [{"content": "Hi", "role": "user"}],
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    ]
    land([completion(f"a{i}", messages=prompt) for i, prompt in enumerate(prompts)])
    assert query("SELECT count(DISTINCT prompt_hash), count(DISTINCT response_hash) FROM completions") == [(1, 1)]


def test_a_text_part_without_text_is_not_text(land, query) -> None:
    land([completion("a", messages=[{"role": "user", "content": [{"type": "text", "text": ["x"]}]}])])
    assert query("SELECT form FROM completions") == [("rich",)]
