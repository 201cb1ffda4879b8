"""The way to the server, as a seam: send one body, get one reply."""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from .errors import TransportError

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

__all__ = ["HttpTransport", "Reply", "Transport"]

# Replies are a few bytes per event; what is longer is a web page from a wrong URL.
_MAX_REPLY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """
    A server's answer.

    Attributes:
        status: HTTP status.
        headers: by lower-case name.
        body: as received, at most 1 MiB of it.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Transport(Protocol):
    """Carries batches to the server. Called by one thread at a time."""

    def send(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """
        Send one batch.

        Raises:
            TransportError: there was no answer. Any other exception is taken in the same way.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class HttpTransport:
    """
    HTTP/1.1 with keep-alive, over urllib3. Neither retries nor follows redirects: the sender decides.

    Args:
        url: the collector's base URL; events go to `{url}/v1/events`.
        connect_timeout_s: seconds until a connection must stand.
        read_timeout_s: seconds without a byte until an answer is given up.
        request_timeout_s: seconds for all of a request, from the connection to the last byte of its answer.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 10.0,
        request_timeout_s: float = 30.0,
    ) -> None:
        # Loaded now and not on the sender's thread: a fork in the middle of an import would leave half
        # a module behind in the child. The codec is what host names go through; it loads when first used.
        import urllib3

        from ._deadline import Deadline, bounded_pool

        codecs.lookup("idna")
        self._urllib3 = urllib3
        self._endpoint = url.rstrip("/") + "/v1/events"
        self._timeouts = (connect_timeout_s, read_timeout_s)
        self._deadline = Deadline(request_timeout_s)
        self._make_pool = bounded_pool
        self._pool: HTTPConnectionPool | None = None
        self._pid = 0

    def send(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post one batch; see `Transport.send`."""
        self._deadline.begin()
        try:
            response = self._pool_of_this_process().request(
                "POST",
                urlsplit(self._endpoint).path,
                body=body,
                headers=dict(headers),
                preload_content=False,
                retries=False,
                redirect=False,
            )
            try:
                content = response.read(_MAX_REPLY_BYTES)
                whole = len(content) < _MAX_REPLY_BYTES
            finally:
                response.release_conn()
            if not whole:
                response.close()
        except (self._urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(type(error).__name__) from error
        names = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, names, content)

    def close(self) -> None:
        """Close idle connections."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _pool_of_this_process(self) -> HTTPConnectionPool:
        # A connection must not be shared with a parent process: answers would be read by the wrong one.
        if self._pool is None or self._pid != os.getpid():
            connect_s, read_s = self._timeouts
            timeout = self._urllib3.Timeout(connect=min(connect_s, self._deadline.limit_s), read=read_s)
            self._pool = self._make_pool(self._endpoint, timeout, self._deadline)
            self._pid = os.getpid()
        return self._pool
