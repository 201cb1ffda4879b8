"""The doubles that hosts use in their own tests."""

import time

import pytest

import thumbline
from thumbline import Reply
from thumbline.testing import ManualClock, RecordingTransport, record


def test_record_shows_what_was_said(tmp_path):
    """Events in the order of the calls, while the block lasts and after."""
    with record() as tl:
        tl.thumb("a", "up", rater="u")
        tl.signal("a", "copy")
        assert [event["kind"] for event in tl.events] == ["thumb", "signal"]
        assert [event["name"] for event in tl.events_of("signal")] == ["copy"]

    assert len(tl.events) == 2
    assert list(tmp_path.rglob("*.seg")) == []
    deadline = time.monotonic() + 2
    while tl._pipeline._sender.is_running and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not tl._pipeline._sender.is_running


def test_record_raises_what_is_wrong():
    """A test should fail where production would drop."""
    with record() as tl, pytest.raises(thumbline.InvalidEvent, match="value"):
        tl.thumb("a", "sideways", rater="u")


def test_the_transport_follows_its_script():
    """Statuses, verdicts, replies, exceptions and functions, one a request, then it accepts."""
    transport = RecordingTransport(
        [
            503,
            ConnectionResetError(),
            Reply(200, {}, b"?"),
            ["retry"],
            lambda batch: Reply(500),
        ]
    )
    with thumbline.Client("http://x", key="k", transport=transport, spool=None, backoff_initial_s=0.0) as tl:
        event_id = tl.thumb("a", "up", rater="u")

    assert len(transport.batches) == 6
    assert {event_id} == set(transport.accepted)
    assert transport.headers[0]["Authorization"] == "Bearer k"


def test_the_clock_stands_still():
    """Events bear the time that a test says."""
    clock = ManualClock(0.0)
    transport = RecordingTransport()
    tl = thumbline.Client("http://x", key="k", transport=transport, spool=None, clock=clock, debug=True)
    tl.thumb("a", "up", rater="u")
    clock.advance(3600)
    tl.thumb("b", "up", rater="u")
    tl.close()

    assert [event["occurred_at"] for event in transport.accepted.values()] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T01:00:00Z",
    ]
