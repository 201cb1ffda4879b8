"""Collector and loader as processes, for one host; either can be stopped and started again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import thumbline
from tests.browser.host import Host
from tests.processes import Process, ask, run, wait_for, wait_until_ready
from thumbline_ingest.ports import free_port


class Stack:
    """
    What stands behind a page.

    Args:
        home: folder of log, warehouse and keys; made.
        host: whose origin may send votes.
    """

    def __init__(self, home: Path, host: Host) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.host = host
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.key = run(home, "keys", "create", "--project", "demo").stdout.strip()
        self._settings: dict[str, Any] = {
            "port": self._port,
            "allowed_origins": host.origin,
            "votes_per_address": 0,
            "votes_per_receipt": 0,
            "max_batch_age_s": 0.2,
        }
        self._collector: Process | None = None
        self._loader: Process | None = None
        self._names = itertools.count()
        self.tl = thumbline.Client(
            self.url, key=self.key, pepper="test", training_consent="granted", spool=None, debug=True, app="test"
        )

    def start(self) -> None:
        self._loader = Process(self.home, "load", **self._settings)
        self.start_collector()

    def close(self) -> None:
        self.tl.close()
        self.stop_collector()
        if self._loader:
            self._loader.__exit__()

    def start_collector(self, **settings: Any) -> None:
        self._collector = Process(self.home, "collect", **(self._settings | settings))
        wait_until_ready(self.url)

    def stop_collector(self) -> None:
        if self._collector:
            self._collector.__exit__()
            self._collector = None

    def answer(self, text: str = "Paris.", **fields: Any) -> thumbline.Answer:
        """Log an answer, each in a conversation of its own."""
        name = f"c{next(self._names)}"
        question = [{"role": "user", "content": "Capital of France?"}]
        fields = {"conversation_id": name, "model": "toy", "policy": "toy@1"} | fields
        return self.tl.completion(messages=question, response=text, **fields)

    def receipt(self, target: Any = None, rater: str = "user", **options: Any) -> str:
        """A receipt; for a new answer when no target is given."""
        return self.tl.receipt(self.answer() if target is None else target, rater=rater, **options)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return ask(self.home, sql)

    def current(self, target_id: str) -> list[dict[str, Any]]:
        """The opinions on one thing that are in force."""
        rows = self.ask(
            "SELECT kind, coalesce(value, outcome, score::VARCHAR) AS said, tags, comment, winner_id FROM current_votes "
            f"WHERE target_id = '{target_id}' ORDER BY kind"
        )
        return [dict(zip(("kind", "said", "tags", "comment", "winner_id"), row, strict=True)) for row in rows]

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 15) -> None:
        wait_for(condition, timeout_s, what)
