"""Paste an id, and see where it is: each state on real processes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.collector.pages import backend, vote
from tests.events import completion, event, thumb
from tests.statuspage.site import Site
from thumbline._ids import uuid7

WORKERS = 2


def answer(name: str, **fields: Any) -> dict[str, Any]:
    """An answer with a prompt of its own."""
    return completion(name, prompt=f"What is {name}?", text=f"It is {name}!", **fields)


def states(found: Any) -> dict[str, str]:
    return {one["event_id"]: one["state"] for one in found["events"]}


def test_an_unknown_id_is_nowhere(busy: Site) -> None:
    asked = uuid7()
    assert busy.find(asked) == {
        "id": asked,
        "events": [],
        "rows": {"kto": None, "pairs": None, "more_kto": []},
        "why_no_row": "nothing is known of this id",
        "why_not": {"kto": "nothing is known of this id", "pairs": "nothing is known of this id"},
        "texts": False,
        "unknown": [],
    }
    assert "Nothing: it is not among" in busy.get(f"/?id={asked}").text


def test_an_accepted_event_is_in_the_log_and_then_landed_with_its_row(busy: Site) -> None:
    """The chat's way: the answer first, then a vote that is followed until it is a row."""
    busy.post([answer("way")])
    busy.find_when("way", "landed")
    up = thumb("way", "up", conversation_id="talk")
    with busy.without_loader():
        assert busy.post([up]).json["accepted"] == 1
        found = busy.find(up["event_id"])
        [waiting] = found["events"]
        assert (waiting["state"], waiting["kind"], waiting["says"]) == ("in_log", "thumb", "up")
        assert (waiting["target_id"], waiting["load"], waiting["landed_at"]) == ("way", None, None)
        assert abs(time.time() - _unix(waiting["logged_at"])) < 30
        assert found["why_no_row"] == "not landed yet"
        assert states(busy.find("way")) == {up["event_id"]: "in_log"} | {
            one["event_id"]: "landed" for one in busy.find("way")["events"] if one["kind"] == "completion"
        }
        assert "in the log, not landed" in busy.get(f"/?id={up['event_id']}").text
    found = busy.find_when(up["event_id"], "landed")

    [landed] = found["events"]
    assert landed["is_current"]
    assert landed["standing"] == "current"
    assert landed["load"] >= 1
    assert _unix(landed["landed_at"]) >= _unix(landed["logged_at"]) - 0.01
    assert found["rows"]["kto"]["label"] is True
    assert found["rows"]["kto"]["prompt"] == [{"role": "user", "content": "(12 characters)"}]
    assert found["why_not"]["kto"] is None
    assert found["rows"]["pairs"] is None
    assert found["why_not"]["pairs"] == "no other answer to the prompt has the opposite thumb"
    assert busy.find("way")["rows"]["kto"] == found["rows"]["kto"]
    assert "makes 1 row of it" in busy.get(f"/?id={up['event_id']}").text


def test_a_later_vote_supersedes_and_one_taken_back_is_no_row(busy: Site) -> None:
    first, second = thumb("changed", "up", 1), thumb("changed", "down", 2)
    busy.post([answer("changed"), first, second])
    busy.find_when(second["event_id"], "landed")

    old, new = busy.find(first["event_id"]), busy.find(second["event_id"])
    assert (old["events"][0]["is_current"], old["events"][0]["standing"]) == (False, "superseded")
    assert (new["events"][0]["is_current"], new["events"][0]["standing"]) == (True, "current")
    later = "a later vote by the same rater on the same thing took its place"
    assert (old["rows"]["kto"], old["why_not"]["kto"], old["events"][0]["why"]) == (None, later, later)
    assert old["why_no_row"] == later
    assert new["rows"]["kto"]["label"] is False
    assert new["why_no_row"] is None

    back = thumb("changed", "retracted", 3)
    busy.post([back])
    taken = busy.find_when(back["event_id"], "landed")
    assert (taken["events"][0]["is_current"], taken["events"][0]["standing"]) == (False, "retracted")
    assert taken["why_not"]["kto"] == "the vote was taken back"
    # What was true a moment ago must not be kept: the row is gone.
    assert busy.find(second["event_id"])["rows"]["kto"] is None
    assert busy.find("changed")["rows"]["kto"] is None
    html = busy.get(f"/?id={back['event_id']}").text
    assert "retracted" in html
    assert "the vote was taken back" in html


def test_a_vote_without_its_answer_is_an_orphan_until_that_comes(busy: Site) -> None:
    lone = thumb("late", "up")
    busy.post([lone])
    found = busy.find_when(lone["event_id"], "landed")
    assert (found["events"][0]["missing"], found["events"][0]["is_current"]) == ("completion", True)
    assert found["why_not"]["kto"] == "the answer, or the comparison, has not come"
    busy.post([answer("late")])
    busy.find_when("late", "landed")
    _wait(lambda: busy.find(lone["event_id"])["rows"]["kto"])
    assert busy.find(lone["event_id"])["events"][0]["missing"] is None


def test_a_pick_becomes_a_pair_and_both_bad_becomes_two_rows(busy: Site) -> None:
    one, other = answer("one"), answer("other") | {"messages": answer("one")["messages"]}
    pair = event("comparison", comparison_id="pair", completion_ids=["one", "other"])
    pick = event("pick", target_id="pair", outcome="winner", winner_id="other")
    busy.post([one, other, pair, pick])
    found = busy.find_when(pick["event_id"], "landed")
    [row] = found["rows"]["pairs"]
    assert (row["chosen_position"], row["rule"], row["n_votes"]) == (2, "pick/1", 1)
    assert found["rows"]["kto"] is None
    assert found["why_not"]["kto"].startswith("a pick says which answer is better")
    for thing in ("pair", "one", "other"):
        assert busy.find(thing)["rows"]["pairs"] == [row]
    assert {e["kind"] for e in busy.find("one")["events"]} == {"completion", "comparison", "pick"}

    bad = event("pick", 5, target_id="pair", outcome="both_bad")
    busy.post([bad])
    rows = busy.find_when(bad["event_id"], "landed")["rows"]
    assert (rows["kto"]["label"], len(rows["more_kto"]), rows["pairs"]) == (False, 1, None)


def test_a_vote_from_a_page_is_found_by_the_pages_id_and_by_its_own(busy: Site) -> None:
    busy.post([answer("shown")])
    sent = vote(backend(busy.key).receipt("shown", rater="mia", training_consent="granted"))
    with busy.without_loader():
        assert busy.vote(sent).json["accepted"] == 1
        [waiting] = busy.find(sent["event_id"])["events"]
        assert (waiting["state"], waiting["page_event_id"]) == ("in_log", sent["event_id"])
        assert waiting["event_id"] != sent["event_id"]
        assert states(busy.find(waiting["event_id"])) == {waiting["event_id"]: "in_log"}
    found = busy.find_when(sent["event_id"], "landed")
    [landed] = found["events"]
    assert (landed["event_id"], landed["page_event_id"]) == (waiting["event_id"], sent["event_id"])
    assert found["rows"]["kto"]["label"] is True
    assert busy.find(landed["event_id"])["events"] == [landed]
    assert sent["event_id"] in busy.get(f"/?id={landed['event_id']}").text

    other = vote(backend(busy.key).receipt("shown", rater="leo"), event_id="0e9c2a7e-5b6f-4c3d-8a1b-2c3d4e5f6071")
    busy.vote(other)
    assert busy.find_when(other["event_id"], "landed")["events"][0]["page_event_id"] == other["event_id"]


def test_a_rejected_event_says_why_also_that_of_a_page(busy: Site) -> None:
    wrong = thumb("way", "maybe")
    assert busy.post([wrong]).json["rejected"] == 1
    [refused] = busy.find_when(wrong["event_id"], "rejected")["events"]
    assert (refused["kind"], refused["project"], refused["is_current"]) == ("thumb", "demo", False)
    assert refused["why"] == "value: Input should be 'up', 'down' or 'retracted'"
    assert busy.find(wrong["event_id"])["why_not"]["kto"] == "it was rejected"

    from_page = vote(backend(busy.key).receipt("shown", rater="mia"), target_id="another")
    assert busy.vote(from_page).json["rejected"] == 1
    [refused] = busy.find_when(from_page["event_id"], "rejected")["events"]
    assert (refused["page_event_id"], refused["project"]) == (from_page["event_id"], "demo")
    assert refused["why"] == "target_id: comes from the receipt alone: leave it out"
    assert "comes from the receipt alone" in busy.get(f"/?id={from_page['event_id']}").text


def test_an_event_that_was_mended_after_a_rejection_is_shown_as_both(busy: Site) -> None:
    wrong = thumb("mended", "maybe")
    busy.post([wrong])
    busy.find_when(wrong["event_id"], "rejected")
    busy.post([wrong | {"value": "up"}])
    _wait(lambda: len(busy.find(wrong["event_id"])["events"]) == 2)
    assert [e["state"] for e in busy.find(wrong["event_id"])["events"]] == ["rejected", "in_log"] or [
        e["state"] for e in busy.find(wrong["event_id"])["events"]
    ] == ["rejected", "landed"]


def test_a_record_in_quarantine_is_found_by_the_ids_in_it(busy: Site) -> None:
    bad = thumb("aside", "sideways")
    busy.put(json.dumps({"v": 1, "project": "demo", "received_at": 1_795_521_600_000, "event": bad}).encode())
    found = busy.find_when(bad["event_id"], "quarantined")
    [aside] = found["events"]
    assert (aside["why"], aside["kind"]) == ("value: must be up, down or retracted", "thumb")
    assert aside["load"] >= 1
    assert aside["event_id"] == bad["event_id"]
    assert found["why_not"]["kto"] == "it is in quarantine"
    assert states(busy.find("aside")) == {bad["event_id"]: "quarantined"}
    broken = uuid7()
    busy.put(b'{"v":1,"event":{"event_id":"%s", half a record' % broken.encode())
    assert busy.find_when(broken, "quarantined")["events"][0]["why"] == "not UTF-8 JSON"


def test_the_same_id_in_two_projects_is_two_things(busy: Site) -> None:
    from tests.processes import run

    key = run(busy.home, "keys", "create", "--project", "second").stdout.strip()
    mine, theirs = thumb("same", "up"), thumb("same", "down")
    busy.post([answer("same"), mine])
    busy.post([theirs], key=key)
    _wait(lambda: sum(e["state"] == "landed" for e in busy.find("same")["events"]) == 3)
    events = {e["event_id"]: e for e in busy.find("same")["events"]}
    assert events[mine["event_id"]]["missing"] is None
    assert events[theirs["event_id"]]["missing"] == "completion"
    assert busy.find(mine["event_id"])["rows"]["kto"]["label"] is True
    assert busy.find(theirs["event_id"])["rows"]["kto"] is None


@pytest.mark.parametrize("asked", ["", "x" * 257])
def test_what_is_no_id_is_refused(busy: Site, asked: str) -> None:
    assert busy.get(f"/find.json?id={asked}").status == 400


@pytest.mark.parametrize("asked", ["'; DROP TABLE events; --", "%", "\\", '"', "a\0b", "é\u2028", "{}", "'" * 99])
def test_what_is_asked_is_taken_literally(busy: Site, asked: str) -> None:
    assert busy.find(asked)["events"] == []
    assert busy.find(asked)["unknown"] == []


def test_a_search_is_quick_also_while_it_is_asked_again_and_again(busy: Site) -> None:
    """Followed every half second by a chat: well below that, new row included."""
    busy.post([answer(f"quick{n}") for n in range(200)])
    busy.find_when("quick199", "landed")
    took = []
    for n in range(10):
        up = thumb(f"quick{n}", "up")
        busy.post([up])
        for _ in range(6):
            began = time.monotonic()
            busy.find(up["event_id"])
            took.append(time.monotonic() - began)
            time.sleep(0.2)
    took.sort()
    # A bound for a busy machine; on an idle one it is a tenth of it.
    assert took[len(took) // 2] < 0.3, took


def _unix(instant: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp()


def _wait(holds: Any) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
