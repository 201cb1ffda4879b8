"""Each number on the page, against events that were really sent; and no text of anybody's anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.collector.pages import backend, vote
from tests.events import completion, event, thumb
from tests.processes import ask
from tests.statuspage.site import Site, funnel
from thumbline._ids import uuid7

MARKER = "zebra-velvet"
SCRIPT = "<script>alert(1)</script>"


def answer(name: str) -> dict[str, Any]:
    return completion(name, prompt=f"{MARKER} {name}?", text=f"{MARKER} {name}!", properties={"note": MARKER})


def shown(name: str, rater: str, state: str = "shown") -> dict[str, Any]:
    return event("exposure", target_id=name, state=state, rater={"id": rater}, properties={"note": MARKER})


@pytest.fixture(scope="module")
def told(busy: Site) -> dict[str, Any]:
    """What was sent, so that each number can be counted by hand; landed when this returns."""
    place = {"app": "chat", "surface": "web", "sdk": "thumbline-python/0.1.0"}
    comment = {"comment": MARKER, "properties": {MARKER: MARKER}}
    good = [
        *(answer(f"a{n}") | place for n in range(4)),
        *(shown(f"a{n}", "u1") | place for n in range(4)),
        *(shown(f"a{n}", "u1", "seen") | place for n in range(3)),
        shown("a3", "u1", "dismissed") | place,
        thumb("a0", "up", rater="u1", **comment) | place,
        thumb("a1", "down", rater="u1", **comment) | place,
        thumb("a1", "up", 5, rater="u1", **comment) | place,
        # Not shown to this person, as far as was said; on something that was never logged; and from elsewhere.
        thumb("a0", "down", rater="u2", **comment, app="chat", surface="ios", sdk="thumbline-web/0.1.0"),
        thumb("never-logged", "up", rater="u3", **comment),
        thumb(SCRIPT, "up", rater="u3", app=SCRIPT, surface=SCRIPT, sdk=SCRIPT, conversation_id=SCRIPT),
    ]
    assert busy.post(good).json["accepted"] == len(good)
    assert busy.post(good[:2]).json["duplicate"] == 2
    receipt = backend(busy.key).receipt("a2", rater="mia")
    page = vote(receipt, app_version=SCRIPT, comment=MARKER)
    assert busy.vote(page).json["accepted"] == 1
    wrong = [
        thumb("a0", MARKER, **comment),
        thumb("a0", MARKER, **comment),
        event("thumb", target_id="a0", value="up", comment=MARKER, rater={"kind": "alien"}),
        {"kind": SCRIPT, "event_id": uuid7(), "comment": MARKER, "properties": {"note": MARKER}},
        {"event_id": MARKER, MARKER + " is a key": MARKER},
        completion("a9", text=MARKER) | {"messages": [{"role": MARKER, "content": MARKER}]},
        event("rating", target_id="a0", score=float("nan"), comment=MARKER),
    ]
    assert busy.post(json.dumps(wrong).encode()).json["rejected"] == len(wrong)
    bad_page = vote(receipt, **{SCRIPT: MARKER})
    assert busy.vote(bad_page, {"kind": "thumb", "comment": MARKER}).json["rejected"] == 2
    for _ in range(3):
        assert busy.post(good, key="tlk_nobody").status == 401
    aside = thumb("a0", MARKER, comment=MARKER)
    head = b'{"v":1,"project":"demo","received_at":1795521600000,"event":'
    quarantined = [
        head + json.dumps(aside).encode() + b"}",
        b"%s is no JSON" % MARKER.encode(),
        # DuckDB's own sentence for this quotes what was sent.
        b'{"v":1,"project":"demo","received_at":4611686018427387904,"event":'
        + json.dumps(thumb("a0", "up")).encode()
        + b"}",
        head + json.dumps(thumb("a0", "up") | {"kind": SCRIPT, "event_id": SCRIPT, "comment": MARKER}).encode() + b"}",
    ]
    busy.put(*quarantined)
    # Lands twice: what the collector did not see before, the loader does.
    busy.put(head + json.dumps(good[4]).encode() + b"}")
    busy.tables_when(lambda t: funnel(t).get("duplicate: the event had landed before") == ["1", "1"])
    return {"good": good, "page": page, "wrong": wrong, "bad_page": bad_page, "aside": aside, "place": place}


def test_the_funnel_counts_people_and_events_and_says_what_left_where(busy: Site, told: dict[str, Any]) -> None:
    lines = funnel(busy.tables())
    landed = len(told["good"]) + 1
    both = {name: str(count) for name, count in {
        "shown": 4,
        "not reported as seen": 1,
        "seen": 3,
        # a0 and a1 were judged by the person to whom they were shown.
        "shown, and nothing said": 2,
        "dismissed": 1,
        # (a0 u1) (a1 u1) (a0 u2) (never-logged u3) (script u3) (a2 mia)
        "voted": 6,
        "without a control reported as shown": 4,
        "accepted": landed,
        "landed": landed,
        "duplicate: the event had landed before": 1,
        "rejected: value: Input should be 'up', 'down' or 'retracted'": 2,
        "rejected: rater.id: Field required": 1,
        "rejected: receipt: is missing: a page's event needs the text that Client.receipt returned": 1,
        "quarantined: not UTF-8 JSON": 1,
        "quarantined: value: must be up, down or retracted": 1,
        "orphaned: the answer or comparison has not come": 2,
    }.items()}  # fmt: skip
    assert {name: lines[name] for name in both} == {name: [count, count] for name, count in both.items()}
    assert lines["waiting in the log"] == ["0 now"]
    assert lines["sent again, and answered so"] == ["2 since the collector started"]
    assert lines["to be sent again"] == ["0 since the collector started"]
    assert lines["request refused: 401 bad_key"][0].startswith("3 times, last 20")
    rejected = sum(int(numbers[0]) for name, numbers in lines.items() if name.startswith("rejected: "))
    assert rejected == len(told["wrong"]) + 2
    assert sum(int(numbers[0]) for name, numbers in lines.items() if name.startswith("quarantined: ")) == 4


def test_what_waits_in_the_log_is_accepted_and_not_landed(busy: Site, told: dict[str, Any]) -> None:
    before = int(funnel(busy.tables())["landed"][0])
    with busy.without_loader():
        busy.post([answer("w1"), answer("w2"), answer("w3")])
        lines = funnel(busy.tables_when(lambda t: funnel(t)["waiting in the log"] == ["3 now"]))
        assert lines["landed"] == [str(before)] * 2
        assert lines["accepted"] == [str(before + 3)] * 2
        assert "3 on the way" in busy.get().text
    busy.tables_when(lambda t: funnel(t)["landed"] == [str(before + 3)] * 2)


def test_sources_are_told_apart_by_app_surface_and_client(busy: Site, told: dict[str, Any]) -> None:
    rows = {tuple(row[:4]): row[4:] for row in busy.tables().rows["h-sources"][1:]}
    here = sum(e.get("app") == "chat" and e.get("surface") == "web" for e in told["good"])
    assert rows["demo", "chat", "web", "thumbline-python/0.1.0"][1] == str(here)
    assert rows["demo", "chat", "web", "thumbline-python/0.1.0"][0] == f"{here / 10:.1f}"
    assert rows["demo", "chat", "ios", "thumbline-web/0.1.0"][1] == "1"
    assert rows["demo", SCRIPT, SCRIPT, SCRIPT][1] == "1"
    assert all("ago" in row[-1] or row[-1] == "just now" for row in rows.values())


def test_the_last_event_of_each_project_and_kind(busy: Site, told: dict[str, Any]) -> None:
    rows = {(row[0], row[1]): row[2] for row in busy.tables().rows["h-last"][1:]}
    assert rows["demo", "thumb"] == "7"
    assert rows["demo", "exposure"] == "8"
    assert int(rows["demo", "completion"]) == len(busy.find("w1")["events"]) * 3 + 4
    assert set(rows) == {("demo", "thumb"), ("demo", "exposure"), ("demo", "completion")}


def test_the_lag_is_that_of_the_rows(busy: Site, told: dict[str, Any]) -> None:
    [(p50, p95)] = ask(
        busy.home,
        "SELECT quantile_cont(s, 0.5), quantile_cont(s, 0.95) FROM (SELECT (epoch_ms(l.loaded_at) - epoch_ms(e.received_at)) / 1000 AS s "
        "FROM events e JOIN loads l USING (load_id))",
    )
    text = busy.tables().texts["h-lag"]
    assert f"half of the events within {p50:.1f} s" in text
    assert f"95 of 100 within {p95:.1f} s" in text


def test_rejected_quarantined_and_orphaned_samples_have_ids_and_reasons(busy: Site, told: dict[str, Any]) -> None:
    tables = busy.tables()
    rejected = tables.rows["h-rejected"][1:]
    assert len(rejected) == len(told["wrong"]) + 2
    by_id = {row[6]: row[1:6] for row in rejected}
    wrong = told["wrong"]
    reason = "Input should be 'up', 'down' or 'retracted'"
    assert by_id[wrong[0]["event_id"]] == ["demo", "thumb", "value", reason, "/v1/events"]
    assert by_id[wrong[3]["event_id"]][:3] == ["demo", "not known", "kind"]
    assert by_id[wrong[5]["event_id"]][:3] == ["demo", "completion", "messages.0.role"]
    assert by_id[wrong[6]["event_id"]][2:4] == ["score", "must be a finite number"]
    assert by_id[told["bad_page"]["event_id"]][0::4] == ["demo", "/v1/votes"]
    assert sum(row[6] == "none" for row in rejected) == 2
    quarantined = {row[1]: row[2:] for row in tables.rows["h-quarantine"][1:]}
    assert quarantined["value: must be up, down or retracted"][3] == told["aside"]["event_id"]
    assert quarantined["not UTF-8 JSON"][3] == "none"
    assert len(quarantined) == 4
    hidden = "could not be landed; the reason quotes the record, so it is only in the table `quarantine`"
    assert hidden in quarantined
    [(reason,)] = ask(busy.home, "SELECT reason FROM quarantine WHERE reason LIKE '%4611686018427387904%'")
    assert reason not in busy.get().text
    orphans = {row[4]: row[1:4] for row in tables.rows["h-orphans"][1:]}
    assert orphans == {"never-logged": ["completion", "demo", "thumb"], SCRIPT: ["completion", "demo", "thumb"]}
    assert "an hour to a day 0" in tables.texts["h-orphans"]
    assert f"{SCRIPT}" not in busy.get().text


def test_the_headline_says_it_in_a_sentence(busy: Site, told: dict[str, Any]) -> None:
    text = busy.get().text
    # What was put aside is the most urgent; the counts are beside it.
    assert "4 records went to quarantine in the last hour" in text
    assert f"{len(told['wrong']) + 2} rejected." in text


def test_no_text_of_anybody_is_on_the_page_in_the_search_or_in_the_files(busy: Site, told: dict[str, Any]) -> None:
    ids = [
        *(e["event_id"] for e in told["good"]),
        *(str(e["event_id"]) for e in told["wrong"][:4]),
        *(told["page"]["event_id"], told["bad_page"]["event_id"], told["aside"]["event_id"], "a0", "a1", "a2", SCRIPT),
    ]
    seen = [busy.get().text, busy.get("/live").text]
    for one in ids:
        seen += [busy.get(f"/?id={_quoted(one)}").text, busy.get(f"/find.json?id={_quoted(one)}").text]
    assert all(MARKER not in text for text in seen)
    assert any("characters)" in text for text in seen)
    files = [path.read_bytes() for path in (busy.home / "rejections").iterdir()]
    assert files
    assert all(MARKER.encode() not in content for content in files)


def test_nothing_that_was_sent_becomes_markup(busy: Site, told: dict[str, Any]) -> None:
    for path in ("/", f"/?id={_quoted(SCRIPT)}", f"/?id={_quoted(told['bad_page']['event_id'])}"):
        answer = busy.get(path)
        assert "<script>alert" not in answer.text
        assert answer.text.count("<script") == 1
        assert '<script src="/static/live.js" defer></script>' in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in busy.get().text


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
