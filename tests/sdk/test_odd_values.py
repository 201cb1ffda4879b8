"""No optional field costs a vote: what it becomes, and that it is counted."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import math
import pathlib
import types
import uuid

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thumbline
from thumbline import limits
from thumbline.events import parse_event
from thumbline.testing import RecordingTransport, record


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int
    seen: dt.date


class Model(pydantic.BaseModel):
    when: dt.date = dt.date(2026, 11, 24)


class Named(str):
    __slots__ = ()


class Broken:
    @property
    def __dict__(self):
        raise RuntimeError

    def __iter__(self):
        raise RuntimeError


GONE = object()
# Lists by another name, and what is a list of text already.
PLAIN = (range, collections.deque, array.array, Model)
UTC = dt.timezone.utc
# A value, and what becomes of it as a property.
VALUES = [
    (dt.datetime(2026, 11, 24, 10, tzinfo=UTC), "2026-11-24T10:00:00+00:00"),
    (dt.datetime(2026, 11, 24, 10), "2026-11-24T10:00:00"),  # noqa: DTZ001
    (dt.date(2026, 11, 24), "2026-11-24"),
    (dt.time(10, 30), "10:30:00"),
    (dt.timedelta(minutes=1.5), 90.0),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (decimal.Decimal("1.5"), 1.5),
    (decimal.Decimal("0.1000000000000000000000001"), "0.1000000000000000000000001"),
    (decimal.Decimal("NaN"), GONE),
    (fractions.Fraction(1, 3), "1/3"),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (pathlib.PurePosixPath("/x"), "/x"),
    (b"bytes", "bytes"),
    (b"\xff\x00", "/wA="),
    (bytearray(b"x"), "x"),
    (memoryview(b"x"), "x"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"a"}), ["a"]),
    (collections.deque([1]), [1]),
    (range(3), [0, 1, 2]),
    (array.array("i", [1]), [1]),
    ({"a": 1}.keys(), ["a"]),
    (Point(1, dt.date(2026, 11, 24)), {"x": 1, "seen": "2026-11-24"}),
    (Model(when=dt.date(2026, 11, 24)), {"when": "2026-11-24"}),
    (np.int64(7), 7),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.array([[1, 2]]), [[1, 2]]),
    (np.float64("nan"), GONE),
    (Named("text"), "text"),
    (ipaddress.ip_address("::1"), "::1"),
    (2**64, "18446744073709551616"),
    (-(2**63) - 1, "-9223372036854775809"),
    (10**5_000, GONE),
    (math.nan, GONE),
    (math.inf, GONE),
    (1j, GONE),
    (object(), GONE),
    (print, GONE),
    (int, GONE),
    (iter([1]), GONE),
    (Broken(), GONE),
    ("nul \0 half \ud800", "nul \ufffd half \ufffd"),
    ("\ud83d\ude00", "\U0001f600"),
    ({1: "a", None: "b", (1, "x"): "d", 2.5: "e", Colour.RED: "f"}, {"1": "a", "null": "b", "1,x": "d", "2.5": "e", "red": "f"}),
    ({True: "a"}, {"true": "a"}),
    ({1: "a", "1": "b"}, {"1": "a"}),
    ({object(): 1, "kept": 2}, {"kept": 2}),
    ({"\0": 1}, {"\ufffd": 1}),
    ([1, math.nan, object()], [1, None, None]),
    ({"deep": {"er": [dt.date(2026, 11, 24)]}}, {"deep": {"er": ["2026-11-24"]}}),
]  # fmt: skip


def sent(tl):
    """The last event, which the contract takes as it was written."""
    event = tl.events[-1]
    parse_event(json.dumps(event))
    return event


@pytest.mark.parametrize(("value", "kept"), VALUES, ids=[str(place) for place in range(len(VALUES))])
def test_properties_of_many_types(value, kept):
    with record() as tl:
        tl.thumb("a", "up", rater="u", properties={"v": value, "other": 1})

        assert sent(tl)["properties"] == ({"other": 1} if kept is GONE else {"v": kept, "other": 1})
        assert tl.stats().changed == ({} if isinstance(value, PLAIN) else {"properties": 1})
        assert not tl.stats().dropped


def test_what_is_plain_is_not_changed():
    """A tuple is a list, and any mapping an object."""
    with record() as tl:
        properties = types.MappingProxyType({"t": (1, 2.5, None, True, "x"), "o": collections.OrderedDict(a=1)})
        tl.thumb("a", "up", rater="u", properties=properties, tags=("t",))

        assert sent(tl)["properties"] == {"t": [1, 2.5, None, True, "x"], "o": {"a": 1}}
        assert tl.stats().changed == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"comment": "x" * 10_001}, "x" * 9_999 + "…"),
        ({"comment": "a\0b\ud800"}, "a\ufffdb\ufffd"),
        ({"comment": 7}, "7"),
        ({"comment": Colour.RED}, "red"),
        ({"comment": ["no"]}, GONE),
        ({"tags": "wrong"}, ["wrong"]),
        ({"tags": [7, Colour.RED, None, "", "\0", object()]}, ["7", "red", "\ufffd"]),
        ({"tags": ["x" * 101] * 40}, ["x" * 99 + "…"] * limits.MAX_TAGS),
        ({"tags": 1.5}, ["1.5"]),
        ({"tags": Broken()}, GONE),
        ({"properties": [1]}, GONE),
        ({"properties": {f"k{n}": n for n in range(70)}}, {f"k{n}": n for n in range(limits.MAX_PROPERTIES)}),
        ({"app": "x" * 300}, "x" * 199 + "…"),
        ({"app": ""}, GONE),
        ({"conversation_id": 1.5}, GONE),
        ({"conversation_id": "x" * 300}, GONE),
        ({"training_consent": "yes"}, "denied"),
        ({"training_consent": False}, "denied"),
    ],
)
def test_other_fields_of_a_vote(given, kept):
    [field] = given
    with record(training_consent="granted") as tl:
        tl.thumb("a", "up", rater="u", **given)

        assert sent(tl).get(field, GONE) == kept
        assert tl.stats().changed == {field: 1}


@pytest.mark.parametrize(
    ("when", "kept"),
    [
        (dt.datetime(2026, 1, 1), None),  # noqa: DTZ001
        (dt.datetime(1969, 12, 31, tzinfo=UTC), None),
        (dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=17))), "2025-12-31T23:59:43"),
        (1_764_000_000, None),
        ("yesterday", None),
        (object(), None),
    ],
)
def test_a_time_that_is_none_is_the_time_of_the_call(when, kept):
    with record() as tl:
        tl.thumb("a", "up", rater="u", occurred_at=when)
        tl.thumb("a", "up", rater="u", occurred_at=dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))))

        said = tl.events[0]["occurred_at"]
        assert said.startswith(kept or dt.datetime.now(UTC).strftime("%Y-%m-%d"))
        assert tl.stats().changed == {"occurred_at": 1}


def test_answers_keep_what_they_can():
    with record() as tl:
        message = {"role": "user", "content": "nul \0", "at": dt.date(2026, 11, 24), "f": print, 7: 8}
        answer = tl.completion(
            messages=iter([message]), response="half \ud800", model=Colour.RED, sampling={"t": np.float32(0.5), 1: math.nan},
            tools=[{"type": "function", "x": b"y"}, print], latency_ms=dt.timedelta(seconds=1), turn=-1, parent=object(),
            author=object(), policy="p" * 300, training_consent="granted",
        )  # fmt: skip
        tl.comparison([answer, "b"], order=[answer, "b"], probability=7)
        tl.signal("a", "copy", value="much", rater=1.5)
        tl.pick("c", "a", rater="u", strength=4)
        tl.edit("a", "nul \0", rater="u")
        completion, comparison, signal, pick, edit = tl.events
        stats = tl.stats()

    assert completion["messages"] == [
        {"role": "user", "content": "nul \ufffd", "at": "2026-11-24", "7": 8},
    ]
    assert completion["response"]["content"] == "half \ufffd"
    assert completion["sampling"] == {"t": 0.5}
    assert completion["tools"] == [{"type": "function", "x": "y"}]
    assert (completion["model"], completion["latency_ms"], completion["policy"]) == ("red", 1000.0, "p" * 199 + "…")
    assert not completion.keys() & {"turn", "parent_id", "author"}
    # Nobody's withdrawal would reach this prompt.
    assert completion["training_consent"] == "denied"
    assert "probability" not in comparison
    assert not signal.keys() & {"value", "rater"}
    assert not pick.keys() & {"strength", "scale"}
    assert edit["response"]["content"] == "nul \ufffd"
    assert stats.changed["probability"] == stats.changed["strength"] == stats.changed["rater"] == 1
    assert not stats.dropped


def test_a_mark_fits_the_text_as_it_is_kept():
    """Offsets and hash are of the text without halves."""
    text = "\ud83d\ude00 a\0b \ud800"
    with record() as tl:
        answer = tl.completion(messages=[], response=text, model="m")
        tl.mark(answer, 3, 6, rater="u")
        completion, mark = tl.events

    kept = completion["response"]["content"]
    assert kept[mark["start"] : mark["end"]] == "a\ufffdb"
    assert mark["text_sha256"] == thumbline.client._sha256(kept)


def test_ids_of_odd_text_meet():
    with record() as tl:
        answer = tl.completion(messages=[], response="x", model="m", completion_id="a\0\ud800", event_id="e\ud800")
        tl.thumb(answer, "up", rater="u\ud800")
        receipt = tl.receipt(answer, rater="u\ud800")
        completion, thumb = tl.events

    assert completion["completion_id"] == thumb["target_id"] == "a\ufffd\ufffd"
    assert thumbline.receipts._parsed(receipt.split(".")[2]).target_id == "a\ufffd\ufffd"


def test_what_a_host_changes_afterwards_is_sent_as_it_was():
    """Also objects that are made plain: at once, and not when they are sent."""
    point, when = Point(1, dt.date(2026, 11, 24)), {"d": [dt.date(2026, 11, 24)]}
    transport = RecordingTransport()
    with thumbline.Client("http://x", "k", transport=transport, spool=None, flush_interval_s=60) as tl:
        tl.thumb("a", "up", rater="u", properties={"p": point, "w": when})
        point.x = 2
        when["d"].clear()

    [event] = transport.accepted.values()
    assert event["properties"] == {"p": {"x": 1, "seen": "2026-11-24"}, "w": {"d": ["2026-11-24"]}}


def test_a_required_field_is_not_guessed():
    """A vote without its value, or on nothing, is no vote, whatever else was mended."""
    with thumbline.Client("http://x", "k", transport=RecordingTransport(), spool=None) as tl:
        tl.thumb("a", "sideways", rater="u", comment="\0")
        tl.thumb("x" * 300, "up", rater="u", comment="\0")
        tl.consent("u", "maybe")
        tl.rating("a", math.nan, rater="u")
        tl.flush()
        assert tl.stats().dropped == {"invalid": 4}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9) | st.binary(max_size=5)
    | st.datetimes() | st.timedeltas() | st.decimals() | st.uuids() | st.complex_numbers() | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.sets(st.integers() | st.text(max_size=2), max_size=3)
    | st.dictionaries(st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    given=st.dictionaries(
        st.sampled_from(["properties", "comment", "tags", "app", "conversation_id", "occurred_at", "training_consent"]),
        ANYTHING,
    )
)
def test_nothing_costs_a_vote(given):
    """Whatever stands in the optional fields, the vote arrives, and the contract takes what was written."""
    with record() as tl:
        tl.thumb("a", "up", rater="u", **given)

        assert sent(tl)["value"] == "up"
        assert tl.stats().accepted == 1
