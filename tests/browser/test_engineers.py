"""`docs/engineers.md`: its two tutorials, followed to the letter, clicks included; no copy of them is here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.following import Newcomer, section

pytestmark = [pytest.mark.browser, pytest.mark.slow]

THUMBS, PICK = "Thumbs in ten minutes", "An A/B pick in fifteen"


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    newcomer = Newcomer(tmp_path / "empty")
    try:
        yield newcomer
    finally:
        newcomer.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """What the page throws, or warns of, fails the test."""
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if "favicon" not in message.location["url"] else None)
    yield page
    assert not said, said


def test_thumbs_and_then_a_pick(newcomer: Newcomer, page: Page) -> None:
    for title in (THUMBS, PICK):
        began = time.monotonic()
        newcomer.follow(section("engineers.md", title), page)
        print(f"{title}: {time.monotonic() - began:.0f} s")

    assert [(row["label"], len(row["prompt"])) for row in _rows(newcomer, "kto")] == [(True, 1), (False, 3)]
    [pair] = _rows(newcomer, "pairs")
    assert {pair["chosen"][0]["content"], pair["rejected"][0]["content"]} == {"You said: Hello.", "You said: Hello!"}


def _rows(newcomer: Newcomer, kind: str) -> list[dict[str, Any]]:
    text = (newcomer.folder / "data" / kind / "data" / "train.jsonl").read_text(encoding="utf-8")
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda row: len(row["prompt"]))
