"""
A loopback HTTP server that takes what each SDK sends, answers what it expects, and does nothing else.

    python benchmarks/sink.py     prints its port
"""

from __future__ import annotations

import json
import socket
import threading
import zlib

_JSON = "HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
_ANSWERS: dict[int, bytes] = {}


def _reply(status: int, body: object) -> bytes:
    text = json.dumps(body).encode()
    return _JSON.format(status=status, length=len(text)).encode() + text


def _answer(path: bytes, head: bytes, body: bytes) -> bytes:
    if path == b"/v1/events":
        if b"content-encoding: gzip" in head.lower():
            body = zlib.decompress(body, 31)
        count = body.count(b'"event_id":')
        if count not in _ANSWERS:
            verdicts = {
                "accepted": count,
                "duplicate": 0,
                "rejected": 0,
                "retry": 0,
                "verdicts": ["accepted"] * count,
                "errors": [],
            }
            _ANSWERS[count] = _reply(200, verdicts)
        return _ANSWERS[count]
    if path == b"/api/public/ingestion":
        return _reply(207, {"successes": [], "errors": []})
    return _reply(200, {"success": True})


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, _, rest = data.partition(b"\r\n\r\n")
            lower = head.lower()
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in lower else 0
            body = bytearray(rest)
            while len(body) < length:
                more = connection.recv(262144)
                if not more:
                    return
                body += more
            data = bytes(body[length:])
            connection.sendall(_answer(head.split(b" ", 2)[1], head, bytes(body[:length])))


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
