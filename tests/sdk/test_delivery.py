"""From the call to the server, over real sockets."""

import asyncio
import gc
import json
import threading
import time
import weakref
from email.utils import formatdate

import pytest

import thumbline
from thumbline import MemorySpool, limits
from thumbline.events import EVENT_ADAPTER
from thumbline.testing import RecordingTransport


def until(holds, timeout_s=20):
    """Wait for something that other threads bring about."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def thumbs(client, count, start=0):
    return [client.thumb(f"a{i}", "up", rater="u") for i in range(start, start + count)]


def test_a_thumb_arrives_as_the_contract_says(server, make_client):
    """The request has the documented headers, and its body is a gzipped array of events."""
    client = make_client()
    event_id = client.thumb("a1", "up", rater="u", comment="good")

    assert client.flush()
    headers, batch = server.requests[0]
    assert headers["Authorization"] == "Bearer k"
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Encoding"] == "gzip"
    assert event_id == batch[0]["event_id"]
    assert EVENT_ADAPTER.validate_json(json.dumps(batch[0])).comment == "good"


def test_no_thread_before_the_first_event(make_client):
    """A client that is not used costs no thread."""
    client = make_client()

    assert not client._pipeline._sender.is_running
    client.thumb("a", "up", rater="u")
    assert client._pipeline._sender.is_running


def test_batches_hold_at_most_500_events(server, make_client):
    """A burst is split into batches."""
    client = make_client()
    ids = thumbs(client, 1200)

    assert client.flush()
    assert set(ids) == set(server.stored)
    assert max(len(batch) for _, batch in server.requests) <= 500


def test_batches_stay_below_their_bytes(server, make_client):
    """Large events travel in several requests."""
    client = make_client(max_batch_bytes=50_000)
    for i in range(10):
        client.completion(messages=[{"role": "user", "content": "x" * 20_000}], response="y", model="m", turn=i)

    assert client.flush()
    assert len(server.stored) == 10
    assert max(len(json.dumps(batch)) for _, batch in server.requests) < 70_000


def test_events_wait_for_company(server, make_client):
    """Events of one interval share a request."""
    client = make_client(flush_interval_s=1.5)
    client.thumb("a0", "up", rater="u")
    client.flush()
    thumbs(client, 5)

    assert server.wait_for(6) == 6
    assert len(server.requests) == 2


def test_only_what_the_server_could_not_take_is_sent_again(server, make_client):
    """`retry` is resent, the other verdicts are final."""
    server.script = [
        lambda batch: (
            200,
            {},
            json.dumps(server.verdicts(batch, ["accepted", "retry", "rejected", "retry"])).encode(),
        )
    ]
    dropped = []
    client = make_client(on_drop=dropped.append, flush_interval_s=10)
    ids = thumbs(client, 4)

    assert client.flush()
    assert [ids[1], ids[3]] == [event["event_id"] for event in server.requests[1][1]]
    stats = client.stats()
    assert (stats.accepted, stats.rejected) == (3, 1)
    assert [("rejected", ids[2])] == [(drop.reason, drop.event_id) for drop in dropped]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 301, 302])
def test_a_whole_batch_is_sent_again(server, make_client, status):
    """Statuses that say nothing about the events keep them."""
    server.script = [status, status]
    client = make_client(flush_interval_s=10)
    ids = thumbs(client, 3)

    assert client.flush()
    assert len(server.requests) == 3
    assert set(ids) == set(server.stored)
    assert client.stats().accepted == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"verdicts": ["accepted"]}',
        b'{"verdicts": ["yes", "yes"]}',
        b'{"verdicts": [[], {}]}',
        b'{"verdicts": 7}',
        b"[" * 100_000,
    ],
)
def test_a_reply_that_cannot_be_read_settles_nothing(server, make_client, body):
    """A success without one verdict per event is no success."""
    server.script = [(200, {}, body)]
    client = make_client(flush_interval_s=0.2)
    ids = thumbs(client, 2)

    assert client.flush()
    assert set(ids) == set(server.stored)
    assert len(server.requests) == 2


@pytest.mark.parametrize("when", ["0.5", lambda: formatdate(time.time() + 1.6, usegmt=True)])
def test_retry_after_is_honoured(server, make_client, when):
    """The server decides when it is asked again, in seconds or by a date."""
    server.script = [(503, {"Retry-After": when() if callable(when) else when}, b"")]
    client = make_client()
    thumbs(client, 1)

    assert client.flush()
    assert server.times[1] - server.times[0] >= 0.45


def test_retry_after_counts_for_single_verdicts(server, make_client):
    """Also where only some events are to be sent again."""
    server.script = [(200, {"Retry-After": "0.4"}, b'{"verdicts": ["retry"]}')]
    client = make_client()
    thumbs(client, 1)

    assert client.flush()
    assert server.times[1] - server.times[0] >= 0.4


def test_too_large_a_batch_is_halved(server, make_client):
    """413 halves the batch until it fits, and drops an event that does not fit alone."""

    def refuse_big(batch):
        if len(batch) > 2 or any(event["target_id"] == "a3" for event in batch):
            return 413, {}, b""
        return 200, {}, json.dumps(server.verdicts(batch)).encode()

    server.script = [refuse_big] * 50
    dropped = []
    client = make_client(on_drop=dropped.append, flush_interval_s=0.3)
    ids = thumbs(client, 8)

    assert client.flush()
    assert set(ids) - {ids[3]} == set(server.stored)
    assert [("too_large", ids[3])] == [(drop.reason, drop.event_id) for drop in dropped]
    assert client.stats().dropped == {"too_large": 1}


@pytest.mark.parametrize("status", [400, 415, 422])
def test_a_refused_batch_loses_only_the_bad_event(server, make_client, status):
    """A refused batch is divided until the one bad event is alone."""

    def refuse_bad(batch):
        if any(event["target_id"] == "a5" for event in batch):
            return status, {}, b""
        return 200, {}, json.dumps(server.verdicts(batch)).encode()

    server.script = [refuse_bad] * 50
    client = make_client(flush_interval_s=0.3)
    ids = thumbs(client, 16)

    assert client.flush()
    assert set(ids) - {ids[5]} == set(server.stored)
    assert client.stats().rejected == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_url_keeps_the_events(server, make_client, status, caplog):
    """Nothing is wrong with the events: they wait, and one line says why."""
    server.script = [status] * 3
    client = make_client(misconfigured_wait_s=0.05)
    ids = thumbs(client, 3)

    assert client.flush()
    assert set(ids) == set(server.stored)
    assert sum("refuses the key" in record.message for record in caplog.records) == 1


def test_a_wrong_key_is_named_when_events_are_lost_to_it(server, make_client):
    """Without a spool, events that a wrong key kept back are dropped under that name."""
    server.script = [401] * 50
    client = make_client()
    thumbs(client, 2)

    assert not client.close(0.2)
    assert client.stats().dropped == {"unauthorized": 2}


def test_outage_loses_nothing_and_stores_nothing_twice(server, make_client):
    """200 events a second through an outage of 3 seconds, connections refused or cut."""
    client = make_client(backoff_max_s=0.5)
    ids = []
    start = time.monotonic()
    while (passed := time.monotonic() - start) < 4:
        server.is_down = 0.5 < passed < 3.5
        ids.append(client.thumb("a", "up", rater="u"))
        time.sleep(0.005)

    assert client.flush(30)
    assert set(ids) == set(server.stored)
    assert len(ids) == client.stats().accepted + client.stats().duplicate
    assert len(server.received) == len(set(server.received))


def test_a_server_that_comes_later_gets_everything(server, make_client):
    """Events wait for a server that nobody listens at yet."""
    server.is_down = True
    client = make_client(backoff_max_s=0.05)
    ids = thumbs(client, 10)
    assert not client.flush(0.2)
    server.is_down = False

    assert client.flush()
    assert set(ids) == set(server.stored)


def test_a_full_queue_drops_the_newest(server, make_client):
    """Without a spool the queue is bounded, and what is lost is counted and reported."""
    server.is_down = True
    dropped = []
    client = make_client(max_queue_bytes=50_000, on_drop=dropped.append)
    ids = thumbs(client, 200)
    server.is_down = False

    assert client.flush()
    lost = client.stats().dropped["queue_full"]
    assert lost > 50
    assert lost + len(server.stored) == 200
    assert {drop.event_id for drop in dropped} == set(ids) - set(server.stored)
    assert {"queue_full"} == {drop.reason for drop in dropped}


def test_a_full_queue_goes_to_the_spool(server, make_client, tmp_path):
    """With a spool nothing is lost; it is delivered when the server is back, and the files are gone."""
    server.is_down = True
    client = make_client(max_queue_bytes=50_000, spool=tmp_path, backoff_max_s=0.05)
    ids = thumbs(client, 400)
    assert client.stats().spooled > 0
    server.is_down = False

    assert client.flush()
    assert set(ids) == set(server.stored)
    assert client.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_spool_drops(server, make_client, tmp_path):
    """The spool has a cap of its own."""
    server.is_down = True
    client = make_client(max_queue_bytes=10_000, spool=tmp_path, spool_max_bytes=10_000)
    thumbs(client, 200)

    stats = client.stats()
    assert stats.dropped["spool_full"] > 50
    assert stats.spooled > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000


def test_a_spool_that_cannot_be_written_is_done_without(server, make_client, tmp_path, caplog):
    """One warning, and the client goes on with its memory."""
    (tmp_path / "file").write_text("")
    client = make_client(max_queue_bytes=10_000, spool=tmp_path / "file" / "x")
    server.is_down = True
    thumbs(client, 100)
    server.is_down = False

    assert client.flush()
    assert client.stats().dropped["queue_full"] + len(server.stored) == 100
    assert sum("spool cannot be written" in record.message for record in caplog.records) == 1


def test_close_spools_what_is_left(server, make_client, tmp_path):
    """After its deadline `close` leaves the rest on disk, and the next client delivers it."""
    server.is_down = True
    first = make_client(spool=tmp_path)
    ids = thumbs(first, 20)
    assert not first.close(0.2)
    assert (first.stats().spooled, first.stats().queued) == (20, 0)
    server.is_down = False

    second = make_client(spool=tmp_path)
    assert second.flush()
    assert set(ids) == set(server.stored)
    # A request of the first one may have been under way to the end, and be taken now.
    stats = second.stats()
    assert (stats.recovered, stats.accepted + stats.duplicate) == (20, 20)
    assert list(tmp_path.iterdir()) == []


def test_calls_after_close_are_counted(make_client):
    """A closed client takes nothing, and says so."""
    client = make_client()
    client.close()
    client.thumb("a", "up", rater="u")

    assert client.stats().dropped == {"shutdown": 1}
    assert client.close()


def test_block_delivers_at_its_end(server):
    """A client in a `with` block needs no flush."""
    with thumbline.Client(server.url, key="k", spool=None) as client:
        client.thumb("a", "up", rater="u")

    assert len(server.stored) == 1


def test_aflush_leaves_the_loop_running(server, make_client):
    """The event loop turns while a slow server answers."""
    turned = threading.Event()

    def slow(batch):
        turned.wait(10)
        return 200, {}, json.dumps(server.verdicts(batch)).encode()

    server.script = [slow]
    client = make_client()
    turns = []

    async def tick():
        while True:
            turns.append(1)
            if len(turns) > 10:
                turned.set()
            await asyncio.sleep(0.01)

    async def main():
        ticking = asyncio.create_task(tick())
        client.thumb("a", "up", rater="u")
        done = await client.aflush()
        ticking.cancel()
        return done

    assert asyncio.run(main())
    assert len(server.stored) == 1
    assert turned.is_set()


def test_aflush_ends_in_time(server, make_client):
    """A server that is away does not hold up a request handler."""
    server.is_down = True
    client = make_client()
    client.thumb("a", "up", rater="u")

    assert not asyncio.run(client.aflush(0.1))


def test_flush_waits_for_older_events_that_are_sent_again(server, make_client):
    """Newer events that got through do not make up for an older one."""
    server.script = [
        lambda batch: (
            200,
            {"Retry-After": "0.3"},
            json.dumps(server.verdicts(batch, ["retry"] + ["accepted"] * (len(batch) - 1))).encode(),
        )
    ]
    client = make_client(flush_interval_s=0.2)
    first = client.thumb("first", "up", rater="u")
    thumbs(client, 5)

    assert client.flush()
    assert first in server.stored


def test_flush_waits_for_events_that_are_being_encoded(server, make_client):
    """Between queue and request an event is in nobody's list but the sender's."""
    client = make_client()
    sender, encode = client._pipeline._sender, client._pipeline._encode

    def slowly(draft):
        time.sleep(0.1)
        return encode(draft)

    sender._encode = slowly
    ids = thumbs(client, 3)

    assert client.flush()
    assert set(ids) == set(server.stored)


def test_close_answers_for_events_that_are_being_encoded(server, make_client):
    """Where the deadline falls into the middle of a batch, each of its events is counted once."""
    client = make_client()
    sender, encode = client._pipeline._sender, client._pipeline._encode
    began, may_end = threading.Event(), threading.Event()

    def slowly(draft):
        if not began.is_set():
            began.set()
            may_end.wait(10)
        return encode(draft)

    sender._encode = slowly
    thumbs(client, 6)
    assert began.wait(10)
    client.close(0.0)
    may_end.set()
    until(lambda: not sender.is_running)

    stats = client.stats()
    assert (stats.queued, stats.created) == (0, stats.accounted)
    assert stats.dropped == {"shutdown": 6}


def test_on_drop_may_fail(make_client):
    """What the host's callback raises is swallowed; closing from it does not hang."""

    def fail(drop):
        raise RuntimeError

    client = make_client(on_drop=fail)
    client.thumb("a", "sideways", rater="u")
    client.thumb("a", "up", rater="u")

    assert client.flush()
    assert (client.stats().accepted, client.stats().dropped) == (1, {"invalid": 1})


@pytest.mark.parametrize("end", ["flush", "close"])
@pytest.mark.parametrize("where", ["sender", "caller"])
def test_flush_and_close_return_when_on_drop_knows_all_that_is_counted(server, make_client, end, where):
    """Also where their time is up, and where another thread of the host's is the one that tells it."""
    began, may_end, told = threading.Event(), threading.Event(), []

    def slow(drop):
        began.set()
        may_end.wait(5)
        told.append(drop)

    client = make_client(on_drop=slow)
    server.script = [lambda batch: (200, {}, b'{"verdicts": ["rejected"]}')]
    answer = "a" if where == "sender" else object()
    calls = threading.Thread(target=lambda: client.thumb(answer, "up", rater="u"))
    calls.start()
    assert began.wait(5)
    counted = client.stats()
    assert counted.rejected + sum(counted.dropped.values()) == 1

    threading.Timer(0.2, may_end.set).start()
    getattr(client, end)(0.0)

    assert len(told) == 1
    calls.join()


def test_a_second_close_waits_for_the_first(server, make_client):
    began, may_end = threading.Event(), threading.Event()

    def slow(batch):
        began.set()
        may_end.wait(5)
        return 200, {}, b'{"verdicts": ["accepted"]}'

    client = make_client()
    server.script = [slow]
    client.thumb("a", "up", rater="u")
    first = threading.Thread(target=client.close, args=(5,))
    first.start()
    assert began.wait(5)

    threading.Timer(0.2, may_end.set).start()
    assert client.close(5)

    assert thumbline.Stats(created=1, accepted=1) == client.stats()
    first.join()


def test_flush_in_on_drop_does_not_wait_for_itself(make_client):
    seen = []

    def flush(drop):
        start = time.monotonic()
        seen.append(client.flush(5))
        assert time.monotonic() - start < 4

    client = make_client(on_drop=flush)
    client.thumb(object(), "up", rater="u")

    assert seen == [True]


def test_close_from_on_drop_does_not_wait_for_itself(make_client):
    """The sender's own thread cannot wait for the sender."""
    took = []

    def close(drop):
        if drop.reason == "invalid":
            start = time.monotonic()
            client.close(8)
            took.append(time.monotonic() - start)

    client = make_client(on_drop=close)
    client.thumb("a", "up", rater="u")
    client.thumb("a", "sideways", rater="u")
    client.thumb("a", "up", rater="u")
    until(lambda: took)

    assert took[0] < 6
    assert client.stats().accounted == 3


def test_an_event_above_the_limit_is_dropped_before_it_travels(server, make_client):
    """The contract's limit is checked by the client."""
    client = make_client()
    parts = [{"role": "user", "content": "é" * (limits.MAX_TEXT_LENGTH // 4)} for _ in range(4)]
    client.completion(messages=parts, response="x", model="m")

    assert client.flush()
    assert client.stats().dropped == {"too_large": 1}
    assert not server.requests


def test_a_forgotten_client_delivers_and_goes(server):
    """A client that is garbage collected still delivers, and its thread ends."""
    client = thumbline.Client(server.url, key="k", spool=None, flush_interval_s=0.3)
    client.thumb("a", "up", rater="u")
    sender = client._pipeline._sender
    gone = weakref.ref(client)
    del client
    gc.collect()

    assert gone() is None
    assert server.wait_for(1) == 1
    sender._signal.set()
    until(lambda: not sender.is_running)


def test_a_dead_thread_is_made_anew(server, make_client):
    """Should the sender ever die of a defect, the next event starts another."""
    client = make_client()
    sender = client._pipeline._sender
    step, calls = sender.step, []

    def fail_once(*args):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError
        step(*args)

    sender.step = fail_once
    client.thumb("a", "up", rater="u")
    while sender.is_running:
        time.sleep(0.001)
    client.thumb("b", "up", rater="u")

    assert client.flush()
    assert len(server.stored) == 2


def test_a_transport_that_raises_anything_is_retried(caplog):
    """A host's own transport may fail in its own way."""
    transport = RecordingTransport([ZeroDivisionError(), KeyError("x"), ConnectionResetError()])
    with thumbline.Client("http://x", key="k", transport=transport, spool=None, backoff_initial_s=0.001) as client:
        client.thumb("a", "up", rater="u")

    assert client.stats().accepted == 1
    assert transport.is_closed
    assert "thread ended" not in caplog.text


def test_durable_events_are_on_disk_when_the_call_returns(server, make_client, tmp_path):
    """With `durable=True` each event is on disk first, and gone from there once it is delivered."""
    server.is_down = True
    client = make_client(spool=tmp_path, durable=True, backoff_max_s=0.05)
    ids = thumbs(client, 10)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(event_id.encode() in content for event_id in ids)
    server.is_down = False

    assert client.flush()
    assert set(ids) == set(server.stored)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0
    client.close()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_of_the_hosts_own_is_used(server, make_client):
    """The spool is a seam: memory in place of files."""
    spool = MemorySpool()
    server.is_down = True
    client = make_client(spool=spool)
    thumbs(client, 5)
    client.close(0.1)
    assert client.stats().spooled == 5
    server.is_down = False

    other = make_client(spool=spool)
    assert other.flush()
    assert 5 == len(server.stored) == other.stats().recovered


def test_many_threads_lose_nothing(server, make_client):
    """Calls from many threads are all counted and all delivered."""
    client = make_client()
    threads = [threading.Thread(target=thumbs, args=(client, 500)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.flush()
    assert 4000 == client.stats().created == client.stats().accepted == len(server.stored)
    assert len({event["sequence"] for event in server.stored.values()}) == 4000
