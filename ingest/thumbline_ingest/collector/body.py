"""Reads a request's body, inflates it, and stops at the limits."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

from thumbline import limits

from .errors import RequestRefused
from .inflight import Lease

_STEP: Final = 1024 * 1024
# Each member makes zlib copy what follows it: a body of many small ones would cost the square of its size.
_MAX_GZIP_MEMBERS: Final = 8


def read_body(environ: Mapping[str, Any], lease: Lease, most: int = limits.MAX_BODY_BYTES) -> bytes:
    """
    The request's body as JSON bytes.

    Args:
        environ: the WSGI environment.
        lease: charged with the bytes as sent and the bytes inflated.
        most: bytes as sent.

    Raises:
        RequestRefused: 400, 411, 413, 415, or 503 where too many bytes are in flight.
    """
    encoding = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise RequestRefused(415, "unsupported_encoding", "Content-Encoding must be gzip or left out")
    sent = _read_sent(environ, lease, most)
    return inflate(sent, lease) if encoding.endswith("gzip") else sent


def inflate(sent: bytes, lease: Lease) -> bytes:
    """
    The content of a gzip body of up to eight members; never inflates beyond the limit.

    Raises:
        RequestRefused: 400 for anything but whole gzip members, 413 beyond `limits.MAX_INFLATED_BYTES`.
    """
    parts: list[bytes] = []
    room = limits.MAX_INFLATED_BYTES
    rest = sent
    for _ in range(_MAX_GZIP_MEMBERS):
        room, rest = _inflate_member(rest, room, parts, lease)
        if not rest:
            return b"".join(parts)
    raise _not_gzip("has more than 8 gzip members")


def _inflate_member(data: bytes, room: int, parts: list[bytes], lease: Lease) -> tuple[int, bytes]:
    stream = zlib.decompressobj(wbits=31)
    while not stream.eof:
        try:
            part = stream.decompress(data, min(_STEP, room + 1))
        except zlib.error as error:
            raise _not_gzip("is not valid gzip") from error
        room -= len(part)
        if room < 0:
            raise RequestRefused(
                413, "inflated_too_large", f"the body inflates to more than {limits.MAX_INFLATED_BYTES} bytes"
            )
        lease.add(len(part))
        parts.append(part)
        data = stream.unconsumed_tail
        if not part and not data and not stream.eof:
            raise _not_gzip("ends before its gzip stream does")
    return room, stream.unused_data


def _not_gzip(what: str) -> RequestRefused:
    return RequestRefused(400, "bad_gzip", f"the body {what}")


def _read_sent(environ: Mapping[str, Any], lease: Lease, most: int) -> bytes:
    declared = _declared_length(environ)
    if declared is None:
        return _read_chunked(environ["wsgi.input"], lease, most)
    if declared > most:
        raise _too_large(most)
    lease.add(declared)
    body = _read_up_to(environ["wsgi.input"], declared)
    if len(body) < declared:
        raise RequestRefused(400, "body_incomplete", "the body is shorter than its Content-Length")
    return body


def _declared_length(environ: Mapping[str, Any]) -> int | None:
    written = environ.get("CONTENT_LENGTH")
    if written:
        if not (written.isascii() and written.isdigit()):
            raise RequestRefused(400, "bad_content_length", "Content-Length is not a number")
        return int(written) if len(written) < 20 else limits.MAX_BODY_BYTES + 1
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    raise RequestRefused(411, "length_required", "send a Content-Length, or the body in chunks")


def _read_chunked(stream: Any, lease: Lease, most: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while part := stream.read(64 * 1024):
        total += len(part)
        if total > most:
            raise _too_large(most)
        lease.add(len(part))
        parts.append(part)
    return b"".join(parts)


def _read_up_to(stream: Any, count: int) -> bytes:
    # One read is the rule; a server may also hand out less at a time.
    body: bytes = stream.read(count)
    while len(body) < count:
        more = stream.read(count - len(body))
        if not more:
            break
        body += more
    return body


def _too_large(most: int) -> RequestRefused:
    return RequestRefused(413, "body_too_large", f"the body is larger than {most} bytes as sent")
