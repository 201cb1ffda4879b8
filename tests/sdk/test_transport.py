"""A request ends, whatever the server does."""

import contextlib
import itertools
import socket
import threading
import time

import pytest

import thumbline
from thumbline import HttpTransport, TransportError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def odd_server():
    """A server that does with each connection what the test says, until it ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    threads = []

    def run(serve):
        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    serve(connection, over)

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield run
    over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join(5)


def trickle(head):
    """Send a byte now and then: never so long apart that a socket's own time-out would end it."""

    def serve(connection, over):
        connection.recv(65_536)
        for byte in itertools.chain(head, itertools.repeat(b"x"[0])):
            connection.sendall(bytes([byte]))
            if over.wait(0.02):
                return

    return serve


def never_read(connection, over):
    over.wait(30)


@pytest.mark.parametrize("serve", [trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "), trickle(HEAD), never_read])
def test_a_request_has_an_end(odd_server, serve):
    """Headers or a body that trickle, and a body that nobody takes."""
    transport = HttpTransport(odd_server(serve), read_timeout_s=30, connect_timeout_s=30, request_timeout_s=0.6)
    began = time.monotonic()

    with pytest.raises(TransportError):
        transport.send(bytes(30_000_000), {})

    assert 0.5 < time.monotonic() - began < 10
    transport.close()


def test_a_reply_within_the_time_is_read_and_the_connection_kept(server):
    """The limit is each request's own."""
    transport = HttpTransport(server.url, request_timeout_s=2.5)
    for _ in range(3):
        reply = transport.send(
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x8b\x8e\x05\x00\x29\xbb\x4c\x0d\x02\x00\x00\x00", {}
        )
        assert (reply.status, reply.headers["content-length"]) == (200, str(len(reply.body)))
        time.sleep(1)
    assert len(set(server.peers)) == 1
    transport.close()


def test_the_sender_goes_on_after_a_reply_that_trickled(odd_server):
    """What it said is unknown: the events are sent again, to a server that has come to its senses."""
    calls = []

    def serve(connection, over):
        calls.append(1)
        if len(calls) == 1:
            return trickle(HEAD)(connection, over)
        connection.recv(65_536)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"verdicts": ["accepted"]}')
        return over.wait(0.1)

    with thumbline.Client(
        odd_server(serve), "k", spool=None, request_timeout_s=0.5, flush_interval_s=0, backoff_initial_s=0
    ) as tl:
        tl.thumb("a", "up", rater="u")
        assert tl.flush(20)
        assert tl.stats().accepted == 1
