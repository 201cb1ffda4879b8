"""
Doubles for tests of code that uses thumbline: no network, no disk.

    def test_vote_is_recorded():
        with thumbline.testing.record() as tl:
            handle_click(tl, answer_id="a1", vote="up")
        assert [event["value"] for event in tl.events] == ["up"]
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .client import Client
from .transport import Reply

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .settings import ClientOptions

__all__ = ["ManualClock", "RecordingClient", "RecordingTransport", "record"]

# Of a write key's form, so that `receipt` works too; no collector knows it.
_KEY: Final = "tlk_testtest_" + "test" * 10 + "key"

Scripted: TypeAlias = "int | Sequence[str] | Reply | BaseException | Callable[[list[dict[str, Any]]], Reply]"


class RecordingTransport:
    """
    A server in memory: keeps what it is sent and answers as told.

        RecordingTransport([503, ["accepted", "retry"], ConnectionResetError()])

    Args:
        script: one answer per request: an HTTP status, a list of verdicts, a `Reply`, an exception to
            raise, or a function from the batch to a `Reply`. Afterwards, and for status 200, every event
            is accepted, or a duplicate if it was accepted before.

    Attributes:
        batches: each request's events.
        accepted: events that were stored, by event id, in the order of arrival.
        is_closed: whether the client let go of it.
    """

    def __init__(self, script: Iterable[Scripted] = ()) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.accepted: dict[str, dict[str, Any]] = {}
        self.is_closed = False
        self._script = list(script)
        self._lock = threading.Lock()

    def send(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Take a batch; see `Transport.send`."""
        batch = json.loads(zlib.decompress(body, 31))
        with self._lock:
            self.batches.append(batch)
            self.headers.append(dict(headers))
            answer = self._script.pop(0) if self._script else 200
            if isinstance(answer, BaseException):
                raise answer
            if isinstance(answer, Reply):
                return answer
            if isinstance(answer, int):
                return self._settle(batch, None) if answer == 200 else Reply(answer)
            return answer(batch) if callable(answer) else self._settle(batch, answer)

    def close(self) -> None:
        """See `Transport.close`."""
        self.is_closed = True

    def _settle(self, batch: list[dict[str, Any]], verdicts: Sequence[str] | None) -> Reply:
        told: list[str] = []
        for event, verdict in zip(batch, verdicts or ["accepted"] * len(batch), strict=True):
            is_repeat = verdict == "accepted" and event["event_id"] in self.accepted
            told.append("duplicate" if is_repeat else verdict)
            if told[-1] == "accepted":
                self.accepted[event["event_id"]] = event
        return Reply(200, {}, json.dumps({"verdicts": told}).encode())


class RecordingClient(Client):
    """
    A client whose events go nowhere but to `events`. Wrong ones raise.

    Args:
        transport: the server in memory; one that accepts everything when left out.
        options: as for `Client`.
    """

    def __init__(self, transport: RecordingTransport | None = None, **options: Unpack[ClientOptions]) -> None:
        self.transport = transport or RecordingTransport()
        options.setdefault("debug", True)
        options.setdefault("spool", None)
        options.setdefault("flush_interval_s", 0.0)
        super().__init__("http://thumbline.test", key=_KEY, transport=self.transport, **options)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was recorded so far, as the server would get it, in the order of the calls."""
        self.flush()
        return sorted(self.transport.accepted.values(), key=lambda event: int(event["sequence"]))

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """
        The events of one kind.

        Args:
            kind: e.g. `thumb`.
        """
        return [event for event in self.events if event["kind"] == kind]


@contextmanager
def record(**options: Unpack[ClientOptions]) -> Iterator[RecordingClient]:
    """
    A recording client for the length of a block; a pytest fixture needs no more than this.

        @pytest.fixture
        def tl():
            with thumbline.testing.record() as client:
                yield client

    Args:
        options: as for `Client`.
    """
    with RecordingClient(**options) as client:
        yield client


class ManualClock:
    """
    A clock that stands still until it is moved.

    Args:
        now_s: Unix time in seconds.
    """

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self._now_ns = int(now_s * 1e9)
        self._passed_s = 1.0

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return self._now_ns

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """
        Let time pass.

        Args:
            seconds: how much.
        """
        self._now_ns += int(seconds * 1e9)
        self._passed_s += seconds
