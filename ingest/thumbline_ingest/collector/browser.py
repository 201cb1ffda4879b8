"""The way in for pages: `POST /v1/votes`, without a key, with a receipt for each event."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from flask import Response, request

from thumbline import limits
from thumbline_ingest.keys import KeyStore
from thumbline_ingest.log.base import LogUnavailable

from .addresses import Addresses
from .allowance import Allowance
from .answers import HEADERS, JSON, refused, retry_after
from .batch import Batch
from .body import read_body
from .errors import RequestRefused, busy
from .inflight import InflightBytes
from .intake import Intake
from .metrics import Metrics
from .origins import Origins
from .readiness import Readiness
from .ring import RejectionRing
from .settings import CollectorSettings
from .times import PageClock, PageClocks
from .turns import Turns
from .verdicts import Rejection, Verdict, Verdicts
from .votebody import split_votes
from .votes import Vote, Votes

_log = logging.getLogger("thumbline.collector")

# Browsers send `text/plain` to another origin without asking first.
_TYPES: Final = ("text/plain", JSON)
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0


class BrowserRoute:
    """
    Takes votes from pages into the same log, by the same rules, as events from servers.

    Args:
        settings: who may send, and how much.
        keys: what receipts are signed with.
        intake: takes events into the log.
        readiness: whether the log is up.
        metrics: counts what happens.
        inflight: bounds the bytes held.
        turns: has room of its own, so that slow pages do not keep servers waiting.
        ring: keeps the last rejections for the status page.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        keys: KeyStore,
        intake: Intake,
        readiness: Readiness,
        metrics: Metrics,
        inflight: InflightBytes,
        turns: Turns,
        ring: RejectionRing,
    ) -> None:
        # With other workers, the folder that they share.
        self._votes = Votes(keys, PageClocks(settings.run_dir / "clocks" if settings.run_dir is not None else None))
        self._intake = intake
        self._readiness = readiness
        self._metrics = metrics
        self._inflight = inflight
        self._turns = turns
        self._ring = ring
        self._origins = Origins(settings.allowed_origins)
        self._addresses = Addresses(settings.trusted_proxies)
        self._per_address = Allowance(settings.votes_per_address, _MINUTE_S)
        self._per_receipt = Allowance(settings.votes_per_receipt, _HOUR_S)

    def post(self) -> Response:
        """`POST /v1/votes`."""
        started = time.perf_counter()
        cors: dict[str, str] = {}
        environ = request.environ
        try:
            cors = self._origins.headers_for(environ)
            response = self._take(environ)
        except RequestRefused as refusal:
            self._ring.note_request("/v1/votes", refusal)
            response = refused(refusal)
        except LogUnavailable as error:
            _log.warning("log unavailable: %s", error)
            response = refused(busy("the log does not take events now; send again", error.retry_after_s))
        for name, value in cors.items():
            response.headers[name] = value
        self._metrics.count_request(response.status_code, time.perf_counter() - started, "vote_batches")
        return response

    def options(self) -> Response:
        """`OPTIONS /v1/votes`: what a browser asks before it sends `application/json`."""
        try:
            headers = self._origins.preflight_for(request.environ)
        except RequestRefused as refusal:
            return refused(refusal)
        return Response(status=204, headers=HEADERS | {"Allow": "POST, OPTIONS"} | headers)

    def _take(self, environ: Mapping[str, Any]) -> Response:
        # Cheap checks first: nobody has shown anything yet.
        address = self._addresses.of(environ)
        wait_s = self._per_address.take(address)
        if wait_s:
            raise _too_many(wait_s)
        if environ.get("CONTENT_TYPE", "").split(";")[0].strip().lower() not in _TYPES:
            raise RequestRefused(415, "unsupported_media_type", f"Content-Type must be {' or '.join(_TYPES)}")
        if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("identity", ""):
            raise RequestRefused(415, "unsupported_encoding", "votes are not compressed: leave Content-Encoding out")
        if not self._readiness.log().ok:
            raise busy("the log does not take events now; send again later")
        with self._turns.inside, self._inflight.lease() as lease:
            body = read_body(environ, lease, limits.MAX_VOTES_BYTES)
            with self._turns.turn:
                return _answer(*self._settle(address, body))

    def _settle(self, address: str, body: bytes) -> tuple[Verdicts, float]:
        """The verdicts, and the seconds after which those who sent too much may send again."""
        sent = split_votes(body)
        self._per_address.charge(address, len(sent.events) - 1)
        clock = PageClock.of(sent.sent_at, int(time.time() * 1000))
        verdicts: list[Verdict] = ["retry"] * len(sent.events)
        rejections: dict[int, Rejection] = {}
        votes: dict[str, list[tuple[int, Vote]]] = {}
        wait_s = 0.0
        held_back = 0
        for index, event in enumerate(sent.events):
            changed = sent.changed.get(index, frozenset())
            vote = event if isinstance(event, Rejection) else self._votes.open(event, clock, changed)
            if isinstance(vote, Rejection):
                verdicts[index] = "rejected"
                rejections[index] = vote
            elif wait := self._per_receipt.take(vote.opinion):
                wait_s = max(wait_s, wait)
                held_back += 1
            else:
                votes.setdefault(vote.project, []).append((index, vote))
        if rejections or held_back:
            told: list[Verdict] = ["rejected"] * len(rejections) + ["retry"] * held_back  # type: ignore[assignment]
            self._metrics.count_events(0, told, Batch(rejections=dict(rejections)))
        try:
            # One project is the rule: a page has receipts of one back end.
            for project, own in votes.items():
                self._append(project, own, verdicts, rejections)
        finally:
            # Only what was accepted counts.
            for index, vote in (entry for own in votes.values() for entry in own):
                if verdicts[index] != "accepted":
                    self._per_receipt.charge(vote.opinion, -1)
        if rejections:
            self._ring.note_events("/v1/votes", "", rejections.values())
        return Verdicts(verdicts, rejections), wait_s

    def _append(
        self, project: str, votes: list[tuple[int, Vote]], verdicts: list[Verdict], rejections: dict[int, Rejection]
    ) -> None:
        found = self._intake.put(project, [vote.made for _, vote in votes])
        for place, (index, vote) in enumerate(votes):
            verdicts[index] = found.each[place]
            if place in found.rejections:
                # By the id that the page knows.
                why = found.rejections[place]
                rejections[index] = Rejection(why.problems, vote.event_id, why.kind, project)


def _answer(verdicts: Verdicts, wait_s: float) -> Response:
    retries = verdicts.count("retry")
    status = 429 if wait_s and retries == len(verdicts.each) else 200
    # Without the headers of other answers: that of a POST is not stored, and JSON is not taken for a page.
    response = Response(verdicts.to_json(), status, content_type=JSON)
    if retries:
        response.headers["Retry-After"] = retry_after(wait_s)
    return response


def _too_many(wait_s: float) -> RequestRefused:
    return RequestRefused(
        429, "too_many_votes", "too many votes from this address; send all of them again later", retry_after_s=wait_s
    )
