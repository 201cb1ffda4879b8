"""What each method says, checked against the contract."""

import copy
import hashlib
import hmac
import json
import logging
import math
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thumbline
from thumbline import Answer, Conversation, Pair, Rater, testing
from thumbline.events import EVENT_ADAPTER, KINDS
from thumbline.testing import RecordingClient, RecordingTransport, record

MESSAGES = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def tl():
    with record() as client:
        yield client


def last(tl):
    """The event recorded last, checked against the contract."""
    event = tl.events[-1]
    EVENT_ADAPTER.validate_json(json.dumps(event))
    return event


def say_everything(tl, answer, other, pair):
    """One call of each method but those that make handles."""
    tl.thumb(answer, "down", rater="u", tags=["wrong"], comment="no")
    tl.pick(pair, other, rater="u", strength=4, scale=5)
    tl.exposure(answer, rater="u", state="seen")
    tl.rating(answer, 4, rater="u")
    tl.ranking(pair, [other, [answer]], rater="u")
    tl.edit(answer, "better", rater="u")
    tl.mark(answer, 0, 2, rater="u", text="text", tags=["wrong"])
    tl.signal(answer, "copy", rater="u")
    tl.consent("u", "granted")


def test_every_kind_is_valid(tl):
    """Each method's event passes the contract."""
    answer = tl.completion(messages=MESSAGES, response="text", model="m")
    other = tl.completion(messages=MESSAGES, response="other", model="m")
    say_everything(tl, answer, other, tl.comparison([answer, other]))

    for event in tl.events:
        EVENT_ADAPTER.validate_json(json.dumps(event))
    assert set(KINDS) == {event["kind"] for event in tl.events}


def test_every_kind_takes_the_hosts_own_ids(tl):
    """Plain ids do wherever handles do."""
    tl.completion(messages=MESSAGES, response="text", model="m", completion_id="a", parent="z")
    pair = tl.comparison(["a", "b"], comparison_id="c")
    say_everything(tl, "a", "b", "c")

    assert ("c", {"a", "b"}) == (pair.comparison_id, set(pair.order))
    targets = {event["kind"]: event.get("target_id") for event in tl.events if "target_id" in event}
    assert targets == {
        "thumb": "a",
        "pick": "c",
        "exposure": "a",
        "rating": "a",
        "ranking": "c",
        "edit": "a",
        "mark": "a",
        "signal": "a",
    }
    assert tl.events_of("pick")[0]["winner_id"] == "b"
    assert tl.events_of("ranking")[0]["ranks"] == [["b"], ["a"]]
    assert tl.events_of("completion")[0]["parent_id"] == "z"


@pytest.mark.parametrize("own_id", [7, UUID(int=7), "7"])
def test_primary_keys_do_as_ids(tl, own_id):
    """Numbers and UUIDs become text."""
    tl.thumb(own_id, "up", rater=own_id)

    assert str(own_id) == last(tl)["target_id"]


def test_a_completion_in_full(tl):
    """Everything that can be said about an answer."""
    parent = Answer("p")
    answer = tl.completion(
        messages=MESSAGES,
        response={"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]},
        model="m",
        policy="m@1",
        tools=[{"type": "function"}],
        sampling={"temperature": 0.7},
        latency_ms=12.5,
        turn=3,
        parent=parent,
        author="u",
        conversation_id="c",
    )
    event = last(tl)

    assert (answer.conversation_id, answer.text) == ("c", None)
    assert event["conversation_id"] == "c"
    assert event["response"] == {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}
    assert (event["policy"], event["latency_ms"], event["turn"], event["parent_id"]) == ("m@1", 12.5, 3, "p")
    assert event["sampling"] == {"temperature": 0.7}


def test_messages_are_kept_unchanged(tl):
    """Parts, tool calls, nulls and fields that nobody knows arrive as they were given."""
    messages = [
        {"role": "system", "content": "s", "name": None},
        {
            "role": "user",
            "content": [{"type": "text", "text": "é"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"arguments": "{}"}}],
            "x": [1, None],
        },
        {"role": "tool", "tool_call_id": "1", "content": "21"},
    ]
    tl.completion(messages=messages, response="r", model="m")

    assert messages == last(tl)["messages"]


def test_messages_are_a_snapshot():
    """What the host does to its list after the call does not change the event."""
    transport = RecordingTransport()
    client = thumbline.Client("http://x", key="k", transport=transport, spool=None, flush_interval_s=30)
    messages = [{"role": "user", "content": [{"type": "text", "text": "before"}]}]
    properties, tags = {"a": [1]}, ["t"]
    before = copy.deepcopy(messages)
    client.completion(messages=messages, response="r", model="m", properties=properties)
    client.thumb("a", "up", rater="u", tags=tags)
    messages[0]["content"][0]["text"] = "after"
    messages.append({"role": "user", "content": "more"})
    properties["a"].append(2)
    tags.append("later")
    client.close(5)

    completion, thumb = transport.accepted.values()
    assert before == completion["messages"]
    assert completion["properties"] == {"a": [1]}
    assert thumb["tags"] == ["t"]


def test_messages_of_a_model_library_are_taken(tl):
    """Objects with `model_dump`, as the `openai` package returns them."""

    class Message:
        def model_dump(self, **how):
            return {"role": "assistant", "content": "from an object"}

    answer = tl.completion(messages=MESSAGES, response=Message(), model="m")

    assert "from an object" == last(tl)["response"]["content"] == answer.text


@pytest.mark.parametrize("count", [2, 3])
def test_orders_are_drawn_alike(count):
    """Each of the N! orders comes up as often, with the probability that is recorded."""
    with record() as tl:
        ids = [f"a{i}" for i in range(count)]
        pairs = [tl.comparison(ids) for _ in range(600)]
        orders = Counter(pair.order for pair in pairs)

        assert math.factorial(count) == len(orders)
        assert min(orders.values()) > 600 / math.factorial(count) / 2
        assert {1 / math.factorial(count)} == {pair.probability for pair in pairs}
        assert list(pairs[-1].order) == last(tl)["completion_ids"]


def test_an_order_of_the_hosts_own(tl):
    """The host drew it, and says or does not say how."""
    pair = tl.comparison(["a", "b"], order=["b", Answer("a")], probability=0.5)
    assert pair.order == ("b", "a")
    assert last(tl)["probability"] == 0.5

    pair = tl.comparison(["a", "b"], order=["b", "a"])
    assert pair.probability is None
    assert "probability" not in last(tl)


@pytest.mark.parametrize("outcome", ["tie", "both_bad", "skip", "retracted"])
def test_outcomes_without_a_winner(tl, outcome):
    """Words are outcomes."""
    tl.pick("c", outcome, rater="u")

    assert outcome == last(tl)["outcome"]
    assert "winner_id" not in last(tl)


@pytest.mark.parametrize("how", [{"winner": "tie"}, {"choice": Answer("tie")}])
def test_an_answer_may_be_called_tie(tl, how):
    """By keyword or handle the id of an answer is never an outcome."""
    tl.pick("c", rater="u", **how)

    assert (last(tl)["outcome"], last(tl)["winner_id"]) == ("winner", "tie")


def test_the_conversation_comes_from_the_handle(tl):
    """Of the answer, the pair or the conversation, unless the call says another."""
    answer = tl.completion(messages=MESSAGES, response="r", model="m", conversation_id="c")
    pair = tl.comparison([answer, "b"])
    tl.pick(pair, answer, rater="u")
    assert "c" == last(tl)["conversation_id"] == pair.conversation_id
    tl.thumb(answer, "up", rater="u", conversation_id="other")
    assert last(tl)["conversation_id"] == "other"
    tl.rating(Conversation("c2"), 5, rater="u")
    assert (last(tl)["conversation_id"], last(tl)["target_id"], last(tl)["target_type"]) == (
        "c2",
        "c2",
        "conversation",
    )
    tl.exposure(Pair("p"), rater="u")
    assert (last(tl)["target_type"], last(tl)["target_id"]) == ("comparison", "p")


def test_opinions_are_taken_back(tl):
    """`retracted` is a value of every opinion that has an opposite."""
    tl.thumb("a", "retracted", rater="u")
    assert last(tl)["value"] == "retracted"
    tl.rating("a", "retracted", rater="u")
    assert last(tl)["score"] is None
    tl.rating("a", None, rater="u")
    assert last(tl)["score"] is None
    tl.ranking("c", "retracted", rater="u")
    assert last(tl)["ranks"] == []


def test_a_mark_hashes_the_text(tl):
    """The handle's text, or the one that is passed; neither is sent."""
    expected = hashlib.sha256("Grüße".encode()).hexdigest()
    answer = tl.completion(messages=MESSAGES, response="Grüße", model="m")
    tl.mark(answer, 0, 5, rater="u")
    assert expected == last(tl)["text_sha256"]
    tl.mark("a", 0, 5, rater="u", text="Grüße")
    assert expected == last(tl)["text_sha256"]
    assert "Gr" not in json.dumps(last(tl), ensure_ascii=False)
    with pytest.raises(thumbline.InvalidEvent, match="text_sha256: needs"):
        tl.mark("a", 0, 5, rater="u")
    with pytest.raises(thumbline.InvalidEvent, match="end: must be within"):
        tl.mark(answer, 0, 6, rater="u")


def test_common_arguments(tl):
    """Every method takes them; the client's settings are the defaults."""
    when = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    event_id = tl.thumb(
        "a",
        "up",
        rater="u",
        event_id="row-17",
        occurred_at=when,
        app="x",
        surface="web",
        app_version="1",
        training_consent="granted",
        properties={"k": None},
    )
    event = last(tl)

    assert event_id == tl.thumb("b", "up", rater="u", event_id="row-17") == event["event_id"]
    assert event_id == thumbline._ids.event_id_from("row-17", "thumb")
    assert when == datetime.fromisoformat(event["occurred_at"])
    assert (
        event["app"],
        event["surface"],
        event["app_version"],
        event["training_consent"],
        event["properties"],
    ) == ("x", "web", "1", "granted", {"k": None})


@pytest.mark.parametrize("own", [17, "row-17", UUID("0f8fad5b-d9cb-469f-a165-70867728950e")])
def test_one_own_key_for_an_answer_its_vote_and_its_edit_makes_three_events(own):
    """The row of a host's table that holds all three has one key."""
    with record() as tl:
        answer = tl.completion(messages=[], response="a", model="m", event_id=own)
        returned = [tl.thumb(answer, "up", rater="u", event_id=own), tl.edit(answer, "b", rater="u", event_id=own)]
        again = tl.thumb(answer, "up", rater="u", event_id=own)

        assert [event["kind"] for event in tl.events] == ["completion", "thumb", "edit"]
        assert returned == [event["event_id"] for event in tl.events[1:]]
        assert returned[0] == again
        # What a method has returned is an id already, also for an event of another kind.
        assert again == tl.signal(answer, "copy", event_id=again)


def test_the_id_of_an_event_that_failed_is_the_one_that_it_would_have_had():
    drops = []
    with thumbline.Client("http://x", "k", transport=RecordingTransport(), on_drop=drops.append) as tl:
        good = tl.thumb("a", "up", rater="u", event_id="row-17")
        failed = tl.thumb(object(), "up", rater="u", event_id="row-17")

    assert good == failed == drops[0].event_id


def test_defaults_come_from_the_client():
    """What the call does not say."""
    with RecordingClient(app="x", surface="web", app_version="2", training_consent="denied") as tl:
        tl.thumb("a", "up", rater="u")
        event = last(tl)

    assert (event["app"], event["surface"], event["app_version"], event["training_consent"]) == (
        "x",
        "web",
        "2",
        "denied",
    )
    assert f"thumbline-python/{thumbline.__version__}" == event["sdk"]


def test_events_say_when_and_in_which_order(tl):
    """Time is UTC, the sequence rises, ids are UUIDv7."""
    before = datetime.now(timezone.utc) - timedelta(milliseconds=1)
    for _ in range(3):
        tl.thumb("a", "up", rater="u")
    events = tl.events

    assert all(event["occurred_at"].endswith("Z") for event in events)
    assert before <= datetime.fromisoformat(events[0]["occurred_at"].replace("Z", "+00:00"))
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert all(event["event_id"][14] == "7" for event in events)


def test_people_are_pseudonyms(tl):
    """A keyed hash, the same for author and rater, the raw id nowhere."""
    tl.completion(messages=MESSAGES, response="r", model="m", author="mia@example.com")
    tl.thumb("a", "up", rater="mia@example.com")
    tl.thumb("a", "up", rater=Rater("mia@example.com", wrote_prompt=True))
    completion, plain, full = tl.events

    assert completion["author"] == plain["rater"]["id"] == full["rater"]["id"]
    assert re.fullmatch("h1:[0-9a-f]{32}", completion["author"])
    assert {"id": completion["author"], "kind": "human", "wrote_prompt": True} == full["rater"]
    assert "mia" not in json.dumps(tl.events)


def test_the_pepper_decides_the_pseudonym():
    """It is HMAC-SHA256 with the pepper; without one, with a key derived from the write key."""

    def pseudonym(**options):
        with RecordingClient(**options) as tl:
            tl.thumb("a", "up", rater="u")
            return last(tl)["rater"]["id"]

    assert "h1:" + hmac.new(b"p", b"u", "sha256").hexdigest()[:32] == pseudonym(pepper="p")
    derived = hmac.new(b"thumbline/pepper/v1", testing._KEY.encode(), "sha256").digest()
    assert "h1:" + hmac.new(derived, b"u", "sha256").hexdigest()[:32] == pseudonym()
    assert pseudonym() != pseudonym(pepper="p")


@pytest.mark.parametrize(
    "rater",
    [
        Rater("judge@1", kind="model"),
        Rater("no-links", kind="rule"),
        Rater("h1:abc", pseudonymous=True),
    ],
)
def test_what_is_nobody_in_person_is_sent_as_it_is(tl, rater):
    """Models, rules and pseudonyms."""
    tl.thumb("a", "up", rater=rater)

    assert (rater.id, rater.kind) == (last(tl)["rater"]["id"], last(tl)["rater"]["kind"])


WRONG = [
    (lambda tl: tl.thumb("a", "sideways", rater="u"), "value"),
    (lambda tl: tl.thumb("", "up", rater="u"), "target_id"),
    (lambda tl: tl.thumb(None, "up", rater="u"), "target_id"),
    (lambda tl: tl.thumb(Pair("p"), "up", rater="u"), "target_id"),
    (lambda tl: tl.thumb("a", "up", rater=""), "rater.id"),
    (lambda tl: tl.thumb("a", "up", rater=None), "rater.id"),
    (lambda tl: tl.thumb("a", "up", rater=1.5), "rater.id"),
    (lambda tl: tl.thumb("a", "up", rater=Rater("u", kind="alien")), "rater.kind"),
    (lambda tl: tl.pick("c", rater="u"), "outcome"),
    (lambda tl: tl.pick("c", "a", winner="b", rater="u"), "outcome"),
    (lambda tl: tl.pick(Pair("c", ("a", "b")), "z", rater="u"), "winner_id"),
    (lambda tl: tl.pick(Answer("a"), "tie", rater="u"), "target_id"),
    (lambda tl: tl.rating("a", 9, rater="u"), "score"),
    (lambda tl: tl.rating(Pair("p"), 4, rater="u"), "target_type"),
    (lambda tl: tl.ranking("c", ["a", "a"], rater="u"), "ranks"),
    (lambda tl: tl.comparison(["a", "a"]), "completion_ids"),
    (lambda tl: tl.comparison(["a", "b"], order=["a", "c"]), "completion_ids"),
    (
        lambda tl: tl.completion(messages=MESSAGES, response={"role": "user", "content": ""}, model="m"),
        "response.role",
    ),
    (lambda tl: tl.completion(messages=[{"role": "robot"}], response="r", model="m"), "messages.0.role"),
    (lambda tl: tl.edit("a", 7, rater="u"), "response"),
    (lambda tl: tl.signal("a", "Copy!"), "name"),
    (lambda tl: tl.consent("u", "maybe"), "training_consent"),
    (lambda tl: tl.exposure("a", rater="u", state="gone"), "state"),
]


@pytest.mark.parametrize(("call", "field"), WRONG)
def test_debug_raises_and_names_the_field(tl, call, field):
    """With `debug` a wrong event raises on the caller's thread, and is counted once."""
    with pytest.raises(thumbline.InvalidEvent) as caught:
        call(tl)

    assert field in [problem.field for problem in caught.value.problems]
    assert (tl.stats().created, tl.stats().dropped) == (1, {"invalid": 1})


@pytest.mark.parametrize("call", [call for call, _ in WRONG])
def test_without_debug_nothing_raises(call, caplog):
    """The same calls return something harmless, and are counted as dropped, once."""
    dropped = []
    transport = RecordingTransport()
    client = thumbline.Client(
        "http://x", key="k", transport=transport, spool=None, on_drop=dropped.append, flush_interval_s=0.0
    )
    result = call(client)
    assert client.flush()

    assert isinstance(result, str | Answer | Pair)
    assert [(drop.reason, bool(drop.problems)) for drop in dropped] == [("invalid", True)]
    assert (client.stats().created, client.stats().dropped) == (1, {"invalid": 1})
    if isinstance(result, str):
        assert dropped[0].event_id == result
    client.close()


def test_a_circle_is_cut(tl):
    """A message that holds itself ends where it begins again, not in a stack that overflows."""
    message = {"role": "user", "content": "x"}
    message["self"] = [message, message]
    tl.completion(messages=[message], response="r", model="m")

    assert last(tl)["messages"] == [{"role": "user", "content": "x", "self": [None, None]}]
    assert tl.stats().changed == {"messages": 1}


def test_failed_calls_return_what_the_host_can_go_on_with():
    """Handles keep the host's ids and the order given."""
    with RecordingClient(debug=False) as tl:
        answer = tl.completion(messages=MESSAGES, response="text", completion_id="mine")
        pair = tl.comparison(["a", "b"], order=["a", "z"], comparison_id="c")
        made = tl.completion()

        assert (answer.completion_id, answer.text) == ("mine", "text")
        assert (pair.comparison_id, pair.order) == ("c", ("a", "z"))
        assert made.completion_id
        assert tl.stats().dropped == {"invalid": 3}


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(object)
    | st.just(Answer("a"))
    | st.just(Pair("p"))
    | st.just(Rater("r"))
    | st.just(Rater(None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
METHODS = [
    "completion",
    "comparison",
    "thumb",
    "pick",
    "rating",
    "ranking",
    "edit",
    "mark",
    "exposure",
    "signal",
    "consent",
]
KEYWORDS = [
    "rater",
    "messages",
    "response",
    "model",
    "tags",
    "comment",
    "event_id",
    "occurred_at",
    "properties",
    "order",
    "scale",
    "text",
    "winner",
    "conversation_id",
    "completion_id",
    "author",
    "sequence",
    "kind",
    "bogus",
]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(METHODS),
            st.lists(ANYTHING, max_size=3),
            st.dictionaries(st.sampled_from(KEYWORDS), ANYTHING, max_size=4),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_nothing_raises_whatever_is_passed(calls, durable):
    """Any arguments to any method: no exception, every call counted, no defect of ours."""
    transport = RecordingTransport()
    client = thumbline.Client(
        "http://x",
        key="k",
        transport=transport,
        flush_interval_s=0.0,
        durable=durable,
        spool=thumbline.MemorySpool(),
    )
    for method, args, kwargs in calls:
        getattr(client, method)(*args, **kwargs)

    client.close(5)
    stats = client.stats()
    assert len(calls) == stats.created == stats.accounted
    assert "internal" not in stats.dropped
    for event in transport.accepted.values():
        EVENT_ADAPTER.validate_json(json.dumps(event))


def test_logs_hold_no_payload(caplog):
    """Neither values nor raw ids nor keys appear in a log line, and lines are few."""
    caplog.set_level(logging.DEBUG)
    with RecordingClient(RecordingTransport([503, ZeroDivisionError("secret-text")]), debug=False) as tl:
        for _ in range(50):
            tl.thumb("secret-answer", "secret-value", rater="secret-user", comment="secret-comment")
            tl.thumb("secret-answer", rater="secret-user", secret_keyword=1)
        tl.thumb("secret-answer", "up", rater="secret-user")
        tl.flush()

    assert "secret" not in caplog.text
    assert len([record for record in caplog.records if record.name.startswith("thumbline")]) < 10
