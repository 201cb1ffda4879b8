"""The maps for exports of other tools; all records are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.importing.helpers import PSEUDONYM, chat, lines, take
from thumbline_ingest.importing import MapOptions

# -- Open WebUI ----------------------------------------------------------------------------------------


def feedback(**changes: Any) -> dict[str, Any]:
    """A feedback on the second answer of a chat whose first question was asked twice."""
    history = {
        "m1": {"id": "m1", "parentId": None, "role": "user", "content": "Hi"},
        "m2": {"id": "m2", "parentId": "m1", "role": "assistant", "content": "Hello.", "model": "acme-7b"},
        "m2b": {"id": "m2b", "parentId": "m1", "role": "assistant", "content": "Good day.", "model": "acme-13b"},
        "m3": {"id": "m3", "parentId": "m2", "role": "user", "content": "Capital of France?"},
        "m4": {
            "id": "m4",
            "parentId": "m3",
            "role": "assistant",
            "content": "Paris.",
            "model": "acme-7b",
            "timestamp": 1_763_999_990,
        },
    }
    return {
        "id": "f1",
        "user_id": "u1",
        "version": 0,
        "type": "rating",
        "data": {
            "rating": 1,
            "model_id": "acme-7b",
            "sibling_model_ids": ["acme-13b"],
            "reason": "helpful",
            "comment": "Just so.",
            "details": {"rating": 8},
        },
        "meta": {"arena": True, "chat_id": "k1", "message_id": "m4", "message_index": 4},
        "snapshot": {
            "chat": {
                "id": "k1",
                "user_id": "u1",
                "chat": {"params": {"system": "Be brief."}, "history": {"messages": history, "currentId": "m4"}},
            }
        },
        "created_at": 1_763_999_999,
        "updated_at": 1_764_000_000,
    } | changes


def test_open_webui_keeps_branch_system_prompt_vote_and_detail(tmp_path: Path) -> None:
    path = tmp_path / "feedback-history-export.json"
    path.write_text(json.dumps([feedback()], indent=2))
    taken = take(path, "open-webui")
    completion, thumb, rating = taken.events
    assert completion["completion_id"] == "m4"
    assert completion["messages"] == [
        {"role": "system", "content": "Be brief."},
        *chat("Hi", "Hello.", "Capital of France?"),
    ]
    assert (completion["response"]["content"], completion["model"]) == ("Paris.", "acme-7b")
    assert (completion["occurred_at"], thumb["occurred_at"]) == ("2025-11-24T15:59:50Z", "2025-11-24T16:00:00Z")
    assert (thumb["value"], thumb["tags"], thumb["comment"]) == ("up", ["helpful"], "Just so.")
    assert thumb["rater"] == {"id": PSEUDONYM("u1"), "kind": "human", "wrote_prompt": True}
    assert completion["author"] == PSEUDONYM("u1")
    assert (rating["score"], rating["scale_min"], rating["scale_max"]) == (8, 1, 10)
    assert {event["conversation_id"] for event in taken.events} == {"k1"}


def test_a_feedback_changed_later_is_a_later_vote(tmp_path: Path) -> None:
    changed = feedback(data={"rating": -1}, updated_at=1_764_000_100)
    taken = take(lines(tmp_path, feedback(), changed), "open-webui")
    assert [thumb["value"] for thumb in taken.of("thumb")] == ["up", "down"]
    assert len(taken.of("completion")) == 1


def test_open_webui_without_vote_snapshot_or_message(tmp_path: Path) -> None:
    taken = take(
        lines(
            tmp_path,
            feedback(id="f2", data={"rating": None}),
            feedback(id="f3", snapshot=None),
            feedback(id="f4", meta={}),
        ),
        "open-webui",
    )
    assert (taken.report.empty, taken.report.taken, taken.report.refused) == (1, 1, 1)
    assert [event["kind"] for event in taken.events] == ["thumb", "rating"]
    assert "meta.message_id" in next(iter(taken.reasons))


# -- FastChat ------------------------------------------------------------------------------------------


def battle(winner: str = "model_b", **changes: Any) -> dict[str, Any]:
    return {
        "question_id": "q1",
        "model_a": "acme-7b",
        "model_b": "acme-13b",
        "winner": winner,
        "judge": "arena_user_5",
        "conversation_a": chat("Capital of France?", "Lyon."),
        "conversation_b": chat("Capital of France?", "Paris."),
        "turn": 1,
        "anony": True,
        "language": "English",
        "tstamp": 1_764_000_000.5,
    } | changes


def test_fastchat_keeps_sides_models_judge_and_time(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, battle()), "fastchat")
    first, second = taken.of("completion")
    comparison, pick = taken.one("comparison"), taken.one("pick")
    assert comparison["completion_ids"] == [first["completion_id"], second["completion_id"]]
    assert (first["model"], first["response"]["content"]) == ("acme-7b", "Lyon.")
    assert pick["winner_id"] == second["completion_id"]
    assert pick["rater"] == {"id": PSEUDONYM("arena_user_5"), "kind": "human"}
    assert pick["occurred_at"] == "2025-11-24T16:00:00.500000Z"
    assert pick["conversation_id"] == "q1"


@pytest.mark.parametrize(
    ("winner", "outcome"), [("model_a", "winner"), ("tie", "tie"), ("tie (bothbad)", "both_bad"), ("nobody", None)]
)
def test_fastchat_outcomes(tmp_path: Path, winner: str, outcome: str | None) -> None:
    taken = take(lines(tmp_path, battle(winner)), "fastchat")
    assert [pick["outcome"] for pick in taken.of("pick")] == ([outcome] if outcome else [])
    assert taken.report.refused == (outcome is None)


def test_fastchat_keeps_the_order_shown_whatever_it_is(tmp_path: Path) -> None:
    battles = [battle(conversation_a=chat("q", f"a{i}"), conversation_b=chat("q", f"b{i}")) for i in range(20)]
    taken = take(lines(tmp_path, *battles), "fastchat")
    texts = {event["completion_id"]: event["response"]["content"] for event in taken.of("completion")}
    shown = [[texts[answer] for answer in one["completion_ids"]] for one in taken.of("comparison")]
    assert shown == [[f"a{i}", f"b{i}"] for i in range(20)]


def test_fastchat_over_several_turns_keeps_each_sides_own(tmp_path: Path) -> None:
    record = battle(conversation_a=chat("q", "a1", "r", "a2"), conversation_b=chat("q", "b1", "r", "b2"))
    first, second = take(lines(tmp_path, record), "fastchat").of("completion")
    assert (first["messages"], second["messages"]) == (chat("q", "a1", "r"), chat("q", "b1", "r"))


def test_several_judges_of_one_battle_share_its_answers(tmp_path: Path) -> None:
    path = tmp_path / "battles.parquet"
    pq.write_table(pa.Table.from_pylist([battle(judge=f"j{i}") for i in range(5)]), path)
    taken = take(path, "fastchat")
    assert [len(taken.of(kind)) for kind in ("completion", "comparison", "pick")] == [2, 1, 5]
    assert taken.report.again == 12


# -- Langfuse ------------------------------------------------------------------------------------------

SCORE = {"id": "s1", "traceId": "t1", "name": "user-feedback", "source": "API", "timestamp": "2026-11-24T10:00:00.000Z"}


def test_langfuse_scores_of_every_type(tmp_path: Path) -> None:
    taken = take(
        lines(
            tmp_path,
            SCORE | {"dataType": "BOOLEAN", "value": 0, "comment": "No."},
            SCORE | {"id": "s2", "observationId": "o1", "dataType": "NUMERIC", "value": 0.7, "authorUserId": "u1"},
            SCORE | {"id": "s3", "dataType": "CATEGORICAL", "stringValue": "good"},
            SCORE | {"id": "s4", "dataType": "CORRECTION", "stringValue": "It is Paris."},
            SCORE | {"id": "s5", "dataType": "NUMERIC", "value": 1, "source": "EVAL", "name": "judge"},
            SCORE | {"id": "s6", "dataType": "NUMERIC", "value": 1, "traceId": None, "sessionId": "k1"},
            SCORE | {"id": "s7", "dataType": "CATEGORICAL", "stringValue": "so-so"},
        ),
        "langfuse",
        MapOptions(scale=(0, 1)),
    )
    down, up = taken.of("thumb")
    numeric, judged, session = taken.of("rating")
    assert (down["target_id"], down["value"], down["comment"]) == ("t1", "down", "No.")
    assert (down["occurred_at"], down["properties"]["score_name"]) == ("2026-11-24T10:00:00Z", "user-feedback")
    assert up["value"] == "up"
    assert (numeric["target_id"], numeric["score"], numeric["rater"]["id"]) == ("o1", 0.7, PSEUDONYM("u1"))
    assert judged["rater"] == {"id": "judge", "kind": "model"}
    assert (session["target_type"], session["target_id"]) == ("conversation", "k1")
    assert taken.one("edit")["response"]["content"] == "It is Paris."
    assert taken.report.refused == 1


def test_langfuse_numbers_need_a_scale(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, SCORE | {"dataType": "NUMERIC", "value": 0.7}), "langfuse")
    assert list(taken.reasons) == ["value: the scale of NUMERIC scores is not stated: give --scale MIN:MAX"]


def test_langfuse_answers_from_blob_storage_and_downloads(tmp_path: Path) -> None:
    observation = {
        "id": "o1",
        "trace_id": "t1",
        "type": "GENERATION",
        "start_time": "2026-11-24 09:59:00.000000",
        "provided_model_name": "acme-7b",
        "input": json.dumps({"messages": chat("Hi")}),
        "output": json.dumps({"choices": [{"message": chat("", "Hello.")[1]}]}),
        "user_id": "u1",
        "session_id": "k1",
    }
    score = {"id": "s1", "trace_id": "t1", "observation_id": "o1", "name": "x", "data_type": "BOOLEAN", "value": 1}
    taken = take(lines(tmp_path, observation, score, observation | {"id": "o2", "type": "SPAN"}), "langfuse")
    completion, thumb = taken.events
    assert thumb["target_id"] == completion["completion_id"] == "o1"
    assert (completion["messages"], completion["response"]["content"]) == (chat("Hi"), "Hello.")
    assert (completion["model"], completion["occurred_at"]) == ("acme-7b", "2026-11-24T09:59:00Z")
    assert completion["author"] == PSEUDONYM("u1")
    assert taken.report.empty == 1

    path = tmp_path / "trace-t1.json"
    trace = {
        "id": "t1",
        "userId": "u1",
        "input": "Hi",
        "output": "Hello.",
        "scores": [SCORE | {"dataType": "BOOLEAN", "value": 1}],
    }
    path.write_text(json.dumps({"trace": trace, "observations": []}, indent=1))
    completion, thumb = take(path, "langfuse").events
    assert (completion["completion_id"], thumb["target_id"]) == ("t1", "t1")
    assert thumb["rater"]["id"] == PSEUDONYM("u1")


def test_a_page_of_the_langfuse_api_is_as_many_records(tmp_path: Path) -> None:
    good = [SCORE | {"id": f"s{i}", "dataType": "BOOLEAN", "value": 1} for i in range(3)]
    taken = take(
        lines(tmp_path, {"data": [*good, {"id": "s9", "value": {}, "name": "x"}], "meta": {"page": 1}}), "langfuse"
    )
    assert (taken.report.taken, taken.report.refused) == (3, 1)


# -- chat-ui -------------------------------------------------------------------------------------------


def conversation(**changes: Any) -> dict[str, Any]:
    said = [
        {"id": "r", "from": "system", "content": "", "ancestors": []},
        {"id": "m1", "from": "user", "content": "Hi", "ancestors": ["r"]},
        {"id": "m2", "from": "assistant", "content": "Hello.", "ancestors": ["r", "m1"], "score": -1},
        {"id": "m3", "from": "assistant", "content": "Good day.", "ancestors": ["r", "m1"], "score": 1},
        {"id": "m4", "from": "user", "content": "Capital?", "ancestors": ["r", "m1", "m3"]},
        {"id": "m5", "from": "assistant", "content": "Paris.", "ancestors": ["r", "m1", "m3", "m4"], "score": 0},
        {"id": "m6", "from": "assistant", "content": "Paris!", "ancestors": ["r", "m1", "m3", "m4"], "score": 1},
    ]
    return {
        "_id": {"$oid": "k1"},
        "userId": {"$oid": "u1"},
        "model": "acme-7b",
        "preprompt": "Be brief.",
        "messages": said,
        "updatedAt": {"$date": "2026-11-24T10:00:00Z"},
    } | changes


def test_chat_ui_takes_judged_answers_along_their_branch(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, conversation()), "chat-ui")
    assert [(thumb["target_id"], thumb["value"]) for thumb in taken.of("thumb")] == [
        ("m2", "down"),
        ("m3", "up"),
        ("m6", "up"),
    ]
    last = taken.of("completion")[-1]
    assert last["messages"] == [{"role": "system", "content": "Be brief."}, *chat("Hi", "Good day.", "Capital?")]
    assert (last["conversation_id"], last["model"]) == ("k1", "acme-7b")
    assert (last["author"], last["occurred_at"]) == (PSEUDONYM("u1"), "2026-11-24T10:00:00Z")
    assert taken.of("thumb")[0]["rater"] == {"id": PSEUDONYM("u1"), "kind": "human", "wrote_prompt": True}


def test_chat_ui_parquet_without_ids_models_or_people(tmp_path: Path) -> None:
    said = [{"from": "user", "content": "Hi", "score": None}, {"from": "assistant", "content": "Hello.", "score": 1}]
    silent = [{"from": "user", "content": "Hi", "score": None}]
    path = tmp_path / "conversations.parquet"
    rows = [{"title": "x", "updated_at": 1_764_000_000_000, "messages": messages} for messages in (said, silent)]
    table = pa.Table.from_pylist(rows)
    moments = table["updated_at"].cast(pa.timestamp("ms"))
    pq.write_table(table.set_column(1, "updated_at", moments), path)
    taken = take(path, "chat-ui", MapOptions(model="acme-7b"))
    completion, thumb = taken.events
    assert (completion["model"], completion["messages"]) == ("acme-7b", chat("Hi"))
    assert (thumb["value"], thumb["occurred_at"]) == ("up", "2025-11-24T16:00:00Z")
    assert thumb["rater"]["id"].startswith("anonymous:")
    assert taken.report.empty == 1
