"""`POST /v1/events` over Flask's test client."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collector.helpers import App, thumb, thumb_json
from thumbline import limits
from thumbline._ids import uuid7
from thumbline.events import KINDS, parse_event
from thumbline_ingest.log.base import Appended, LogUnavailable

GZIP = {"Content_Encoding": "gzip"}


def array(*events: bytes) -> bytes:
    return b"[" + b",".join(events) + b"]"


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json["error"]["code"]


class TestAnswer:
    def test_accepts_and_keeps_the_bytes(self, app: App) -> None:
        """An accepted event is in the log as it was sent, with its project and routing key."""
        event = thumb(conversation_id="c-1", comment='naïve "quotes"')
        raw = json.dumps(event, ensure_ascii=False, indent=1).encode()

        response = app.post(array(raw))

        assert response.status_code == 200
        assert response.json == {
            "accepted": 1, "duplicate": 0, "rejected": 0, "retry": 0, "verdicts": ["accepted"], "errors": [],
        }  # fmt: skip
        [record] = app.writer.records
        assert record.key == b"c-1"
        envelope = json.loads(record.value)
        assert (envelope["project"], envelope["event"]) == ("demo", event)
        assert b"\n" not in record.value

    def test_keeps_unknown_fields_apart(self, app: App) -> None:
        """What this version does not know travels in `extra`."""
        app.post([thumb(mood="good", rater={"id": "r", "team": 7}), thumb()])

        extras = [json.loads(record.value).get("extra") for record in app.writer.records]
        assert extras == [{"mood": "good", "rater": {"team": 7}}, None]

    def test_verdicts_are_positional_and_order_is_kept(self, app: App) -> None:
        """Good events keep their order; bad ones do not shift the others."""
        batch = [thumb(target_id=str(n)) for n in range(5)]
        batch[1]["value"] = "maybe"
        batch[3]["rater"]["kind"] = "cat"

        answer = app.post(batch).json

        assert answer["verdicts"] == ["accepted", "rejected", "accepted", "rejected", "accepted"]
        assert [error["index"] for error in answer["errors"]] == [1, 3]
        assert answer["errors"][0]["event_id"] == batch[1]["event_id"]
        assert answer["errors"][0]["problems"][0]["allowed"] == ["up", "down", "retracted"]
        assert answer["errors"][1]["problems"][0]["field"] == "rater.kind"
        assert [event["target_id"] for event in app.events] == ["0", "2", "4"]

    def test_repeat_in_one_batch(self, app: App) -> None:
        """The first of two equal events is stored, the other is a duplicate."""
        event = thumb()

        answer = app.post([event, thumb(), event]).json

        assert answer["verdicts"] == ["accepted", "accepted", "duplicate"]
        assert [e["value"] for e in app.events] == ["up", "up"]

    @pytest.mark.parametrize("together", [True, False])
    def test_an_id_that_comes_again_with_other_content_is_no_duplicate(self, app: App, together: bool) -> None:
        """It goes into the log, in one batch or in the next: the warehouse sees both and can say so."""
        first = thumb()
        events = [first, first | {"value": "down"}, first]

        answers = [app.post(events).json] if together else [app.post([event]).json for event in events]

        assert [verdict for answer in answers for verdict in answer["verdicts"]] == [
            "accepted",
            "accepted",
            "duplicate",
        ]
        assert [e["value"] for e in app.events] == ["up", "down"]

    def test_repeat_of_a_bad_event_is_no_duplicate(self, app: App) -> None:
        """An id that was only ever rejected is not durable."""
        event = thumb()

        answer = app.post([event | {"value": "maybe"}, event]).json

        assert answer["verdicts"] == ["rejected", "accepted"]

    def test_repeat_in_a_later_batch(self, app: App) -> None:
        """An id that the log has is a duplicate, and is not appended again; whole batches too."""
        event = thumb()
        app.post([event])

        assert app.post([event]).json["verdicts"] == ["duplicate"]
        assert app.post([thumb(), event]).json["verdicts"] == ["accepted", "duplicate"]
        assert len(app.events) == 2

    def test_projects_do_not_share_ids(self, app: App) -> None:
        """The same id in another project is another event."""
        event = thumb()
        app.post([event])

        assert app.post([event], key=app.keys.create("other")).json["verdicts"] == ["accepted"]

    def test_forgets_old_ids(self, make_app: Callable[..., App]) -> None:
        """The memory of ids is bounded, and the newest half of it is certain."""
        app = make_app(recent_ids=4)
        events = [thumb() for _ in range(6)]
        for event in events:
            app.post([event])

        assert app.post([events[0]]).json["verdicts"] == ["accepted"]
        assert app.post([events[5]]).json["verdicts"] == ["duplicate"]


class TestLog:
    def test_unavailable(self, app: App) -> None:
        """Where the log takes nothing, the whole batch is to be sent again, and is not taken for stored."""
        event = thumb()
        app.writer.answer = LogUnavailable("down", retry_after_s=2.5)
        response = app.post([event])
        assert refusal(response) == (503, "unavailable")
        assert response.headers["Retry-After"] == "3"

        app.writer.answer = Appended()

        assert app.post([event]).json["verdicts"] == ["accepted"]

    def test_partial_failure(self, app: App) -> None:
        """What the log failed to take is `retry`, what it never takes `rejected`; neither is durable."""
        batch = [thumb() for _ in range(4)]
        app.writer.answer = Appended(refused={1: "too large"}, failed={2: "timed out"})

        response = app.post(batch)

        assert response.json["verdicts"] == ["accepted", "rejected", "retry", "accepted"]
        assert response.headers["Retry-After"] == "1"
        assert response.json["errors"][0]["event_id"] == batch[1]["event_id"]
        app.writer.answer = Appended()
        assert app.post(batch).json["verdicts"] == ["duplicate", "accepted", "accepted", "duplicate"]

    def test_repeat_of_a_failed_event(self, app: App) -> None:
        """A repeat of what was not stored is not called a duplicate."""
        event = thumb()
        app.writer.answer = Appended(failed={0: "timed out"})

        assert app.post([event, event]).json["verdicts"] == ["retry", "retry"]

    def test_places_shift_with_rejected_events(self, app: App) -> None:
        """The log counts the records it got, the answer the events that were sent."""
        app.writer.answer = Appended(failed={1: "timed out"})

        answer = app.post([thumb(value="maybe"), thumb(), thumb()]).json

        assert answer["verdicts"] == ["rejected", "accepted", "retry"]

    def test_unexpected_error_says_nothing(self, app: App, caplog: pytest.LogCaptureFixture) -> None:
        """A bug is a 500 without what was sent, in the answer as in the log."""
        app.writer.answer = RuntimeError("secret-comment")
        response = app.post([thumb(comment="secret-comment")])

        assert refusal(response) == (500, "internal")
        assert b"secret-comment" not in response.data
        assert "secret-comment" not in caplog.text
        assert app.key not in caplog.text


class TestWholeRequest:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b" ", (400, "not_json")),
            (b"nonsense", (400, "not_json")),
            (b"[", (400, "not_json")),
            (b"[1,]", (400, "not_json")),
            (b"[NaN", (400, "not_json")),
            (b"[NaN] []", (400, "not_json")),
            (b"[NaN 1]", (400, "not_json")),
            (b"[" * 200_000, (400, "not_json")),
            (b"[]", (400, "empty_batch")),
            (b" [ ] ", (400, "empty_batch")),
            (b"{}", (400, "not_an_array")),
            (b'{"a":NaN}', (400, "not_an_array")),
            (b"3", (400, "not_an_array")),
        ],
    )
    def test_no_batch(self, app: App, body: bytes, expected: tuple[int, str]) -> None:
        """What is no JSON array of events is a 400 that says why."""
        assert refusal(app.post(body)) == expected

    def test_1000_events_and_1001(self, app: App) -> None:
        """A thousand events are taken, one more is not."""
        batch = [thumb() for _ in range(limits.MAX_BATCH_EVENTS + 1)]

        assert refusal(app.post(batch)) == (413, "too_many_events")
        assert refusal(app.post(json.dumps(batch).encode()[:-1] + b",NaN]")) == (413, "too_many_events")
        assert app.post(batch[:-1]).json["accepted"] == limits.MAX_BATCH_EVENTS

    def test_body_too_large(self, app: App) -> None:
        """The limit on the body as sent is named."""
        response = app.post(b" " * (limits.MAX_BODY_BYTES + 1))

        assert refusal(response) == (413, "body_too_large")
        assert str(limits.MAX_BODY_BYTES) in response.json["error"]["message"]
        assert refusal(app.post(b" " * limits.MAX_BODY_BYTES)) == (400, "not_json")

    @pytest.mark.parametrize(
        "authorization",
        [None, "", "Bearer", "Bearer ", "Bearer nonsense", "Basic eDp5", "Bearer tlk_abcdefgh_" + "x" * 43],
    )
    def test_bad_key(self, app: App, authorization: str | None) -> None:
        """Without a valid key nothing is looked at."""
        headers = {} if authorization is None else {"Authorization": authorization}
        response = app.client.post("/v1/events", data=b"nonsense", headers=headers, content_type="application/json")

        assert refusal(response) == (401, "bad_key")
        assert response.headers["WWW-Authenticate"] == "Bearer"

    def test_wrong_secret_of_a_known_id(self, app: App) -> None:
        """The id alone opens nothing."""
        assert refusal(app.post([thumb()], key=app.key[:-2] + "xx")) == (401, "bad_key")

    def test_method(self, app: App) -> None:
        """Only POST, and the answer says so."""
        response = app.client.get("/v1/events")

        assert refusal(response) == (405, "method_not_allowed")
        assert response.headers["Allow"] == "POST"

    def test_media_type(self, app: App) -> None:
        """Only JSON; parameters do not matter."""
        headers = {"Authorization": f"Bearer {app.key}"}
        body = json.dumps([thumb()])

        wrong = app.client.post("/v1/events", data=body, headers=headers, content_type="text/plain")
        right = app.client.post(
            "/v1/events", data=body, headers=headers, content_type="Application/JSON; charset=utf-8"
        )

        assert refusal(wrong) == (415, "unsupported_media_type")
        assert right.status_code == 200

    def test_too_many_bytes_in_flight(self, make_app: Callable[..., App]) -> None:
        """Beyond the cap the answer is "later", and what was held is given back."""
        app = make_app(max_inflight_bytes=2_000)

        response = app.post([thumb(comment="x" * 3_000)])

        assert refusal(response) == (503, "unavailable")
        assert response.headers["Retry-After"] == "1"
        assert [app.post([thumb(comment="x" * 1_000)]).status_code for _ in range(3)] == [200, 200, 200]

    def test_too_many_requests_at_a_time(self, make_app: Callable[..., App]) -> None:
        """Requests beyond the cap are told to come back while one is under way."""
        app = make_app(threads=1)
        inner: list[Any] = []
        app.writer.on_append = lambda: inner.append(app.client.application.test_client().post(
            "/v1/events", json=[thumb()], headers={"Authorization": f"Bearer {app.key}"}
        ))  # fmt: skip

        assert app.post([thumb()]).status_code == 200
        assert refusal(inner[0]) == (503, "unavailable")


class TestGzip:
    def test_one_and_two_members(self, app: App) -> None:
        """A gzip body may have several members."""
        body = json.dumps([thumb()]).encode()

        assert app.post(gzip.compress(body), **GZIP).json["verdicts"] == ["accepted"]
        body = json.dumps([thumb()]).encode()
        assert app.post(gzip.compress(body[:20]) + gzip.compress(body[20:]), **GZIP).json["accepted"] == 1

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda body: body + b"garbage",
            lambda body: body[:-4],
            lambda body: body[:15],
            lambda body: body + body[:9],
            lambda body: b"not gzip at all",
            lambda body: body[:-8] + b"\0" * 8,
            lambda body: gzip.compress(b"") * 50 + body,
        ],
    )
    def test_spoilt(self, app: App, spoil: Callable[[bytes], bytes]) -> None:
        """Anything but whole gzip members is refused."""
        body = spoil(gzip.compress(json.dumps([thumb()]).encode()))

        assert refusal(app.post(body, **GZIP)) == (400, "bad_gzip")

    def test_bomb(self, app: App) -> None:
        """Inflating stops at the limit: the memory taken is that of the limit, not of the bomb."""
        squeeze = zlib.compressobj(9, wbits=31)
        zeros = b" " * 1024 * 1024
        bomb = b"".join([squeeze.compress(zeros) for _ in range(1024)]) + squeeze.flush()
        assert len(bomb) < limits.MAX_BODY_BYTES

        response = app.post(bomb, **GZIP)

        assert refusal(response) == (413, "inflated_too_large")
        assert str(limits.MAX_INFLATED_BYTES) in response.json["error"]["message"]

    def test_inflated_bytes_count_as_in_flight(self, make_app: Callable[..., App]) -> None:
        """A small body that becomes a large one counts as the large one."""
        app = make_app(max_inflight_bytes=2 * 1024 * 1024)

        assert refusal(app.post(gzip.compress(b" " * 3 * 1024 * 1024), **GZIP)) == (503, "unavailable")

    def test_other_encoding(self, app: App) -> None:
        """Only gzip."""
        assert refusal(app.post(b"x", Content_Encoding="br")) == (415, "unsupported_encoding")


BAD: dict[str, tuple[bytes, str]] = {
    "very deep": (thumb_json('"properties":{"a":' + "[" * 100_000 + "]" * 100_000 + "}"), "properties"),
    "deep objects": (thumb_json('"mood":' + '{"a":' * 100_000 + "1" + "}" * 100_000), "mood"),
    "key twice": (thumb_json('"value":"down"'), "value"),
    "key twice, escaped": (thumb_json(r'"\u0076alue":"down"'), "value"),
    "key twice, spaced": (thumb_json('"value" \n:"down"'), "value"),
    "key twice, ending in a backslash": (thumb_json(r'"properties":{"a\\\\":1,"a\\\\":2}'), "properties.?"),
    "key twice inside": (thumb_json('"properties":{"a":{"b":1,"b":2}}'), "properties.a.b"),
    "key twice in the rater": (thumb_json('"comment":"x","rater":{"id":"r","id":"s"}'), "rater"),
    "too large": (thumb_json('"mood":"' + "x" * limits.MAX_EVENT_BYTES + '"'), ""),
    "no object": (b"[1,2]", ""),
    "null": (b"null", ""),
    "not in an optional field": (
        thumb_json('"comment":"a\\u0000b","value":"maybe"').replace(b'"value": "up", ', b""),
        "value",
    ),
    "unknown kind": (b'{"kind":"applause"}', "kind"),
}


# Name -> the event's own part, and what becomes of the field; MISSING where it is left out.
MISSING: Any = object()
ODD: dict[str, tuple[bytes, str, Any]] = {
    "NaN": (b'"properties":{"score":NaN,"n":1}', "properties", {"n": 1}),
    "Infinity": (b'"properties":{"score":[1,-Infinity]}', "properties", {"score": [1, None]}),
    "too big a float": (b'"properties":{"score":1e999}', "properties", {}),
    "NaN in an unknown field": (b'"mood":NaN', "mood", MISSING),
    "lone surrogate": (rb'"comment":"\ud83d"', "comment", "\ufffd"),
    "low surrogate": (rb'"comment":"\ude00x"', "comment", "\ufffdx"),
    "surrogate in a key": (rb'"properties":{"\ud83d":1}', "properties", {"\ufffd": 1}),
    "surrogate as bytes": (b'"comment":"\xed\xa0\xbd"', "comment", 3 * "\ufffd"),
    "no UTF-8": (b'"properties":{"a":"\xff"}', "properties", {"a": "\ufffd"}),
    "NUL": (rb'"comment":"a\u0000b"', "comment", "a\ufffdb"),
    "NUL in a key": (rb'"properties":{"a\u0000":1}', "properties", {"a\ufffd": 1}),
    "NUL in an id": (rb'"conversation_id":"a\u0000"', "conversation_id", "a\ufffd"),
    "raw NUL": (b'"comment":"a\0b"', "comment", "a\ufffdb"),
    "integer beyond 64 bits": (b'"properties":{"n":18446744073709551616}', "properties", {"n": "18446744073709551616"}),
    "negative beyond 64 bits": (
        b'"properties":{"n":-9223372036854775809}',
        "properties",
        {"n": "-9223372036854775809"},
    ),
    "5,000 digits": (b'"properties":{"n":' + b"9" * 5_000 + b"}", "properties", {}),
    "no object": (b'"properties":[1]', "properties", MISSING),
    "null": (b'"properties":null', "properties", MISSING),
    "too many": (
        b'"properties":{' + b",".join(b'"k%d":1' % n for n in range(70)) + b"}",
        "properties",
        {f"k{n}": 1 for n in range(limits.MAX_PROPERTIES)},
    ),
    "one tag": (b'"tags":"wrong"', "tags", ["wrong"]),
    "tags of all sorts": (b'"tags":["a",7,null,"",{}]', "tags", ["a", "7"]),
    "long tag": (b'"tags":["' + b"x" * 101 + b'"]', "tags", ["x" * 99 + "…"]),
    "many tags": (b'"tags":["a"' + b',"a"' * 40 + b"]", "tags", ["a"] * limits.MAX_TAGS),
    "long comment": (b'"comment":"' + b"x" * 10_001 + b'"', "comment", "x" * 9_999 + "…"),
    "long label": (b'"app":"' + b"x" * 300 + b'"', "app", "x" * 199 + "…"),
    "long id": (b'"conversation_id":"' + b"x" * 300 + b'"', "conversation_id", MISSING),
    "odd consent": (b'"training_consent":true', "training_consent", "denied"),
    "sequence": (b'"sequence":-1', "sequence", MISSING),
}


class TestStrict:
    @pytest.mark.parametrize("name", BAD)
    def test_bad_event_costs_only_itself(self, app: App, name: str) -> None:
        """What parsers disagree about is rejected with the field named; the neighbours are stored."""
        bad, field = BAD[name]
        first, last = thumb(), thumb()

        answer = app.post(array(json.dumps(first).encode(), bad, json.dumps(last).encode())).json

        assert answer["verdicts"] == ["accepted", "rejected", "accepted"]
        assert field in [problem["field"] for problem in answer["errors"][0]["problems"]]
        assert app.events == [first, last]

    @pytest.mark.parametrize("others", [0, 99])
    @pytest.mark.parametrize("name", ODD)
    def test_an_optional_field_never_costs_a_vote(self, app: App, name: str, others: int) -> None:
        """It gets the nearest form that all can read, or is left out; the neighbours keep their bytes."""
        inside, field, kept = ODD[name]
        good = [json.dumps(thumb(comment="x" * 200)).encode() for _ in range(others)]

        assert app.post(array(thumb_json(inside), *good)).json["accepted"] == others + 1

        assert app.events[0].get(field, MISSING) == kept
        assert app.events[0]["value"] == "up"
        parse_event(json.dumps(app.events[0]))
        label = field if field != "mood" else "other"
        assert f'thumbline_collector_changed_total{{field="{label}"}} 1.0' in app.client.get("/metrics").text
        assert [record.value.partition(b'"event":')[2][:-1] for record in app.writer.records[1:]] == good

    def test_what_is_nested_too_deeply_is_cut(self, app: App) -> None:
        deep = thumb_json('"properties":{"a":' + "[" * 64 + "]" * 64 + "}")

        assert app.post(array(deep)).json["accepted"] == 1
        assert json.dumps(app.events[0]["properties"]).count("[") < limits.MAX_DEPTH

    def test_half_of_a_scale_is_left_out(self, app: App) -> None:
        """A pick counts without its strength."""
        pick = thumb(kind="pick", target_id="c", outcome="winner", winner_id="a")
        del pick["value"]
        events = [
            pick | {"event_id": uuid7()} | more for more in ({"strength": 4}, {"strength": 1, "scale": 5}, {"scale": 9})
        ]

        assert app.post(events).json["accepted"] == 3
        assert all(not event.keys() & {"strength", "scale"} for event in app.events)

    def test_a_prompt_whose_author_cannot_be_kept_trains_nothing(self, app: App) -> None:
        """Nobody's withdrawal would reach it."""
        event = thumb(
            kind="completion", completion_id="a", model="m", messages=[], response={"role": "assistant", "content": "x"},
            author=7, training_consent="granted",
        )  # fmt: skip

        assert app.post([event]).json["accepted"] == 1
        assert "author" not in app.events[0]
        assert app.events[0]["training_consent"] == "denied"

    @pytest.mark.parametrize("name", BAD)
    def test_neighbours_in_a_large_batch(self, app: App, name: str) -> None:
        """The same among 99 others, where the body is looked through in another way."""
        bad, _ = BAD[name]
        good = [json.dumps(thumb(comment="x" * 200)).encode() for _ in range(99)]

        answer = app.post(array(*good[:50], bad, *good[50:])).json

        assert (answer["accepted"], answer["rejected"]) == (99, 1)
        assert answer["verdicts"][50] == "rejected"

    @pytest.mark.parametrize(
        "inside",
        [
            r'"comment":"\\u0000"',
            r'"comment":"\ud83d\ude00"',
            r'"comment":"{\"a\": 1, \"a\": 2}"',
            '"comment":"Voici : une phrase : avec des espaces"',
            r'"comment":"\"quoted\" : text"',
            r'"properties":{"a\\":1,"a":2}',
            r'"properties":{"a\"":1,"a\\\"":2}',
            '"properties":{"a":' + "[" * 62 + "]" * 62 + "}",
            '"comment":"' + "[" * 500 + '"',
            '"properties":{"n":18446744073709551615,"m":-9223372036854775808,"x":1e308}',
            '"properties" : {"a" : {"b" : [{"c" : 1}, {"c" : 2}]}}',
            '"mood":{"a":[{"b":1},{"b":1}]},"model_extra":{"x":1},"targets":{"targets":1}',
        ],
    )
    @pytest.mark.parametrize("others", [0, 99])
    def test_what_only_looks_bad(self, app: App, inside: str, others: int) -> None:
        """Text that resembles a fault is accepted, alone and in a large batch."""
        good = [json.dumps(thumb()).encode() for _ in range(others)]

        assert app.post(array(thumb_json(inside), *good)).json["accepted"] == others + 1

    def test_message_parts_count(self, app: App) -> None:
        """Keys inside messages, parts, tools and sampling are all counted: no event of this kind is slow."""
        event = thumb() | {
            "kind": "completion", "completion_id": "a", "model": "m", "sampling": {"t": {"x": 1}},
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}],
            "response": {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "f": {"a": "b"}}]},
        }  # fmt: skip
        raw = json.dumps(event).encode()
        repeated = raw.replace(b'"url": "u"', b'"url": "u", "url": "v"')

        answer = app.post(array(raw, repeated)).json

        assert answer["verdicts"] == ["accepted", "rejected"]
        assert answer["errors"][0]["problems"][0]["field"] == "messages.0.content.0.image_url.url"

    def test_many_numbers(self, app: App) -> None:
        """Millions of tiny elements are refused without millions of objects."""
        assert refusal(app.post(b"[" + b"0," * 2_400_000 + b"0]")) == (413, "too_many_events")


def test_seven_bad_among_hundred(app: App) -> None:
    """Bad events of several sorts cost as many events; the answer says which field of which."""
    events = [json.dumps(thumb(target_id=str(n))).encode() for n in range(100)]
    sorts = [
        "very deep",
        "key twice",
        "too large",
        "null",
        "unknown kind",
        "key twice inside",
        "not in an optional field",
    ]
    for place, name in enumerate(sorts):
        events[place * 13] = BAD[name][0]

    answer = app.post(array(*events)).json

    assert (answer["accepted"], answer["rejected"]) == (93, 7)
    assert [error["index"] for error in answer["errors"]] == [place * 13 for place in range(7)]
    assert [error["problems"][0]["field"] for error in answer["errors"]] == [BAD[name][1] for name in sorts]
    assert {int(event["target_id"]) for event in app.events} == set(range(100)) - {place * 13 for place in range(7)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*KINDS, "up", "winner"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from([*thumb()]), inner, max_size=6)
    ),
    max_leaves=30,
)
ALMOST = st.builds(
    lambda more: thumb() | more, st.dictionaries(st.sampled_from([*thumb(), "properties", "tags"]), JSON)
)


class TestAnything:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(body=JSON | st.lists(JSON | ALMOST, min_size=1, max_size=5))
    def test_any_json_has_an_answer(self, app: App, body: Any) -> None:
        """Any JSON, and what Python writes beyond it, is a 200 with a verdict for each or a 400."""
        response = app.post(json.dumps(body).encode())

        assert response.status_code in (200, 400)
        if response.status_code == 200:
            assert len(response.json["verdicts"]) == len(body)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(noise=st.binary(max_size=40), cut=st.integers(0, 400), gz=st.booleans())
    def test_any_bytes_have_an_answer(self, app: App, noise: bytes, cut: int, gz: bool) -> None:
        """Spoilt bytes, compressed or not, are never a 500, and what is accepted is plain JSON."""
        raw = json.dumps([thumb(), thumb(properties={"a": [1, "x"]})]).encode()
        spoilt = raw[:cut] + noise + raw[cut + len(noise) :]

        response = app.post(gzip.compress(spoilt), **GZIP) if gz else app.post(spoilt)

        assert response.status_code in (200, 400)
        for event in app.events[-2:]:
            json.dumps(event, allow_nan=False).encode()
