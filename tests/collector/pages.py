"""A page and its back end, for the tests of `/v1/votes`; and the tools of those who forge receipts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

import thumbline
from tests.collector.helpers import Server
from thumbline._ids import uuid7
from thumbline.clock import SystemClock
from thumbline.testing import ManualClock, RecordingTransport

ORIGIN = "https://chat.example.com"


def backend(key: str, now_s: float | None = None, **options: Any) -> thumbline.Client:
    """A back end with this key; its own events go nowhere."""
    clock = SystemClock() if now_s is None else ManualClock(now_s)
    given = {"pepper": "pepper", "spool": None, "debug": True} | options
    return thumbline.Client("http://collector.test", key=key, transport=RecordingTransport(), clock=clock, **given)


def instant(seconds: float = 0) -> str:
    """A time so many seconds from now, as JavaScript writes it."""
    now = time.gmtime(time.time() + seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", now)


def vote(receipt: Any, kind: str = "thumb", **fields: Any) -> dict[str, Any]:
    """What a page sends."""
    own = {"thumb": {"value": "up"}, "exposure": {"state": "seen"}, "signal": {"name": "copy"}}.get(kind, {})
    return {"kind": kind, "event_id": uuid7(), "occurred_at": instant(), "receipt": receipt} | own | fields


@dataclass
class Answered:
    """What came back."""

    status: int
    headers: Message
    body: Any

    @property
    def verdicts(self) -> list[str]:
        return list(self.body["verdicts"])

    @property
    def problem(self) -> tuple[str, str]:
        """Field and message of the one thing that is wrong."""
        [error] = self.body["errors"]
        [problem] = error["problems"]
        return problem["field"], problem["message"]


@dataclass
class Site:
    """A running collector, a back end that mints for it and a page that votes."""

    server: Server
    tl: thumbline.Client = field(init=False)

    def __post_init__(self) -> None:
        self.tl = backend(self.server.key)

    def receipt(self, target: Any = "answer-1", rater: str = "mia", **options: Any) -> str:
        return self.tl.receipt(target, rater=rater, **options)

    def pair(self) -> thumbline.Pair:
        return self.tl.comparison([uuid7(), uuid7()])

    def post(self, body: Any, **headers: str) -> Answered:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "text/plain;charset=UTF-8", "Origin": ORIGIN} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self._request("POST", data, {name: value for name, value in given.items() if value})

    def send(self, *votes: Any, **headers: str) -> Answered:
        return self.post({"events": list(votes)}, **headers)

    def preflight(self, origin: str) -> Answered:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        return self._request("OPTIONS", None, {"Origin": origin} | asked)

    def landed(self, target_id: str) -> list[dict[str, Any]]:
        """Events on one thing in the log."""
        return [event for event in self.server.logged() if event.get("target_id") == target_id]

    def _request(self, method: str, data: bytes | None, headers: dict[str, str]) -> Answered:
        with contextlib.closing(self.server.connect()) as connection:
            connection.request(method, "/v1/votes", data, headers)
            response = connection.getresponse()
            text = response.read()
            return Answered(response.status, response.headers, json.loads(text) if text else None)


# -- the tools of forgers --------------------------------------------------------------------------------


def parts(receipt: str) -> tuple[str, str, dict[str, Any], str]:
    """Version, key id, claims and signature."""
    version, key_id, claims, signature = receipt.split(".")
    return version, key_id, json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))), signature


def encoded(claims: dict[str, Any]) -> str:
    text = json.dumps(claims, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def altered(receipt: str, **claims: Any) -> str:
    """The same signature over other claims."""
    version, key_id, said, signature = parts(receipt)
    changed = encoded(said | claims)
    assert f".{changed}." not in receipt
    return f"{version}.{key_id}.{changed}.{signature}"


def signed(receipt: str, key: bytes, digest: str = "sha256") -> str:
    """The same claims, signed by a forger."""
    text = receipt.rpartition(".")[0]
    mac = hmac.digest(key, text.encode(), digest)
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def signing_key(key: str) -> bytes:
    """What receipts of a write key are signed with, written down a second time."""
    secret = key.split("_", 2)[2]
    return hmac.digest(hashlib.sha256(secret.encode()).hexdigest().encode(), b"thumbline/receipt/v1", "sha256")
