"""`POST /v1/votes`: what comes in, what it becomes, its limits, and one opinion for one receipt in the warehouse."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collector.helpers import App, Server
from tests.collector.pages import ORIGIN, Site, backend, instant, parts, vote
from thumbline import Conversation, Rater, limits
from thumbline._ids import uuid7
from thumbline_ingest.collector.addresses import Addresses
from thumbline_ingest.collector.allowance import Allowance
from thumbline_ingest.collector.origins import Origins
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.collector.times import Corrected, PageClock, PageClocks
from thumbline_ingest.loader import Loader, LoaderSettings
from thumbline_ingest.log import SqliteLog
from thumbline_ingest.log.base import Appended, LogUnavailable
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

NOW_MS = 1_795_521_600_000


@pytest.fixture
def make_site(make_server: Callable[..., Server]) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**changes: Any) -> Site:
        made.append(Site(make_server(**{"allowed_origins": (ORIGIN,), "drain_s": 0.1} | changes)))
        return made[-1]

    yield make
    for site in made:
        site.tl.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


class Page:
    """The same without a server: over Flask's test client and a stub log."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.tl = backend(app.key)

    def post(self, body: Any, **options: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.app.client.post("/v1/votes", data=data, **{"content_type": "text/plain"} | options)

    def send(self, *votes: Any, **options: Any) -> Any:
        return self.post({"events": list(votes)}, **options)

    def receipt(self, target: Any = "answer-1", rater: Any = "mia", **options: Any) -> str:
        return self.tl.receipt(target, rater=rater, **options)

    def minted(self, rater: str, at_s: float) -> str:
        """A receipt that was minted then."""
        with backend(self.app.key, at_s) as tl:
            return tl.receipt("answer-1", rater=rater)

    def at(self, now_ms: int, votes: list[Any], sent_ms: int) -> None:
        """Send when the collector's clock shows this, and the page's that."""
        with mock.patch("time.time", return_value=now_ms / 1000):
            body = {"events": votes, "sent_at": iso(sent_ms)}
            verdicts = self.post(body).json["verdicts"]
        assert verdicts == ["accepted"] * len(votes)


@pytest.fixture
def page(app: App) -> Iterator[Page]:
    made = Page(app)
    yield made
    made.tl.close()


class TestWhatComesIn:
    def test_every_kind_that_a_page_may_send(self, site: Site) -> None:
        """Each with its receipt, in one body of type text/plain; every one is on disk when it is answered."""
        pair = site.pair()
        answer = site.receipt("answer-1", kinds=["thumb", "rating", "edit", "mark", "exposure", "signal"])
        both = site.receipt(pair, kinds=["pick", "ranking", "exposure", "signal"])
        sent = [
            vote(answer, "thumb", tags=["wrong"], comment="In 1998."),
            vote(answer, "rating", score=4),
            vote(answer, "edit", response={"role": "assistant", "content": "Better."}),
            vote(answer, "mark", start=0, end=3, text_sha256="0" * 64),
            vote(answer, "exposure"),
            vote(answer, "signal"),
            vote(both, "pick", outcome="winner", winner_id=pair.order[1], strength=4, scale=5),
            vote(both, "ranking", ranks=[[one] for one in pair.order]),
            vote(both, "exposure"),
            vote(site.receipt(Conversation("c-9")), "rating", score=5),
        ]

        answered = site.send(*sent)

        assert answered.status == 200
        assert answered.body == {
            "accepted": 10, "duplicate": 0, "rejected": 0, "retry": 0, "verdicts": 10 * ["accepted"], "errors": [],
        }  # fmt: skip
        logged = site.server.logged()
        assert [event["kind"] for event in logged] == [event["kind"] for event in sent]
        assert [event["target_type"] for event in logged[5:]] == [
            "completion", "comparison", "comparison", "comparison", "conversation",
        ]  # fmt: skip
        assert logged[-1]["conversation_id"] == "c-9"

    def test_the_receipt_says_whose_vote_it_is_and_on_what(self, site: Site) -> None:
        """The rater is the one that the client's own votes have; nothing else of the event is touched."""
        tl = backend(site.server.key, app="my-chat", training_consent="granted")
        answer = tl.completion(messages=[], response="x", model="m", conversation_id="c-1")
        event = vote(
            tl.receipt(answer, rater=Rater("user-42", wrote_prompt=True)), comment='naïve "quotes"', surface="web",
            sdk="thumbline-web/0.1.0", properties={"locale": "en"}, sequence=7,
        )  # fmt: skip
        tl.thumb(answer, "up", rater=Rater("user-42", wrote_prompt=True))
        tl.flush()
        own = next(one for one in tl._pipeline._transport.accepted.values() if one["kind"] == "thumb")

        assert site.send(event).verdicts == ["accepted"]

        [landed] = site.server.logged()
        for name in ("target_id", "conversation_id", "app", "training_consent"):
            assert landed[name] == own[name]
        assert landed["rater"]["id"] == own["rater"]["id"]
        assert landed["rater"]["wrote_prompt"] is True
        for name in ("kind", "occurred_at", "value", "comment", "surface", "sdk", "properties", "sequence"):
            assert landed[name] == event[name]

    def test_how_it_came_is_kept(self, page: Page) -> None:
        """Key, the page's own id and, for a pair, the order shown travel in `extra`: what a leaked key let in can be found."""
        pair = page.tl.comparison(["a", "b"], order=["b", "a"], probability=0.25)
        event = vote(page.receipt(pair), "pick", outcome="tie")
        page.send(event)

        envelope = json.loads(page.app.writer.records[0].value)
        key_id, claims = parts(event["receipt"])[1:3]
        assert envelope["extra"] == {
            "receipt": {
                "key": key_id, "event_id": event["event_id"], "issued_at": claims["n"], "order": ["b", "a"], "probability": 0.25,
            }
        }  # fmt: skip
        assert key_id in page.app.key

    def test_the_comparison_is_the_back_ends_to_log(self, page: Page) -> None:
        """`comparison` logs it when it draws the order; from the receipt nothing is derived."""
        page.send(vote(page.receipt(page.tl.comparison(["a", "b"])), "pick", outcome="tie"))

        assert [event["kind"] for event in page.app.events] == ["pick"]
        assert page.app.writer.records[0].key

    @pytest.mark.parametrize("kind", ["text/plain", "TEXT/PLAIN; charset=utf-8", "application/json"])
    def test_body_types(self, page: Page, kind: str) -> None:
        assert page.send(vote(page.receipt()), content_type=kind).json["verdicts"] == ["accepted"]

    def test_what_breaks_the_contract_is_named(self, page: Page) -> None:
        """By the same checks as anywhere, with the id that the page knows."""
        receipt = page.receipt()
        sent = [
            vote(receipt, value="maybe"),
            vote(receipt),
            vote(receipt, event_id="17"),
            vote(receipt, occurred_at="yesterday"),
            vote(receipt, comment="nul \0"),
            vote(receipt, properties={"n": 2**80}),
        ]

        answer = page.send(*sent).json

        assert answer["verdicts"] == ["rejected", "accepted", "rejected", "rejected", "accepted", "accepted"]
        fields = [error["problems"][0]["field"] for error in answer["errors"]]
        assert fields == ["value", "event_id", "occurred_at"]
        # What a vote can do without is no reason to lose it.
        assert [event.get("comment") for event in page.app.events] == [None, "nul \ufffd", None]
        assert page.app.events[2]["properties"] == {"n": str(2**80)}
        metrics = page.app.client.get("/metrics").text
        assert 'changed_total{field="comment"} 1.0' in metrics
        assert 'changed_total{field="properties"} 1.0' in metrics
        assert answer["errors"][0]["event_id"] == sent[0]["event_id"]
        assert answer["errors"][0]["problems"][0]["allowed"] == ["up", "down", "retracted"]

    def test_receipts_of_two_projects_in_one_request(self, page: Page) -> None:
        """Each event lands in its receipt's project, and verdicts stay in order."""
        other = backend(page.app.keys.create("other"))
        good, theirs = page.receipt(), other.receipt("answer-1", rater="mia")
        sent = [vote(theirs), vote(good), vote(""), vote(theirs, value="maybe"), vote(theirs)]

        answer = page.send(*sent).json

        assert answer["verdicts"] == ["accepted", "accepted", "rejected", "rejected", "accepted"]
        assert [error["index"] for error in answer["errors"]] == [2, 3]
        projects = [json.loads(record.value)["project"] for record in page.app.writer.records]
        assert sorted(projects) == ["demo", "other", "other"]
        assert other.close()

    def test_repeats(self, page: Page) -> None:
        """The same event again is a duplicate: in one request, in the next, and with another receipt for the same."""
        event = vote(page.receipt())
        assert page.send(event, event).json["verdicts"] == ["accepted", "duplicate"]
        assert page.send(event).json["verdicts"] == ["duplicate"]
        assert page.send(event | {"receipt": page.receipt(expires_in_s=60)}).json["verdicts"] == ["duplicate"]
        assert len(page.app.events) == 1

    def test_one_own_id_for_two_kinds(self, page: Page) -> None:
        """Two kinds with one id of the page's are two events; other content under one id is no repeat."""
        own, receipt = uuid7(), page.receipt()
        answer = page.send(vote(receipt, event_id=own), vote(receipt, "signal", event_id=own)).json
        assert answer["verdicts"] == ["accepted", "accepted"]
        assert len({event["event_id"] for event in page.app.events}) == 2

        assert page.send(vote(receipt, event_id=own, value="down")).json["verdicts"] == ["accepted"]
        assert [event.get("value") for event in page.app.events] == ["up", None, "down"]

    def test_ids_keep_their_time(self, page: Page) -> None:
        """A UUIDv7 lands as one of the same millisecond, so that looking for repeats stays cheap; others become UUIDv8."""
        receipt = page.receipt()
        sent = [uuid7(), "1e8ffb4c-6f4c-4c5e-9e3a-6b1c7f6f2d11", "1e8ffb4c-6f4c-8c5e-9e3a-6b1c7f6f2d11"]
        page.send(*[vote(receipt, event_id=own) for own in sent])

        landed = [event["event_id"] for event in page.app.events]
        assert [own[14] for own in landed] == ["7", "8", "8"]
        assert landed[0][:13] == sent[0][:13]
        assert not set(landed) & set(sent)
        assert len(set(landed)) == 3


class TestRequests:
    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"", 411, "length_required"),
            (b"{", 400, "not_json"),
            (b"{}", 400, "not_votes"),
            (b"[]", 400, "not_votes"),
            (b'{"events": {}}', 400, "not_an_array"),
            (b'{"events": []}', 400, "empty_batch"),
            (b'{"events": [{}], "sent_at": 17}', 400, "not_votes"),
            (b'{"events": [{}]} ', 200, None),
            (b'{"events": [{}]}{}', 400, "not_json"),
            (b'{"events": [{}], }', 400, "not_json"),
            (b'{"events": [NaN], "x": 1}', 400, None),
            (b"\xff", 400, "not_json"),
            (b'{"events": [' + b",".join([b"{}"] * 51) + b"]}", 413, "too_many_events"),
            (b'{"events": ["' + b"x" * limits.MAX_VOTES_BYTES + b'"]}', 413, "body_too_large"),
        ],
        ids=lambda value: value[:24].decode("latin1") if isinstance(value, bytes) else str(value),
    )
    def test_bad_bodies(self, page: Page, body: bytes, status: int, code: str | None) -> None:
        response = page.post(body)
        assert response.status_code == status
        assert code is None or response.json["error"]["code"] == code

    def test_an_entry_that_is_no_object(self, page: Page) -> None:
        answer = page.send(17, "x", None, [], vote(page.receipt())).json
        assert answer["verdicts"] == [*4 * ["rejected"], "accepted"]

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ({"content_type": "application/x-www-form-urlencoded"}, 415),
            ({"content_type": "multipart/form-data"}, 415),
            ({"content_type": ""}, 415),
            ({"headers": {"Content-Encoding": "gzip"}}, 415),
            ({"method": "GET"}, 405),
            ({"method": "PUT"}, 405),
        ],
    )
    def test_other_ways(self, page: Page, options: dict[str, Any], status: int) -> None:
        given = {"method": "POST", "data": b"{}", "content_type": "text/plain"} | options
        assert page.app.client.open("/v1/votes", **given).status_code == status

    def test_oversize_on_a_real_server(self, site: Site) -> None:
        assert site.post(b'{"events": ["' + b"x" * limits.MAX_VOTES_BYTES + b'"]}').status == 413

    def test_without_an_allow_list(self, page: Page) -> None:
        """Votes come in from everywhere, and no page of another origin may read the answer."""
        response = page.send(vote(page.receipt()), headers={"Origin": "https://anywhere.example"})
        assert response.json["verdicts"] == ["accepted"]
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Access-Control-Allow-Origin" not in page.app.client.options("/v1/votes").headers

    def test_the_log_is_down(self, page: Page) -> None:
        """503, and the same event is accepted afterwards: it was neither stored nor counted."""
        event = vote(page.receipt())
        page.app.writer.answer = LogUnavailable("down", retry_after_s=2.5)
        response = page.send(event)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "3")

        page.app.writer.answer = Appended(failed={0: "timed out"})
        assert page.send(event).json["verdicts"] == ["retry"]
        page.app.writer.answer = Appended()
        assert page.send(event).json["verdicts"] == ["accepted"]

    def test_metrics(self, page: Page) -> None:
        page.send(vote(page.receipt()), vote(""), vote(page.receipt(), value="maybe"))
        text = page.app.client.get("/metrics").text
        for line in (
            'vote_batches_total{status="200"} 1.0',
            'batches_total{status="200"} 0.0',
            'events_total{verdict="accepted"} 1.0',
            'events_total{verdict="rejected"} 2.0',
            'accepted_total{kind="thumb"} 1.0',
            'rejected_total{field="receipt"} 1.0',
        ):
            assert f"thumbline_collector_{line}" in text

    def test_a_fault_within_is_a_500_without_what_was_sent(
        self, page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret = page.receipt()
        monkeypatch.setattr("thumbline_ingest.collector.browser.split_votes", lambda body: 1 / 0)
        response = page.send(vote(secret))
        assert response.status_code == 500
        assert secret not in caplog.text + response.text


class TestLimits:
    def test_one_receipt(self, make_site: Callable[..., Site]) -> None:
        """What is above the limit is `retry`; where that is everything, 429. Both say when."""
        site = make_site(votes_per_receipt=5)
        receipt = site.receipt()
        stuffed = [vote(receipt) for _ in range(8)]

        first = site.send(*stuffed)
        second = site.send(*stuffed[5:])

        assert (first.status, first.verdicts) == (200, [*5 * ["accepted"], *3 * ["retry"]])
        assert (second.status, second.verdicts) == (429, 3 * ["retry"])
        for answered in (first, second):
            assert 600 <= int(answered.headers["Retry-After"]) <= 720
        assert second.headers["Access-Control-Expose-Headers"] == "Retry-After"
        assert site.send(vote(site.receipt("answer-2"))).verdicts == ["accepted"]
        assert len(site.server.logged()) == 6

    def test_a_new_receipt_for_the_same_does_not_help(self, make_app: Callable[..., App]) -> None:
        page = Page(make_app(votes_per_receipt=2))
        page.send(vote(page.receipt()), vote(page.receipt(expires_in_s=60)))
        assert page.send(vote(page.receipt(expires_in_s=70))).status_code == 429
        assert page.send(vote(page.receipt(rater="zoe"))).status_code == 200

    def test_only_what_is_accepted_counts(self, make_app: Callable[..., App]) -> None:
        page = Page(make_app(votes_per_receipt=2))
        event = vote(page.receipt())
        page.send(event)
        for _ in range(5):
            assert page.send(event).json["verdicts"] == ["duplicate"]
            assert page.send(vote(event["receipt"], value="maybe")).json["verdicts"] == ["rejected"]
        assert page.send(vote(event["receipt"])).json["verdicts"] == ["accepted"]

    def test_one_address(self, make_site: Callable[..., Site]) -> None:
        """Refused before anything is read; forged addresses do not help; servers are not touched."""
        site = make_site(votes_per_address=5)
        site.send(*[vote("") for _ in range(5)])

        for number in range(3):
            answered = site.send(vote(site.receipt()), X_Forwarded_For=f"203.0.113.{number}")
            assert (answered.status, answered.body["error"]["code"]) == (429, "too_many_votes")
            assert int(answered.headers["Retry-After"]) >= 1
            assert answered.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert site.server.post([])[0] == 400

    def test_behind_a_trusted_proxy(self, make_site: Callable[..., Site]) -> None:
        """The address that the proxy saw is the one that counts, and not what was written to the left of it."""
        site = make_site(votes_per_address=2, trusted_proxies=("127.0.0.1",))
        for _ in range(2):
            assert site.send(vote(site.receipt()), X_Forwarded_For="203.0.113.1").status == 200
        assert site.send(vote(site.receipt()), X_Forwarded_For="198.51.100.7, 203.0.113.1").status == 429
        assert site.send(vote(site.receipt()), X_Forwarded_For="203.0.113.2").status == 200

    def test_zero_is_no_limit(self, make_app: Callable[..., App]) -> None:
        page = Page(make_app(votes_per_receipt=0, votes_per_address=0))
        receipt = page.receipt()
        for _ in range(20):
            assert page.send(*[vote(receipt) for _ in range(50)]).json["accepted"] == 50

    def test_slow_pages_do_not_hold_up_servers(self, make_site: Callable[..., Site]) -> None:
        """Bodies that never end fill the room of votes and no other."""
        site = make_site(vote_threads=2, threads=2)
        head = f"POST /v1/votes HTTP/1.1\r\nHost: x\r\nOrigin: {ORIGIN}\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"
        held = [site.server.connect() for _ in range(2)]
        for connection in held:
            connection.connect()
            connection.sock.sendall(head.encode() + b"{")
            # Until it is inside. granian adds a thread when a request comes and finds none idle; one that
            # comes in the moment in which another is taken up would wait for the next to come.
            time.sleep(0.5)
        try:
            assert site.send(vote(site.receipt())).status == 503
            assert site.server.post([])[0] == 400
            assert site.server.get("/readyz")[0] == 200
        finally:
            for connection in held:
                connection.close()


class TestAllowance:
    def test_fills_up_again(self) -> None:
        now = 0.0
        allowance = Allowance(3, 60, now=lambda: now)
        assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, pytest.approx(20)]
        now = 20.0
        assert [allowance.take("a") for _ in range(2)] == [0, pytest.approx(20)]
        now = 1e6
        assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, pytest.approx(20)]

    def test_charge_and_give_back(self) -> None:
        allowance = Allowance(3, 60, now=lambda: 0.0)
        allowance.charge("a", 5)
        assert allowance.take("a") == pytest.approx(60)
        allowance.charge("a", -100)
        assert [bool(allowance.take("a")) for _ in range(4)] == [False, False, False, True]

    def test_memory_is_bounded(self) -> None:
        allowance = Allowance(1, 60, capacity=10, now=lambda: 0.0)
        for number in range(1_000):
            allowance.take(str(number))
        assert len(allowance._young) + len(allowance._old) <= 10


class TestAddresses:
    @pytest.mark.parametrize(
        ("trusted", "peer", "forwarded", "expected"),
        [
            ([], "192.0.2.1", None, "192.0.2.1"),
            ([], "192.0.2.1", "203.0.113.9", "192.0.2.1"),
            (["10.0.0.0/8"], "10.0.0.1", "203.0.113.9", "203.0.113.9"),
            (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            (["10.0.0.0/8"], "10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            (["10.0.0.0/8"], "10.0.0.1", "unknown", "10.0.0.1"),
            (["10.0.0.0/8"], "10.0.0.1", "203.0.113.9, junk", "10.0.0.1"),
            (["10.0.0.0/8"], "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            (["10.0.0.0/8"], "192.0.2.1", "203.0.113.9", "192.0.2.1"),
            (["127.0.0.1"], "::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"),
            ([], "2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
            ([], "", None, ""),
        ],
    )
    def test_whose_it_is(self, trusted: list[str], peer: str, forwarded: str | None, expected: str) -> None:
        environ = {"REMOTE_ADDR": peer} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
        assert Addresses(trusted).of(environ) == expected

    def test_a_proxy_that_is_not_trusted_is_reported_once(self, caplog: pytest.LogCaptureFixture) -> None:
        addresses = Addresses([])
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                addresses.of({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"})
        assert caplog.text.count("THUMBLINE_TRUSTED_PROXIES") == 1

    def test_what_is_no_address(self) -> None:
        with pytest.raises(ValueError, match="trusted_proxies: 'nginx'"):
            Addresses(["nginx"])


@pytest.mark.parametrize(
    "origin",
    ["null", "*", "", "chat.example.com", "https://chat.example.com/", "https://Chat.example.com", "https://*.example.com",
     "https://chat.example.com:443", "http://chat.example.com:80", "ftp://chat.example.com", "https://user@chat.example.com"],
)  # fmt: skip
def test_what_is_no_origin(origin: str) -> None:
    """Would never match, or match too much."""
    with pytest.raises(ValueError, match="allowed_origins"):
        Origins([origin])


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://chat.example.com", "http://[::1]:8080", "https://a_b.example"]
)
def test_what_is_an_origin(origin: str) -> None:
    assert Origins([origin]).headers_for({"HTTP_ORIGIN": origin})["Access-Control-Allow-Origin"] == origin


def test_settings_reach_a_worker(tmp_path: Path) -> None:
    settings = CollectorSettings(
        "memory:",
        tmp_path / "k",
        tmp_path,
        allowed_origins=(ORIGIN,),
        trusted_proxies=("10.0.0.0/8",),
        votes_per_receipt=7,
    )
    assert CollectorSettings.from_environ(settings.to_environ()) == settings


class TestTime:
    """A wrong clock costs no vote, and none wins for ever."""

    ISSUED_S = NOW_MS // 1000 - 3600

    def corrected(self, occurred_ms: float, sent_ms: float | None = None) -> float:
        """Seconds from now."""
        clock = PageClock.of(None if sent_ms is None else iso(NOW_MS + sent_ms), NOW_MS)
        got = clock.corrected(iso(NOW_MS + occurred_ms), self.ISSUED_S, clock.shift_ms).text
        return (datetime.fromisoformat(got.replace("Z", "+00:00")).timestamp() * 1000 - NOW_MS) / 1000

    def test_a_good_clock_is_left_alone(self) -> None:
        text = "2026-11-24T11:59:30.123456789+00:00"
        clock = PageClock.of(iso(NOW_MS - 2_000), NOW_MS)
        assert clock.corrected(text, self.ISSUED_S, clock.shift_ms) == Corrected(text)

    @pytest.mark.parametrize("hours", [-100, -1, 1, 13, 24 * 365])
    def test_a_wrong_clock_is_corrected(self, hours: float) -> None:
        """By what it shows when the request is sent, in whole minutes."""
        off = hours * 3_600_000
        assert self.corrected(off - 90_000, sent_ms=off - 3_000) == -90

    def test_the_way_does_not_change_the_order(self) -> None:
        """The first request took longer than the second, on a clock that is an hour fast."""
        up = self.corrected(3_600_000, sent_ms=3_600_000 - 2_500)
        retracted = self.corrected(3_600_300, sent_ms=3_600_000 - 10)
        assert up < retracted

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        # Also where the way of a request decides between one minute and the next.
        off_ms=st.integers(-7_300_000, 7_300_000) | st.integers(-130, 130).map(lambda halves: halves * 30_000 - 10_000),
        votes=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 20_000)), min_size=2, max_size=6),
        receipts_new=st.booleans(),
        together=st.booleans(),
    )
    def test_votes_of_one_page_keep_their_order(
        self,
        make_app: Callable[..., App],
        off_ms: int,
        votes: list[tuple[int, int]],
        receipts_new: bool,
        together: bool,
    ) -> None:
        """Whatever its clock shows and however long each request takes: the later one sorts later."""
        page = Page(make_app(votes_per_address=0, votes_per_receipt=0))
        rater = uuid7()
        made_ms = NOW_MS
        sent = []
        for place, (pause_ms, way_ms) in enumerate(votes):
            made_ms += pause_ms
            receipt = page.minted(rater, (made_ms if receipts_new else NOW_MS) // 1000 - 5)
            event = vote(receipt, "thumb", value="up", occurred_at=iso(made_ms - off_ms), comment=str(place))
            sent.append((event, made_ms - off_ms, made_ms + way_ms))
        if together:
            page.at(max(arrived for *_, arrived in sent), [event for event, *_ in sent], sent[-1][1])
        else:
            for event, page_ms, arrived_ms in sent:
                page.at(arrived_ms, [event], page_ms)

        landed = sorted(page.app.events, key=lambda e: (e["occurred_at"], e.get("sequence", 0), e["event_id"]))
        wanted = [str(place) for place in range(len(votes))]
        if all(pause for pause, _ in votes[1:]):
            assert [event["comment"] for event in landed] == wanted
        assert len(landed) == len(votes)

    def test_workers_know_the_same_of_a_clock(self, tmp_path: Path) -> None:
        """The first request decides, whichever worker took it; a clock that was set is decided anew."""
        one, other = PageClocks(tmp_path / "clocks"), PageClocks(tmp_path / "clocks")
        assert one.shift_ms("demo\0mia", PageClock(NOW_MS, 90_100)) == 120_000
        assert other.shift_ms("demo\0mia", PageClock(NOW_MS, 89_900)) == 120_000
        assert other.shift_ms("demo\0joe", PageClock(NOW_MS, 89_900)) == 60_000
        assert other.shift_ms("demo\0mia", PageClock(NOW_MS, 500)) == 0
        assert one.shift_ms("demo\0mia", PageClock(NOW_MS, 59_000)) == 0

    def test_a_worker_that_can_share_nothing_remembers_for_itself(self, tmp_path: Path) -> None:
        alone = PageClocks(tmp_path / "none" / "clocks")
        assert [alone.shift_ms("demo\0mia", PageClock(NOW_MS, off)) for off in (90_100, 89_900)] == [120_000, 120_000]

    def test_without_sent_at_it_is_bounded(self) -> None:
        assert self.corrected(3_600_000) == 60
        assert self.corrected(1e13) == 60
        assert self.corrected(-7_200_000) == -3_660
        assert self.corrected(-1_000) == -1

    def test_a_lie_about_sent_at_stays_within_the_same_bounds(self) -> None:
        for sent in (-1e12, -1, 1e12):
            for occurred in (-1e12, 0, 1e13):
                assert -3_660 <= self.corrected(occurred, sent) <= 60

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "2026-11-24", "2026-11-24T10:00:00", "2026-02-30T10:00:00Z", "2026-11-24T10:00:00Z\n"]
    )
    def test_what_is_no_time_is_left_for_the_contract(self, text: str) -> None:
        assert PageClock(NOW_MS).corrected(text, self.ISSUED_S, 0) == Corrected(text)
        assert PageClock.of(text, NOW_MS) == PageClock(NOW_MS)

    def test_on_a_real_server(self, site: Site) -> None:
        receipt = site.receipt()
        body = {
            "events": [
                vote(receipt, occurred_at="2999-01-01T00:00:00Z"),
                vote(receipt, occurred_at="1970-01-01T00:00:00Z"),
            ]
        }
        assert site.post(body).verdicts == ["accepted", "accepted"]
        hour_fast = {"events": [vote(receipt, occurred_at=instant(3_590))], "sent_at": instant(3_600)}
        assert site.post(hour_fast).verdicts == ["accepted"]

        times = [datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00")) for event in site.server.logged()]
        now = datetime.now(timezone.utc)
        assert all(abs(one - now) < timedelta(seconds=75) for one in times)
        assert times[1] < times[2] < times[0]


class TestOneOpinion:
    """However often a receipt is used, it is one opinion: by the real loader, in the real warehouse."""

    @pytest.fixture
    def votes(self, site: Site, tmp_path: Path) -> Callable[[], list[tuple[Any, ...]]]:
        """Loads what the log holds; the current votes."""

        def load() -> list[tuple[Any, ...]]:
            log = SqliteLog(Path(site.server.settings.log_url.removeprefix("sqlite:")))
            with closing(DuckLakeStore(WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite"))) as store:
                Loader(log, store, LoaderSettings(max_batch_age_s=0.1)).run(threading.Event(), until_empty=True)
                self.count = store._db.execute("SELECT count(*) FROM events").fetchone()[0]
                assert store._db.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
                return store._db.execute("SELECT target_id, value FROM current_votes ORDER BY ALL").fetchall()

        return load

    def test_stuffing_with_new_event_ids(self, site: Site, votes: Callable[[], Any]) -> None:
        receipt = site.receipt()
        answered = site.send(*[vote(receipt, value="up", occurred_at=instant(n - 50)) for n in range(40)])
        assert answered.verdicts == 40 * ["accepted"]
        site.send(vote(receipt, value="down"))
        assert votes() == [("answer-1", "down")]
        assert self.count == 41

    def test_replay_after_a_retraction(self, site: Site, votes: Callable[[], Any]) -> None:
        """The copied event is a duplicate, at the collector and, when that has forgotten, in the warehouse."""
        up = vote(site.receipt(), occurred_at=instant(-20))
        site.send(up)
        site.send(vote(site.receipt(), value="retracted", occurred_at=instant(-10)))
        assert site.send(up).verdicts == ["duplicate"]
        assert votes() == []

        site.server.stop()
        site.server.start()
        assert site.send(up).verdicts == ["accepted"]
        assert votes() == []
        assert self.count == 2

    def test_replay_with_a_new_id_but_the_old_time(self, site: Site, votes: Callable[[], Any]) -> None:
        up = vote(site.receipt(), occurred_at=instant(-20))
        site.send(up, vote(site.receipt(), value="retracted", occurred_at=instant(-10)))
        assert site.send(up | {"event_id": uuid7()}).verdicts == ["accepted"]
        assert votes() == []

    def test_voting_again_after_a_retraction(self, site: Site, votes: Callable[[], Any]) -> None:
        """By the same person, with a new event: a new vote, as it should be."""
        receipt = site.receipt()
        site.send(vote(receipt, occurred_at=instant(-30)), vote(receipt, value="retracted", occurred_at=instant(-20)))
        site.send(vote(receipt, value="down", occurred_at=instant(-10)))
        assert votes() == [("answer-1", "down")]

    def test_the_page_and_the_back_end_speak_for_one_person(self, site: Site, votes: Callable[[], Any]) -> None:
        """A vote by receipt is the same rater's opinion as one that the client records."""
        site.send(vote(site.receipt(rater="mia"), occurred_at=instant(-30)))
        site.tl.thumb("answer-1", "down", rater="mia")
        site.tl.flush()
        own = [event for event in site.tl._pipeline._transport.accepted.values() if event["kind"] == "thumb"]
        assert site.server.post(own)[1]["verdicts"] == ["accepted"]
        assert votes() == [("answer-1", "down")]
        site.send(vote(site.receipt(rater="zoe")))
        assert votes() == [("answer-1", "down"), ("answer-1", "up")]

    def test_a_pick_joins_the_comparison_that_the_back_end_logged(
        self, site: Site, tmp_path: Path, votes: Callable[[], Any]
    ) -> None:
        pair = site.pair()
        site.tl.flush()
        own = [event for event in site.tl._pipeline._transport.accepted.values() if event["kind"] == "comparison"]
        site.server.post(own)
        site.send(vote(site.receipt(pair), "pick", outcome="winner", winner_id=pair.order[1]))
        votes()
        with closing(DuckLakeStore(WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite"))) as store:
            sql = (
                "SELECT c.completion_ids, c.probability, p.winner_id, p.extra->'receipt'->'order' FROM picks p "
                "JOIN comparisons c ON c.comparison_id = p.target_id AND c.project = p.project"
            )
            [(shown, probability, winner, order)] = store._db.execute(sql).fetchall()
        assert (tuple(shown), probability, winner) == (pair.order, 0.5, pair.order[1])
        assert json.loads(order) == list(pair.order)


def iso(ms: float) -> str:
    when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=max(0, min(ms, 3e13)))
    text = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert re.match(r"\d{4}-", text)
    return text
