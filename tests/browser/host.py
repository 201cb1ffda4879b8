"""A host product's web server on loopback: serves the pages that a test gives it, and the bundles from its own origin."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final
from urllib.request import Request, urlopen

from thumbline_ingest.collector.assets import NAMES, asset

# The strictest under which a page can still vote: everything from its own origin, nothing inline.
STRICT: Final = "default-src 'none'; script-src 'self'; connect-src {collector}; base-uri 'none'; form-action 'none'"


@dataclass
class Host:
    """
    The server.

    Attributes:
        pages: path -> (content type, body).
        csp: Content-Security-Policy of its pages; empty for none.
        collector: where it passes votes on to, as a proxy of the host's would.
    """

    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    csp: str = ""
    collector: str = ""

    def __enter__(self) -> Host:
        self._is_over = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hang(self) -> None:
        """Keep a request waiting, until the end."""
        self._is_over.wait(60)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, body: str, path: str = "/", script: str = "") -> str:
        """Serve a page; its URL. `script` runs as a file of the page's own origin, after the body."""
        own = f"{path.rstrip('/')}/page.js"
        self.pages[own] = ("text/javascript", script.encode())
        tag = f'<script src="{own}"></script>' if script else ""
        text = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Host page</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
            f"<body><main><h1>Host page</h1>{body}</main>{tag}</body></html>"
        )
        self.pages[path] = ("text/html; charset=utf-8", text.encode())
        return self.origin + path


def _handler(host: Host) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/hang":
                host.hang()
            elif path[1:] in NAMES:
                self._answer("text/javascript", asset(path[1:]).body)
            elif path in host.pages:
                self._answer(*host.pages[path], {"Content-Security-Policy": host.csp} if host.csp else {})
            else:
                self._answer("text/plain", b"", status=404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Origin", "Content-Type")}
            with urlopen(Request(host.collector + self.path, body, headers), timeout=10) as answer:
                self._answer("application/json", answer.read())

        def _answer(self, kind: str, body: bytes, headers: Mapping[str, str] = {}, status: int = 200) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
