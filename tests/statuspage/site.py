"""A home with collector, loader and status page as processes of their own, and what a reader sees of the page."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.processes import Process, run, wait_for, wait_until_ready
from thumbline_ingest.log import SqliteLog
from thumbline_ingest.ports import free_port


@dataclass
class Answer:
    """What came back for a request."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Tables(HTMLParser):
    """The page's sections by the id of their heading: rows of cells, and all of their text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.texts: dict[str, str] = {}
        self.scripts = 0
        self._section = ""
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self._section = given.get("aria-labelledby") or ""
            self.rows[self._section], self.texts[self._section] = [], ""
        elif tag == "tr" and self._section:
            self.rows[self._section].append([])
        elif tag in ("td", "th") and self._section:
            self.rows[self._section][-1].append("")
            self._in_cell = True
        elif tag == "span" and given.get("class") == "note":
            self._in_cell = False
        elif tag == "script":
            self.scripts += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        elif tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if self._section:
            self.texts[self._section] += " " + " ".join(data.split())
        if self._in_cell:
            self.rows[self._section][-1][-1] = " ".join(f"{self.rows[self._section][-1][-1]} {data}".split())


def request(url: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One request; a name `X_Y` in headers means `X-Y`."""
    parts = urlsplit(url)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())


@dataclass
class Site:
    """The processes of one home, each started when asked for."""

    home: Path
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    collector_url: str = ""
    url: str = ""
    processes: dict[str, Process] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.collector_url = f"http://127.0.0.1:{self.port}"
        self.settings = {"port": self.port} | self.settings

    def start(self, role: str, **settings: Any) -> Process:
        process = self.stack.enter_context(Process(self.home, role, **(self.settings | settings)))
        self.processes[role] = process
        return process

    def collect(self, **settings: Any) -> None:
        if not self.key:
            self.key = run(self.home, "keys", "create", "--project", "demo").stdout.strip()
        self.start("collect", **settings)
        wait_until_ready(self.collector_url)

    def load(self) -> None:
        self.start("load")

    def page(self, **settings: Any) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.start("status-page", status_port=port, **settings)
        wait_for(self.is_alive, what="status page")

    def is_alive(self) -> bool:
        try:
            return request(self.url, "/livez").status == 200
        except OSError:
            return False

    def post(self, events: Any, key: str | None = None) -> Answer:
        body = events if isinstance(events, bytes) else json.dumps(events).encode()
        bearer = f"Bearer {self.key if key is None else key}"
        return request(
            self.collector_url, "/v1/events", "POST", body, Content_Type="application/json", Authorization=bearer
        )

    def vote(self, *votes: Any) -> Answer:
        return request(
            self.collector_url, "/v1/votes", "POST", json.dumps({"events": votes}).encode(), Content_Type="text/plain"
        )

    def put(self, *records: bytes) -> None:
        """Write past the collector, as somebody else's program might."""
        from thumbline_ingest.log import Record

        with contextlib.closing(SqliteLog(self.home / "log.sqlite").writer()) as writer:
            writer.append([Record(b"k", record) for record in records])

    @contextlib.contextmanager
    def without_loader(self) -> Iterator[None]:
        self.processes["load"].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes["load"].signal(signal.SIGCONT)

    def get(self, path: str = "/", **headers: str) -> Answer:
        return request(self.url, path, **headers)

    def find(self, text: str) -> Any:
        answer = self.get(f"/find.json?id={quote(text, safe='')}")
        assert answer.status == 200, answer.text
        return answer.json

    def find_when(self, text: str, state: str) -> Any:
        """What is found, once the first event is in that state."""
        deadline = time.monotonic() + 30
        while True:
            found = self.find(text)
            if found["events"] and found["events"][0]["state"] == state:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def tables(self, path: str = "/") -> Tables:
        answer = self.get(path)
        assert answer.status == 200
        return Tables(answer.text)

    def tables_when(self, holds: Any, path: str = "/") -> Tables:
        """The page, once something holds of it: figures are up to some seconds old."""
        deadline = time.monotonic() + 40
        while True:
            tables = self.tables(path)
            if holds(tables):
                return tables
            assert time.monotonic() < deadline, tables.rows
            time.sleep(0.2)

    def close(self) -> None:
        self.stack.close()


def funnel(tables: Tables) -> dict[str, list[str]]:
    """Line of the funnel -> its numbers."""
    return {row[0]: row[1:] for row in tables.rows["h-funnel"][1:]}
