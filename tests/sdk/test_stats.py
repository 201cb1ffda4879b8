"""The books: every event is in exactly one place, whatever the server does."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thumbline
from thumbline import MemorySpool, Reply
from thumbline._verdicts import retry_after_s
from thumbline.testing import ManualClock, RecordingTransport

VERDICTS = st.sampled_from(["accepted", "duplicate", "rejected", "retry"])


@st.composite
def behaviours(draw):
    """One reply of a server, good or bad."""
    kind = draw(st.sampled_from(["status", "verdicts", "raise", "garbage"]))
    if kind == "status":
        return draw(st.sampled_from([200, 301, 400, 401, 408, 413, 415, 429, 500, 503]))
    if kind == "raise":
        return draw(st.sampled_from([ConnectionResetError(), TimeoutError(), RuntimeError()]))
    if kind == "garbage":
        return Reply(200, {}, draw(st.binary(max_size=20)))
    told = draw(st.lists(VERDICTS, min_size=8, max_size=8))

    def answer(batch):
        import json

        return Reply(200, {}, json.dumps({"verdicts": [told[i % 8] for i in range(len(batch))]}).encode())

    return answer


def balanced(stats):
    return stats.created + stats.recovered == stats.accounted


@settings(max_examples=60, deadline=timedelta(seconds=5), suppress_health_check=list(HealthCheck))
@given(
    script=st.lists(behaviours(), max_size=12),
    values=st.lists(st.sampled_from(["up", "down", "sideways", None]), max_size=40),
    max_queue_bytes=st.sampled_from([2_000, 10_000, 10**6]),
    spool_bytes=st.sampled_from([None, 1_000, 10**6]),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_every_event_is_accounted_for(script, values, max_queue_bytes, spool_bytes, flags):
    """`created + recovered` is the sum of all whereabouts, during and after, and drops are reported."""
    durable, close_early = flags
    dropped = []
    client = thumbline.Client(
        "http://x",
        key="k",
        transport=RecordingTransport(script),
        on_drop=dropped.append,
        spool=None if spool_bytes is None else MemorySpool(spool_bytes),
        durable=durable and spool_bytes is not None,
        max_queue_bytes=max_queue_bytes,
        max_batch_events=7,
        backoff_initial_s=0.0,
        flush_interval_s=0.0,
        misconfigured_wait_s=0.0,
    )
    for value in values:
        client.thumb("a", value, rater="u")
        assert balanced(client.stats())
    if not close_early:
        client.flush(5)
    assert balanced(client.stats())
    client.close(0.0 if close_early else 5)

    stats = client.stats()
    assert balanced(stats)
    assert len(values) == stats.created
    assert stats.queued == 0
    assert sum(stats.dropped.values()) + stats.rejected == len(dropped)
    invalid = sum(value not in ("up", "down") for value in values)
    assert stats.dropped.get("invalid", 0) <= invalid
    if not stats.dropped.keys() - {"invalid"}:
        assert invalid == stats.dropped.get("invalid", 0)


def test_what_the_server_says_it_has_is_what_was_accepted():
    """With a server that answers at random, accepted events are those that it stored."""
    transport = RecordingTransport([503, ["accepted", "retry", "retry"], ConnectionResetError()])
    with thumbline.Client(
        "http://x", key="k", transport=transport, spool=None, backoff_initial_s=0, flush_interval_s=0.1
    ) as client:
        ids = {client.thumb(f"a{i}", "up", rater="u") for i in range(3)}

    assert ids == set(transport.accepted)
    assert thumbline.Stats(created=3, accepted=3) == client.stats()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("1e9", 300),
        ("inf", 300),
        ("nan", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
        ("99999999999999999999999", 300),
    ],
)
def test_retry_after_is_clamped(value, seconds):
    """No header makes the client wait for more than five minutes, or fail."""
    assert seconds == retry_after_s(value)


def test_backoff_doubles_with_full_jitter_up_to_its_ceiling():
    """Waits are drawn below a ceiling that doubles; success starts over."""
    clock, waits = ManualClock(), []
    transport = RecordingTransport([503] * 30)
    client = thumbline.Client("http://x", key="k", transport=transport, spool=None, clock=clock)
    pipeline = client._pipeline
    sender = pipeline._sender
    sender._start = lambda: None
    sender._signal.wait = lambda timeout_s: clock.advance(timeout_s)
    client.thumb("a", "up", rater="u")
    for n in range(30):
        while len(transport.batches) <= n:
            sender.step()
        waits.append(sender._not_before_s - clock.monotonic_s())
    ceilings = [min(30.0, 0.25 * 2**n) for n in range(30)]

    assert all(0 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))
    assert 10 < max(waits) <= 30
    assert len({round(wait, 6) for wait in waits}) == 30
    while not client.stats().accepted:
        sender.step()
    assert sender._failures == 0
    client.close(0)
