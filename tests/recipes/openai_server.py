"""A server on loopback that speaks OpenAI's API, for the real client: it answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "acme-7b-2026-11"
REPLY_ID = "chatcmpl-1"
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@dataclass
class Answer:
    """
    What the server says to one request.

    Attributes:
        body: of a whole answer.
        status: HTTP's.
        events: of a stream; sent one by one.
        is_broken: the connection is cut after the last event, without an end.
        gate: the events after the first `held_from` wait for it.
    """

    body: Any = None
    status: int = 200
    events: list[Any] | None = None
    is_broken: bool = False
    held_from: int = 10**9
    gate: threading.Event = field(default_factory=threading.Event)


def choice(message: dict[str, Any], index: int = 0, finish_reason: str = "stop") -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant"} | message, "finish_reason": finish_reason}


def whole(*choices: dict[str, Any], **changes: Any) -> Answer:
    """An answer in one piece."""
    body = {
        "id": REPLY_ID, "object": "chat.completion", "created": 1, "model": MODEL, "choices": list(choices),
        "usage": USAGE, "system_fingerprint": "fp_1",
    }  # fmt: skip
    return Answer(body | changes)


def said(text: str) -> Answer:
    return whole(choice({"content": text, "refusal": None, "annotations": []}))


def chunk(
    delta: dict[str, Any] | None, index: int = 0, finish_reason: str | None = None, **more: Any
) -> dict[str, Any]:
    """One chunk of a stream; with no delta it holds no choice."""
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": REPLY_ID, "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices,
    } | more  # fmt: skip


def streamed(*deltas: dict[str, Any], finish_reason: str | None = "stop", **more: Any) -> Answer:
    """An answer in chunks, one for each delta, and one with the reason."""
    chunks = [chunk(delta) for delta in deltas]
    if finish_reason is not None:
        chunks.append(chunk({}, finish_reason=finish_reason))
    return Answer(events=[*chunks, "[DONE]"], **more)


def words(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]


class OpenAIServer:
    """
    The server.

    Attributes:
        url: base URL for the client.
        requests: bodies of the requests, in order.
        paths: their paths.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.paths: list[str] = []
        self.script: list[Answer] = []
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def stop(self) -> None:
        for answer in self.script:
            answer.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: OpenAIServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end early are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_POST(self) -> None:
        owner = self.server.owner
        owner.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        owner.paths.append(self.path)
        answer = owner.script.pop(0)
        if answer.events is None:
            self._send(answer)
        else:
            self._stream(answer, answer.events)

    def _send(self, answer: Answer) -> None:
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: Answer, events: Iterable[Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for place, event in enumerate(events):
            if place >= answer.held_from:
                answer.gate.wait(10)
            text = event if isinstance(event, str) else json.dumps(event)
            name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
            data = f"{name}data: {text}\n\n".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        if answer.is_broken:
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any) -> None:
        pass
