"""Receipts as a back end mints them: offline, small, and with nothing in them that a page must not know."""

import base64
import hashlib
import json
import logging
import time

import pytest

import thumbline
from thumbline import Answer, Conversation, Pair, Rater, limits, testing
from thumbline._ids import uuid7
from thumbline.receipts import KINDS_OF_TARGET, VOTE_KINDS, ReceiptRefused, read_receipt, signer_of
from thumbline.testing import ManualClock, RecordingTransport, record

NOW_S = 1_800_000_000


class NoNetwork:
    """A transport that must not be used."""

    def send(self, body, headers):
        raise AssertionError("a receipt needs no network")

    def close(self):
        pass


@pytest.fixture
def tl():
    with client() as made:
        yield made


def client(**options):
    given = {"key": testing._KEY, "transport": NoNetwork(), "spool": None, "debug": True, "clock": ManualClock(NOW_S)}
    return thumbline.Client("http://collector.test", **(given | options))


def claims(receipt):
    text = receipt.split(".")[2]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def read(receipt, now_s=NOW_S, key=testing._KEY):
    _, key_id, secret = key.split("_", 2)
    signer = signer_of(hashlib.sha256(secret.encode()).hexdigest())
    return read_receipt(receipt, {key_id: signer}.get, now_s)[1]


def test_that_a_receipt_held_once_is_not_enough(tl):
    """What was verified is remembered; its time still ends, and another key under that id refuses it."""
    receipt = tl.receipt("a", rater="r", expires_in_s=60)
    key_id = receipt.split(".")[1]
    ours, other = (
        signer_of(hashlib.sha256(secret).hexdigest()) for secret in (testing._KEY.split("_", 2)[2].encode(), b"other")
    )
    assert read_receipt(receipt, {key_id: ours}.get, NOW_S) == read_receipt(receipt, {key_id: ours}.get, NOW_S)

    with pytest.raises(ReceiptRefused, match="has expired"):
        read_receipt(receipt, {key_id: ours}.get, NOW_S + 60)
    for signers in ({}, {key_id: other}):
        with pytest.raises(ReceiptRefused, match="is not valid here"):
            read_receipt(receipt, signers.get, NOW_S)
    for place in range(len(receipt) - 43, len(receipt)):
        changed = receipt[:place] + ("A" if receipt[place] != "A" else "B") + receipt[place + 1 :]
        with pytest.raises(ReceiptRefused, match="is not valid here"):
            read_receipt(changed, {key_id: ours}.get, NOW_S)


def test_what_is_minted_can_be_read(tl):
    """All that was said comes back."""
    pair = Pair("c", ("b", "a"), 0.25, "conversation")
    receipt = tl.receipt(
        pair, rater=Rater("mia", wrote_prompt=False), kinds=["ranking", "pick"], expires_in_s=60.5, app="my-chat",
        training_consent="granted",
    )  # fmt: skip

    said = read(receipt)
    assert (said.target_type, said.target_id, said.order, said.probability) == ("comparison", "c", ("b", "a"), 0.25)
    assert (said.kinds, said.issued_at, said.expires_at) == (("pick", "ranking"), NOW_S, NOW_S + 61)
    assert (said.wrote_prompt, said.conversation_id, said.app) == (False, "conversation", "my-chat")
    assert said.training_consent == "granted"
    assert receipt.split(".")[:2] == ["tlr1", "testtest"]


def test_the_rater_is_the_one_of_the_clients_votes():
    """With a pepper, without one, and where the id is a pseudonym already."""
    for options in ({}, {"pepper": "p"}):
        for rater in ("mia", 42, Rater("mia", wrote_prompt=True), Rater("h1:x", pseudonymous=True)):
            with record(**options) as tl:
                tl.thumb("a", "up", rater=rater)
                own = tl.events[0]["rater"]
                assert claims(tl.receipt("a", rater=rater))["r"] == own["id"]


def test_the_order_is_the_one_that_was_drawn():
    """The client draws and logs it; the receipt takes it from the handle."""
    with record() as tl:
        pair = tl.comparison([Answer("a"), Answer("b"), Answer("c")])
        said = claims(tl.receipt(pair, rater="mia"))
        logged = tl.events_of("comparison")[0]
    assert said["o"] == list(pair.order) == logged["completion_ids"]
    assert said["p"] == pair.probability == logged["probability"]
    assert said["i"] == logged["comparison_id"]


@pytest.mark.parametrize(
    ("target", "kinds"),
    [
        ("a", ["thumb", "exposure", "signal"]),
        (Answer("a"), ["thumb", "exposure", "signal"]),
        (Pair("c", ("a", "b")), ["pick", "exposure", "signal"]),
        (Conversation("c"), ["rating", "exposure", "signal"]),
    ],
)
def test_the_usual_kinds(tl, target, kinds):
    """What the control for such a thing sends; text from strangers only where it is asked for."""
    assert claims(tl.receipt(target, rater="mia"))["k"] == kinds


def test_every_kind_can_be_asked_for(tl):
    targets = {"completion": "a", "comparison": Pair("c", ("a", "b")), "conversation": Conversation("c")}
    for name, target in targets.items():
        for kind in KINDS_OF_TARGET[name]:
            assert claims(tl.receipt(target, rater="mia", kinds=[kind]))["k"] == [kind]
    assert {kind for kinds in KINDS_OF_TARGET.values() for kind in kinds} == set(VOTE_KINDS)


def test_settings_and_handles_fill_in_what_is_not_said():
    with client(app="my-chat", training_consent="denied") as tl:
        said = claims(tl.receipt(Answer("a", "conversation"), rater="mia"))
        assert (said["a"], said["g"], said["c"]) == ("my-chat", "denied", "conversation")
        said = claims(tl.receipt(Answer("a", "x"), rater="mia", app="y", training_consent="granted", conversation_id=7))
        assert (said["a"], said["g"], said["c"]) == ("y", "granted", "7")


def test_a_pair_takes_at_most_600_characters():
    """With UUIDs, and with everything said that can be."""
    with client(app="support-chat", training_consent="granted") as tl:
        pair = Pair(uuid7(), (uuid7(), uuid7()), 0.5, uuid7())
        kinds = KINDS_OF_TARGET["comparison"]
        assert len(tl.receipt(pair, rater=Rater("mia", wrote_prompt=False), kinds=kinds)) <= 600
        many = Pair(uuid7(), tuple(uuid7() for _ in range(limits.MAX_ANSWERS)), 1 / 20922789888000, uuid7())
        assert len(tl.receipt(many, rater="mia")) <= limits.MAX_RECEIPT_LENGTH


def test_no_text_and_no_raw_id(tl):
    """Neither the answer nor who the person is."""
    receipt = tl.receipt(Answer("a", "c", "The secret answer."), rater="mia@example.com")
    said = json.dumps(claims(receipt))
    assert "secret" not in said
    assert "mia" not in said
    assert testing._KEY.split("_", 2)[2] not in receipt + said


def test_it_is_plain_in_a_page_and_in_a_url(tl):
    receipt = tl.receipt("naïve-ид-漢", rater="mia")
    assert receipt.isascii()
    assert set(receipt) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert read(receipt).target_id == "naïve-ид-漢"


def test_the_clock_decides(tl):
    """It holds until the second in which it expires."""
    receipt = tl.receipt("a", rater="mia", expires_in_s=10)
    assert read(receipt, NOW_S - 60)
    assert read(receipt, NOW_S + 9.9)
    with pytest.raises(ReceiptRefused, match="expired"):
        read(receipt, NOW_S + 10)
    with pytest.raises(ReceiptRefused, match="not valid yet"):
        read(receipt, NOW_S - 61)


WRONG = {
    "kind of another target": ({"kinds": ["pick"]}, "kinds"),
    "unknown kind": ({"kinds": ["completion"]}, "kinds"),
    "consent": ({"kinds": ["consent"]}, "kinds"),
    "no kinds": ({"kinds": []}, "kinds"),
    "no time": ({"expires_in_s": 0}, "expires_in_s"),
    "time past": ({"expires_in_s": -1}, "expires_in_s"),
    "not a number": ({"expires_in_s": float("nan")}, "expires_in_s"),
    "too long a time": ({"expires_in_s": limits.MAX_RECEIPT_LIFE_S + 1}, "expires_in_s"),
    "no rater": ({"rater": ""}, "rater.id"),
    "no id as rater": ({"rater": None}, "rater.id"),
    "judge model": ({"rater": Rater("judge", kind="model")}, "rater.kind"),
    "long rater": ({"rater": Rater("x" * 201, pseudonymous=True)}, "rater.id"),
    "consent value": ({"training_consent": "yes"}, "training_consent"),
    "no target": ({"target": ""}, "target_id"),
    "long target": ({"target": "x" * 201}, "target_id"),
    "target is no id": ({"target": 1.5}, "target_id"),
    "pair without order": ({"target": Pair("c")}, "completion_ids"),
    "one answer": ({"target": Pair("c", ("a",))}, "completion_ids"),
    "an answer twice": ({"target": Pair("c", ("a", "a"))}, "completion_ids"),
    "probability": ({"target": Pair("c", ("a", "b"), 0.0)}, "probability"),
    "too long in all": ({"target": Pair("c", tuple(f"{n}{'x' * 190}" for n in range(16)))}, "target_id"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument(caplog, name):
    """Raises with `debug`, naming the field; without, it is logged and the receipt is empty."""
    changes, field = WRONG[name]
    given = {"target": "a", "rater": "mia"} | changes
    with client() as strict, pytest.raises(thumbline.InvalidEvent) as raised:
        strict.receipt(given.pop("target"), **given)
    assert raised.value.problems[0].field == field

    given = {"target": "a", "rater": "mia"} | changes
    with client(debug=False) as lenient, caplog.at_level(logging.WARNING):
        assert lenient.receipt(given.pop("target"), **given) == ""
        assert lenient.stats().created == 0
    assert field in caplog.text
    assert "xxx" not in caplog.text


def test_nothing_raises_into_the_host(caplog):
    with client(debug=False) as tl:
        for target in (object(), None, [], Pair("c", None)):
            assert tl.receipt(target, rater="mia") == ""
        assert tl.receipt("a", rater=object()) == ""
        assert tl.receipt("a", rater="mia", expires_in_s="soon") == ""


def test_a_key_that_is_no_write_key(caplog):
    """Nothing to sign with: no collector would know it."""
    with client(key="k", debug=False) as tl, caplog.at_level(logging.WARNING):
        assert tl.receipt("a", rater="mia") == ""
    assert "tlk_" in caplog.text
    with client(key="k") as tl, pytest.raises(thumbline.InvalidEvent, match="write key"):
        tl.receipt("a", rater="mia")


def test_doubles_mint_too():
    """A host's test sees a receipt, and no collector takes it."""
    with record() as tl:
        assert read(tl.receipt("a", rater="mia"), time.time()).target_id == "a"
        assert tl.events == []


def test_receipts_go_on_after_the_client_is_closed():
    """Nothing of it is delivered."""
    tl = client(transport=RecordingTransport())
    tl.close()
    assert tl.receipt("a", rater="mia")


def test_itsdangerous_is_loaded_with_the_first_receipt(run_python):
    """Who does not mint does not pay; who does loads no server library."""
    done = run_python(f"""
        import sys, thumbline
        from thumbline.testing import RecordingTransport
        tl = thumbline.Client("http://x", key={testing._KEY!r}, transport=RecordingTransport(), spool=None)
        tl.thumb("a", "up", rater="u")
        tl.flush()
        print("itsdangerous" in sys.modules, "thumbline.receipts" in sys.modules)
        tl.receipt("a", rater="u")
        print("itsdangerous" in sys.modules, bool({{"flask", "msgspec", "duckdb", "kafka"}} & sys.modules.keys()))
    """)
    assert done.stdout.split() == ["False", "False", "True", "False"]
