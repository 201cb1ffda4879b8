"""
A time limit on a whole request.

The time-outs of sockets begin anew with each byte: a server that sends one now and then keeps its client for ever.
So before each operation the socket is given what is left of the time.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, connection_from_url

if TYPE_CHECKING:
    import socket

    from urllib3 import Timeout


class Deadline:
    """
    When the request under way must be over.

    Args:
        limit_s: seconds for a request.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._ends_at_s = 0.0

    def begin(self) -> None:
        """A request begins."""
        self._ends_at_s = time.monotonic() + self.limit_s

    def apply(self, sock: socket.socket, most_s: float | None) -> None:
        """
        Give a socket what is left, for its next operation.

        Args:
            sock: the socket.
            most_s: seconds that it may take at most; None for no other limit.

        Raises:
            TimeoutError: nothing is left.
        """
        left_s = self._ends_at_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        sock.settimeout(left_s if most_s is None else min(most_s, left_s))


def bounded_pool(url: str, timeout: Timeout, deadline: Deadline) -> HTTPConnectionPool:
    """A pool of one connection, whose requests end by a deadline."""
    pool = connection_from_url(url, maxsize=1, timeout=timeout)
    base: Any = HTTPSConnection if pool.scheme == "https" else HTTPConnection
    pool.ConnectionCls = type("BoundedConnection", (_Bounded, base), {"deadline": deadline})
    return pool


class _Bounded:
    """Before the connection classes of urllib3, which are those of `http.client` underneath."""

    deadline: Deadline
    sock: Any

    def send(self, data: Any) -> None:
        # A body is handed to the system in one call, whose time-out is for all of it.
        if self.sock is not None:
            self.deadline.apply(self.sock, None)
        super().send(data)  # type: ignore[misc]

    def response_class(self, sock: Any, *arguments: Any, **named: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *arguments, **named)
        response.fp.close()  # which closes the file only
        response.fp = io.BufferedReader(_BoundedReader(sock, self.deadline))
        return response


class _BoundedReader(io.RawIOBase):
    """What is read of a socket, each time within what is left."""

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", 0)  # keeps the socket open for as long as the answer is read
        self._most_s = sock.gettimeout()
        self._deadline = deadline

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there; see `io.RawIOBase`."""
        self._deadline.apply(self._sock, self._most_s)
        count: int | None = self._file.readinto(buffer)
        return count

    def close(self) -> None:
        """Let go of the socket."""
        self._file.close()
        super().close()
