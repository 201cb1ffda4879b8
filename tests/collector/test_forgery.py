"""Receipts that somebody has tampered with, and pages that say more than they may; on a real server."""

from __future__ import annotations

import base64
import hmac
import json
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector.helpers import Server
from tests.collector.pages import (
    ORIGIN,
    Answered,
    Site,
    altered,
    backend,
    encoded,
    instant,
    parts,
    signed,
    signing_key,
    vote,
)
from thumbline._ids import uuid7
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.keys import KeyStore
from thumbline_ingest.ports import free_port

URL_SAFE = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
DAY_S = 24 * 60 * 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = CollectorSettings(
        f"sqlite:{folder / 'log.sqlite'}", folder / "keys.json", folder,
        port=free_port(), drain_s=0.1, allowed_origins=(ORIGIN,), votes_per_address=0,
    )  # fmt: skip
    server = Server(settings, KeyStore(settings.keys_path).create("demo"))
    server.start()
    site = Site(server)
    try:
        yield site
    finally:
        site.tl.close()
        server.stop()


@pytest.fixture
def target() -> str:
    """An answer of this test's own."""
    return f"answer-{uuid7()}"


@pytest.fixture
def receipt(site: Site, target: str) -> str:
    """A good receipt for it."""
    return site.receipt(target)


def keys_of(site: Site) -> KeyStore:
    return KeyStore(site.server.settings.keys_path)


def refused(site: Site, receipt: Any, **fields: Any) -> str:
    """Send a vote that must not come in; why it did not."""
    before = len(site.server.logged())
    answered = site.send(vote(receipt, **fields))
    assert answered.status == 200
    assert answered.verdicts == ["rejected"], answered.body
    assert len(site.server.logged()) == before
    return answered.problem[1]


def field_refused(answered: Answered) -> str:
    assert answered.verdicts == ["rejected"]
    return answered.problem[0]


NOT_VALID = "is not valid here"
MALFORMED = "is malformed"


def test_the_receipt_itself_is_good(site: Site, receipt: str, target: str) -> None:
    """What the other tests change comes in when it is not changed."""
    assert site.send(vote(receipt)).verdicts == ["accepted"]
    assert [event["value"] for event in site.landed(target)] == ["up"]


class TestAlteredClaims:
    def test_target(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, i="another-answer"))

    def test_target_type(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, t="conversation"))

    def test_rater(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, r="h1:" + 32 * "0"))

    def test_order(self, site: Site) -> None:
        good = site.receipt(site.pair())
        order = parts(good)[2]["o"]
        assert NOT_VALID in refused(site, altered(good, o=order[::-1]), kind="pick", outcome="tie")

    def test_order_with_one_more_answer(self, site: Site) -> None:
        good = site.receipt(site.pair())
        more = [*parts(good)[2]["o"], "mine"]
        assert NOT_VALID in refused(site, altered(good, o=more), kind="pick", outcome="winner", winner_id="mine")

    def test_probability(self, site: Site) -> None:
        good = site.receipt(site.pair())
        assert NOT_VALID in refused(site, altered(good, p=0.9), kind="pick", outcome="tie")

    def test_expiry(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, x=int(time.time()) + 29 * DAY_S))

    def test_kinds(self, site: Site, receipt: str) -> None:
        more = altered(receipt, k=["thumb", "edit"])
        assert NOT_VALID in refused(site, more, kind="edit", response={"role": "assistant", "content": "x"})

    def test_consent(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, g="granted"))

    def test_conversation(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, c="somebody-elses"))

    def test_project_as_a_claim(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, project="other"))

    def test_every_single_character(self, site: Site, receipt: str) -> None:
        """Whichever character of the receipt is replaced by another, it is refused."""
        before = len(site.server.logged())
        spoilt = []
        for place, character in enumerate(receipt):
            other = "A" if character != "A" else "B"
            spoilt.append(receipt[:place] + other + receipt[place + 1 :])
        for begin in range(0, len(spoilt), 50):
            batch = [vote(one) for one in spoilt[begin : begin + 50]]
            assert set(site.send(*batch).verdicts) == {"rejected"}
        assert len(site.server.logged()) == before


class TestKeys:
    def test_another_projects_receipt_stays_in_its_project(self, site: Site, target: str) -> None:
        """It is good there; it never votes here."""
        other = backend(keys_of(site).create("other")).receipt(target, rater="mia")
        assert site.send(vote(other)).verdicts == ["accepted"]
        reader_projects = _projects(site, target)
        assert reader_projects == ["other"]

    def test_key_id_swapped_to_another_projects_key(self, site: Site, receipt: str) -> None:
        other = backend(keys_of(site).create("other")).receipt("x", rater="mia")
        swapped = receipt.replace(parts(receipt)[1], parts(other)[1])
        assert NOT_VALID in refused(site, swapped)

    def test_key_id_swapped_to_another_key_of_the_project(self, site: Site, receipt: str) -> None:
        other = backend(keys_of(site).create("demo")).receipt("x", rater="mia")
        assert NOT_VALID in refused(site, receipt.replace(parts(receipt)[1], parts(other)[1]))

    def test_signed_with_another_projects_key(self, site: Site, receipt: str) -> None:
        other = keys_of(site).create("other")
        assert NOT_VALID in refused(site, signed(receipt, signing_key(other)))

    def test_unknown_key_id(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, receipt.replace(parts(receipt)[1], "AAAAAAAA"))

    def test_revoked_key(self, site: Site, target: str) -> None:
        key = keys_of(site).create("demo")
        once_good = backend(key).receipt(target, rater="mia")
        assert site.send(vote(once_good)).verdicts == ["accepted"]
        keys_of(site).revoke(key.split("_")[1])
        time.sleep(2.5)  # a collector follows within two seconds
        assert NOT_VALID in refused(site, once_good)

    def test_rotated_key_holds_for_its_overlap_and_no_longer(self, site: Site, target: str) -> None:
        key = keys_of(site).create("demo")
        old = backend(key).receipt(target, rater="mia")
        new_key = keys_of(site).rotate(key.split("_")[1], overlap_s=6)
        assert new_key is not None
        new = backend(new_key).receipt(target, rater="mia")
        time.sleep(1.2)
        assert site.send(vote(old), vote(new)).verdicts == ["accepted", "accepted"]
        assert len({event["rater"]["id"] for event in site.landed(target)}) == 1
        time.sleep(5.5)
        assert NOT_VALID in refused(site, old)
        assert site.send(vote(new)).verdicts == ["accepted"]
        assert site.server.post([], Authorization=f"Bearer {key}")[0] == 401

    def test_forgeries_are_all_told_the_same(self, site: Site, receipt: str) -> None:
        """Bad signature, unknown key and another project's key cannot be told apart."""
        key_id = parts(receipt)[1]
        other = keys_of(site).create("other")
        empty = hmac.digest(b"", b"thumbline/receipt/v1", "sha256")
        answers = {
            refused(site, altered(receipt, i="x")),
            refused(site, receipt.replace(key_id, "AAAAAAAA")),
            refused(site, receipt.replace(key_id, other.split("_")[1])),
            refused(site, signed(receipt, signing_key(other))),
            # A key of nobody's, and claims that would be refused for themselves if it held.
            refused(site, signed(altered(receipt.replace(key_id, "AAAAAAAA"), k=["nonsense"]), empty)),
            # Expired, were it good: a forger must not learn that either.
            refused(site, altered(receipt, x=1)),
        }
        assert len(answers) == 1

    def test_write_key_in_place_of_a_receipt(self, site: Site) -> None:
        assert "is a write key" in refused(site, site.server.key)

    def test_receipt_in_place_of_a_write_key(self, site: Site, receipt: str) -> None:
        status, answer = site.server.post([], Authorization=f"Bearer {receipt}")
        assert (status, answer["error"]["code"]) == (401, "bad_key")

    def test_signed_with_the_hash_that_the_store_holds(self, site: Site, receipt: str) -> None:
        """Neither the hash nor the secret is the signing key."""
        secret = site.server.key.split("_", 2)[2]
        [stored] = [key.sha256 for key in keys_of(site).list() if key.id == parts(receipt)[1]]
        for key in (secret.encode(), stored.encode(), bytes.fromhex(stored), b""):
            assert NOT_VALID in refused(site, signed(receipt, key))
        assert signed(receipt, signing_key(site.server.key)) == receipt


class TestTime:
    def test_expired(self, site: Site, target: str) -> None:
        old = backend(site.server.key, time.time() - 100).receipt(target, rater="mia", expires_in_s=60)
        assert "has expired" in refused(site, old)

    def test_not_yet_valid(self, site: Site, target: str) -> None:
        early = backend(site.server.key, time.time() + 3600).receipt(target, rater="mia")
        assert "not valid yet" in refused(site, early)

    def test_clocks_of_servers_may_differ_a_little(self, site: Site, target: str) -> None:
        early = backend(site.server.key, time.time() + 30).receipt(target, rater="mia")
        assert site.send(vote(early)).verdicts == ["accepted"]

    def test_a_life_beyond_the_limit(self, site: Site, receipt: str) -> None:
        """Also where the signature is good: a program of one's own may have made it."""
        version, key_id, claims, _ = parts(receipt)
        long = f"{version}.{key_id}.{encoded(claims | {'x': claims['n'] + 31 * DAY_S})}.-"
        assert "claims are not as" in refused(site, signed(long, signing_key(site.server.key)))


class TestShape:
    def test_truncated(self, site: Site, receipt: str) -> None:
        """At every length."""
        before = len(site.server.logged())
        cuts = [vote(receipt[:length]) for length in range(len(receipt))]
        for begin in range(0, len(cuts), 50):
            assert set(site.send(*cuts[begin : begin + 50]).verdicts) == {"rejected"}
        assert len(site.server.logged()) == before

    @pytest.mark.parametrize("more", ["A", "=", ".", " ", "\n", "\r\n", "\0", ".x", "\u200b", "%00"])
    def test_extended(self, site: Site, receipt: str, more: str) -> None:
        refused(site, receipt + more)
        refused(site, more + receipt)

    def test_empty(self, site: Site) -> None:
        assert "is empty" in refused(site, "")

    @pytest.mark.parametrize("value", [None, 17, True, [], {}, ["tlr1"], {"receipt": "x"}])
    def test_no_text(self, site: Site, value: Any) -> None:
        assert "is missing" in refused(site, value)

    def test_left_out(self, site: Site) -> None:
        event = vote("")
        del event["receipt"]
        answered = site.send(event)
        assert answered.problem[0] == "receipt"
        assert "is missing" in answered.problem[1]

    def test_too_long(self, site: Site, receipt: str) -> None:
        assert "is longer than" in refused(site, receipt + "A" * 2_000)

    def test_signature_of_another_receipt(self, site: Site, receipt: str) -> None:
        other = site.receipt("another")
        assert NOT_VALID in refused(site, receipt.rpartition(".")[0] + "." + other.rpartition(".")[2])

    def test_claims_of_another_receipt(self, site: Site, receipt: str) -> None:
        version, key_id, _, signature = receipt.split(".")
        assert NOT_VALID in refused(site, f"{version}.{key_id}.{site.receipt('another').split('.')[2]}.{signature}")

    def test_two_receipts_in_one(self, site: Site, receipt: str) -> None:
        refused(site, receipt + "." + receipt)
        refused(site, f"{receipt},{site.receipt('another')}")

    def test_another_version(self, site: Site, receipt: str) -> None:
        assert MALFORMED in refused(site, "tlr2" + receipt[4:])

    def test_signed_claims_of_the_wrong_type(self, site: Site, receipt: str) -> None:
        """Signed by the host's own program with the right key: refused, and nothing breaks."""
        version, key_id, claims, _ = parts(receipt)
        key = signing_key(site.server.key)
        for wrong in (
            {"i": 1},
            {"r": None},
            {"k": "thumb"},
            {"n": "1"},
            {"x": 1.5},
            {"o": ["a", "b"]},
            {"t": "x"},
            {"z": 1},
        ):
            assert refused(site, signed(f"{version}.{key_id}.{encoded(claims | wrong)}.-", key))
        for text in ("", "A", encoded({}), "bm8", "W10"):  # nothing, half a byte, no claims, no JSON, an array
            if text:
                assert refused(site, signed(f"{version}.{key_id}.{text}.-", key))


class TestAlgorithm:
    def test_none_in_a_header(self, site: Site, receipt: str) -> None:
        """As of a JWT."""
        head = encoded({"alg": "none", "typ": "JWT"})
        claims = receipt.split(".")[2]
        for text in (f"{head}.{claims}.", f"{head}.{claims}", f"tlr1.{head}.{claims}."):
            assert MALFORMED in refused(site, text)

    def test_algorithm_as_a_claim(self, site: Site, receipt: str) -> None:
        assert NOT_VALID in refused(site, altered(receipt, alg="none"))

    def test_unsigned(self, site: Site, receipt: str) -> None:
        text = receipt.rpartition(".")[0]
        for unsigned in (text, text + ".", f"{text}.{'A' * 43}", f"{text}.{'=' * 43}"):
            refused(site, unsigned)

    @pytest.mark.parametrize("digest", ["md5", "sha1", "sha224", "sha384", "sha512", "sha3_256", "blake2s"])
    def test_another_digest_with_the_right_key(self, site: Site, receipt: str, digest: str) -> None:
        """Also one of the same length."""
        refused(site, signed(receipt, signing_key(site.server.key), digest))

    def test_what_itsdangerous_does_by_default(self, site: Site, receipt: str) -> None:
        from itsdangerous import Signer

        text = receipt.rpartition(".")[0]
        refused(site, Signer(signing_key(site.server.key)).sign(text).decode())
        refused(site, Signer(site.server.key).sign(text).decode())


class TestBase64:
    """One receipt has one spelling."""

    def test_padding(self, site: Site, receipt: str) -> None:
        head, signature = receipt.rsplit(".", 1)
        for text in (f"{receipt}=", f"{head}=.{signature}", f"{head}==.{signature}="):
            assert MALFORMED in refused(site, text)

    def test_the_other_alphabet(self, site: Site, target: str) -> None:
        """`+` and `/` for `-` and `_`."""
        for n in range(200):
            good = site.receipt(target, app=f"app-{n}")
            if set("-_") & set(good.rpartition(".")[2]):
                break
        head, signature = good.rsplit(".", 1)
        assert MALFORMED in refused(site, f"{head}.{signature.translate(str.maketrans('-_', '+/'))}")

    def test_trailing_bits_of_the_signature(self, site: Site, receipt: str) -> None:
        """The last character of 32 bytes has two bits that decoders ignore."""
        last = URL_SAFE.index(receipt[-1])
        for spare in range(1, 4):
            twin = receipt[:-1] + URL_SAFE[last ^ spare]
            same = [base64.urlsafe_b64decode(text.rpartition(".")[2] + "=") for text in (receipt, twin)]
            assert same[0] == same[1]
            assert NOT_VALID in refused(site, twin)

    def test_trailing_bits_of_the_claims(self, site: Site, target: str) -> None:
        for n in range(3):  # until the claims do not fill their last group
            good = site.receipt(target, app="a" * (n + 1))
            claims = good.split(".")[2]
            if len(claims) % 4:
                break
        last = URL_SAFE.index(claims[-1])
        twin = claims[:-1] + URL_SAFE[last ^ 1]
        padding = "=" * (-len(claims) % 4)
        assert base64.urlsafe_b64decode(claims + padding) == base64.urlsafe_b64decode(twin + padding)
        assert NOT_VALID in refused(site, good.replace(claims, twin))

    def test_characters_that_decoders_skip(self, site: Site, receipt: str) -> None:
        for skipped in (" ", "\n", "\t", "!", "*"):
            assert MALFORMED in refused(site, receipt[:30] + skipped + receipt[30:])

    def test_claims_spaced_otherwise(self, site: Site, receipt: str) -> None:
        version, key_id, claims, signature = parts(receipt)
        spaced = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        assert NOT_VALID in refused(site, f"{version}.{key_id}.{spaced}.{signature}")


class TestUnicode:
    def test_look_alikes(self, site: Site, receipt: str) -> None:
        """Letters that look the same, or become the same when normalized."""
        fullwidth = "".join(chr(ord(c) + 0xFEE0) for c in receipt)
        cyrillic = receipt.replace("a", "а")
        for text in (fullwidth, cyrillic, receipt.replace(".", "。"), receipt[:-1] + "\u212a", "\ufeff" + receipt):
            assert MALFORMED in refused(site, text)

    def test_digits_of_other_scripts(self, site: Site, receipt: str) -> None:
        refused(site, receipt.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")))

    def test_lone_surrogate(self, site: Site, receipt: str, target: str) -> None:
        """In the receipt it costs its event, in text it is replaced; the neighbour keeps its own."""
        sent = [
            vote(receipt + "\ud800"),
            vote(receipt, comment="half \ud83d, nul \0"),
            vote(receipt, comment="x" * 20_000),
        ]
        answered = site.send(*sent, vote(receipt))
        assert answered.verdicts == ["rejected", "accepted", "accepted", "accepted"]
        comments = [event.get("comment") for event in site.landed(target)]
        assert comments == ["half \ufffd, nul \ufffd", "x" * 9_999 + "…", None]

    @pytest.mark.parametrize(
        "name", ["ｔarget_id", "Target_Id", "TARGET_ID", "target\u200b_id", "tаrget_id", "target_id "]
    )
    def test_names_that_look_like_the_target(self, site: Site, receipt: str, target: str, name: str) -> None:
        """DuckDB does not tell upper from lower case in names: what is not a page's field does not come in."""
        answered = site.send(vote(receipt) | {name: "another"})
        assert answered.verdicts == ["rejected"]
        assert "no field that a page may send" in answered.problem[1]
        assert site.landed(target) == []

    def test_escaped_names(self, site: Site, receipt: str, target: str) -> None:
        r"""`target\u005fid` is `target_id`."""
        raw = json.dumps(vote(receipt))[:-1] + r', "target\u005fid": "another"}'
        assert field_refused(site.post(b'{"events": [' + raw.encode() + b"]}")) == "target_id"


class TestPageSays:
    """What a page says about what the receipt says."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("target_id", "another"),
            ("target_type", "comparison"),
            ("rater", {"id": "h1:somebody"}),
            ("rater", None),
            ("project", "other"),
            ("conversation_id", "another"),
            ("training_consent", "granted"),
            ("app", "another"),
            ("order", ["a", "b"]),
            ("completion_ids", ["a", "b"]),
            ("comparison_id", "c"),
            ("probability", 0.5),
            ("author", "somebody"),
        ],
    )
    def test_is_refused_and_named(self, site: Site, receipt: str, target: str, name: str, value: Any) -> None:
        answered = site.send(vote(receipt) | {name: value})
        assert field_refused(answered) == name
        assert "comes from the receipt alone" in answered.problem[1]
        assert site.landed(target) == []

    def test_even_where_it_is_the_same(self, site: Site, receipt: str, target: str) -> None:
        assert field_refused(site.send(vote(receipt, target_id=target))) == "target_id"

    def test_nested_rater(self, site: Site, receipt: str) -> None:
        assert field_refused(site.send(vote(receipt) | {"rater": {"rater": {"id": "x"}}})) == "rater"

    def test_nested_event(self, site: Site, receipt: str) -> None:
        """An event around the event, and one inside."""
        assert site.send({"event": vote(receipt)}).verdicts == ["rejected"]
        assert site.send([vote(receipt)]).verdicts == ["rejected"]
        assert site.send(vote(receipt) | {"event": {"target_id": "another"}}).verdicts == ["rejected"]

    def test_properties_stay_properties(self, site: Site, receipt: str, target: str) -> None:
        inside = {"target_id": "another", "rater": {"id": "x"}, "receipt": "x"}
        assert site.send(vote(receipt, properties=inside)).verdicts == ["accepted"]
        [event] = site.landed(target)
        assert event["properties"] == inside
        assert event["rater"]["id"].startswith("h1:")

    def test_two_raters_on_one_receipt(self, site: Site, receipt: str, target: str) -> None:
        """Whoever sends it, it is the vote of the one for whom it was minted."""
        assert site.send(vote(receipt), vote(receipt, value="down")).verdicts == ["accepted", "accepted"]
        assert len({event["rater"]["id"] for event in site.landed(target)}) == 1

    @pytest.mark.parametrize("name", ["receipt", "value", "target_id", "event_id"])
    def test_name_that_stands_twice(self, site: Site, receipt: str, target: str, name: str) -> None:
        """Of two equal names one parser takes the first, another the last."""
        first = site.receipt("another") if name == "receipt" else "x"
        raw = (
            json.dumps({name: first})[:-1] + ", " + json.dumps(vote(receipt) | {name: vote(receipt).get(name, "y")})[1:]
        )
        answered = site.post(b'{"events": [' + raw.encode() + b"]}")
        assert answered.problem == (name, "appears more than once in its object")
        assert site.landed(target) == []

    def test_name_that_stands_twice_inside(self, site: Site, receipt: str) -> None:
        raw = json.dumps(vote(receipt))[:-1] + ', "properties": {"a": 1, "a": 2}}'
        assert field_refused(site.post(b'{"events": [' + raw.encode() + b"]}")) == "properties.a"

    def test_events_twice_in_the_body(self, site: Site, receipt: str, target: str) -> None:
        one = json.dumps([vote(receipt)])
        for body in (
            f'{{"events": {one}, "events": {one}}}',
            f'{{"events": {one}, "sent_at": "{instant()}", "sent_at": "{instant()}"}}',
            f'{{"events": {one}, "project": "other"}}',
            f'{{"events": {one}, "receipt": "x"}}',
        ):
            answered = site.post(body.encode())
            assert (answered.status, answered.body["error"]["code"]) == (400, "not_votes")
        assert site.landed(target) == []

    def test_deep_nesting(self, site: Site, receipt: str, target: str) -> None:
        deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
        raw = json.dumps(vote(receipt)).encode()[:-1] + b', "properties": ' + deep + b"}"
        answered = site.post(b'{"events": [' + raw + b"]}")
        assert answered.status == 400 or answered.verdicts == ["rejected"]
        assert site.landed(target) == []

    def test_kind_that_the_receipt_does_not_allow(self, site: Site, receipt: str) -> None:
        answered = site.send(vote(receipt, kind="edit", response={"role": "assistant", "content": "x"}))
        assert field_refused(answered) == "kind"
        assert answered.body["errors"][0]["problems"][0]["allowed"] == ["thumb", "exposure", "signal"]

    @pytest.mark.parametrize(
        "kind", ["completion", "comparison", "consent", "dance", "Thumb", "thumb\u200b", None, ["thumb"], {}]
    )
    def test_kind_that_no_page_may_send(self, site: Site, receipt: str, kind: Any) -> None:
        assert field_refused(site.send(vote(receipt) | {"kind": kind})) == "kind"


class TestPick:
    def test_winner_outside(self, site: Site) -> None:
        answered = site.send(vote(site.receipt(site.pair()), "pick", outcome="winner", winner_id="another"))
        assert field_refused(answered) == "winner_id"

    def test_winner_of_another_comparison(self, site: Site) -> None:
        one, other = site.pair(), site.pair()
        answered = site.send(vote(site.receipt(one), "pick", outcome="winner", winner_id=other.order[0]))
        assert field_refused(answered) == "winner_id"

    def test_the_comparison_itself_as_winner(self, site: Site) -> None:
        pair = site.pair()
        answered = site.send(vote(site.receipt(pair), "pick", outcome="winner", winner_id=pair.comparison_id))
        assert field_refused(answered) == "winner_id"

    def test_ranking_of_other_answers(self, site: Site) -> None:
        pair = site.pair()
        receipt = site.receipt(pair, kinds=["ranking"])
        answered = site.send(vote(receipt, "ranking", ranks=[[pair.order[0]], ["another"]]))
        assert field_refused(answered) == "ranks"
        assert site.send(vote(receipt, "ranking", ranks=[[one] for one in pair.order])).verdicts == ["accepted"]

    @pytest.mark.parametrize("winner", [None, 17, ["a"], {"id": "a"}])
    def test_winner_that_is_no_id(self, site: Site, winner: Any) -> None:
        answered = site.send(vote(site.receipt(site.pair()), "pick", outcome="winner", winner_id=winner))
        assert field_refused(answered) == "winner_id"


class TestElsewhere:
    def test_receipt_in_a_server_batch(self, site: Site, receipt: str, target: str) -> None:
        """A back end that passes a page's event on with its write key would vouch for what nobody checked."""
        event = vote(receipt) | {"target_id": target, "rater": {"id": "h1:x"}}
        status, answer = site.server.post(
            [event, {k: v for k, v in event.items() if k != "receipt"} | {"event_id": uuid7()}]
        )
        assert (status, answer["verdicts"]) == (200, ["rejected", "accepted"])
        [problem] = answer["errors"][0]["problems"]
        assert problem["field"] == "receipt"
        assert "/v1/votes" in problem["message"]

    def test_write_key_opens_no_votes(self, site: Site) -> None:
        """A key in the header is no receipt, and not asked for."""
        event = vote("") | {"target_id": "x"}
        del event["receipt"]
        assert site.send(event, Authorization=f"Bearer {site.server.key}").problem[0] == "receipt"

    def test_id_of_a_back_ends_event_cannot_be_taken(self, site: Site, receipt: str, target: str) -> None:
        """A page that knows the id of an event to come must not make that one a repeat."""
        coming = {
            "kind": "thumb", "event_id": uuid7(), "occurred_at": instant(), "target_id": target,
            "rater": {"id": "h1:somebody"}, "value": "down",
        }  # fmt: skip
        assert site.send(vote(receipt, event_id=coming["event_id"])).verdicts == ["accepted"]
        assert site.server.post([coming])[1]["verdicts"] == ["accepted"]

    def test_id_of_another_raters_vote_cannot_be_taken(self, site: Site, receipt: str, target: str) -> None:
        theirs = vote(site.receipt(target, rater="zoe"))
        assert site.send(vote(receipt, event_id=theirs["event_id"])).verdicts == ["accepted"]
        assert site.send(theirs).verdicts == ["accepted"]


class TestOrigin:
    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example.com",
            "null",
            "",
            "http://chat.example.com",
            "https://chat.example.com:8443",
            "https://chat.example.com.evil.com",
            "https://CHAT.example.com",
            "https://chat.example.com/",
            "https://xchat.example.com",
            "*",
        ],
    )
    def test_wrong_or_missing(self, site: Site, receipt: str, target: str, origin: str) -> None:
        answered = site.send(vote(receipt), Origin=origin)
        assert answered.status == 403
        assert "THUMBLINE_ALLOWED_ORIGINS" in answered.body["error"]["message"]
        assert "Access-Control-Allow-Origin" not in answered.headers
        assert site.landed(target) == []
        if origin:
            assert site.preflight(origin).status == 403

    def test_right(self, site: Site, receipt: str) -> None:
        """Named, not `*`; no credentials; also on what is refused."""
        for answered in (site.send(vote(receipt)), site.send(vote("")), site.post(b"?")):
            assert answered.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert answered.headers["Vary"] == "Origin"
            assert "Access-Control-Allow-Credentials" not in answered.headers
            assert "Set-Cookie" not in answered.headers

    def test_preflight(self, site: Site, receipt: str) -> None:
        """For `application/json`; the browser may keep it."""
        answered = site.preflight(ORIGIN)
        assert answered.status == 204
        assert answered.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answered.headers["Access-Control-Allow-Methods"] == "POST"
        assert answered.headers["Access-Control-Allow-Headers"] == "content-type"
        assert int(answered.headers["Access-Control-Max-Age"]) > 0
        assert site.send(vote(receipt), Content_Type="application/json").verdicts == ["accepted"]


def _projects(site: Site, target_id: str) -> list[str]:
    from thumbline_ingest.log import SqliteLog

    reader = SqliteLog(Path(site.server.settings.log_url.removeprefix("sqlite:"))).reader("projects")
    found: list[str] = []
    try:
        reader.poll(0, 1)
        reader.seek({0: 0})
        while chunks := reader.poll(0, 10_000).chunks:
            records = [json.loads(value) for chunk in chunks for value in chunk.values]
            found += [one["project"] for one in records if one["event"].get("target_id") == target_id]
    finally:
        reader.close()
    return found
