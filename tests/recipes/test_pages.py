"""The recipes' pages in a real Chromium: what a person clicks in them counts, and is in the export."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.processes import run
from tests.recipes.conftest import RECIPES, Site, running

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.recipes, pytest.mark.browser]

ASSISTANT_UI = RECIPES / "assistant-ui"


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    """A page that asks nobody but the recipe and the collector, and neither throws nor warns."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.ARGUMENTS))
        # The texts of elements are in the browser's language where the page names none.
        page = browser.new_context(locale="en-GB").new_page()
        asked: set[str] = set()
        said: list[str] = []
        page.on("request", lambda request: asked.add("/".join(request.url.split("/")[:3])))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "console", lambda message: said.append(message.text) if "favicon" not in message.location["url"] else None
        )
        yield page
        browser.close()
    assert not said, said
    assert asked <= {site.origin, site.url}, asked


def press(page: Page, name: str, says: str = "Saved") -> None:
    """Press the last button of this name, and wait until the page says where the vote is."""
    from playwright.sync_api import expect

    button = page.get_by_role("button", name=name, exact=True).last
    before = button.get_attribute("aria-pressed")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false" if before == "true" else "true")
    expect(page.get_by_role("status").last).to_have_text(says)


def wait_for_thumbs(page: Page, text: str) -> None:
    """Until a text is answered, and its answer can be voted on."""
    from playwright.sync_api import expect

    page.get_by_text(f"You said “{text}”").wait_for()
    expect(page.get_by_role("button", name="Good answer")).to_have_count(page.get_by_text("You said “").count())


def wait_for_votes(site: Site, *wanted: str) -> None:
    """Until these opinions are in force, and no others, and what they are about is there."""
    sql = "SELECT coalesce(value, outcome) AS said FROM current_votes ORDER BY said"
    site.wait_until(lambda: [said for (said,) in site.ask(sql)] == sorted(wanted), f"{wanted}")
    site.wait_until(lambda: '"orphaned": 0' in run(site.home, "status", "--format", "json").stdout, "nothing orphaned")


def labels(site: Site) -> list[tuple[bool, int]]:
    """Of each row of the KTO export: its label, and how many messages its prompt has."""
    return sorted((row["label"], len(row["prompt"])) for row in site.export())


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")),
    reason="no fastapi or uvicorn: make test-recipes",
)
def test_fastapi(site: Site, page: Page) -> None:
    with running(site, str(RECIPES / "fastapi_chat.py")):
        page.goto(site.origin)
        for text, name in (("Hi", "Good answer"), ("And now?", "Bad answer"), ("Bye", "Good answer")):
            page.locator("form").get_by_role("textbox").fill(text)
            page.locator("form").get_by_role("button").click()
            wait_for_thumbs(page, text)
            press(page, name)
        press(page, "Good answer")  # taken back
        wait_for_votes(site, "up", "down")
        assert labels(site) == [(False, 4), (True, 2)]


def test_flask(site: Site, page: Page) -> None:
    with running(site, str(RECIPES / "flask_chat.py")):
        page.goto(site.origin)
        for text, name in (("Hi", "Good answer"), ("And now?", "Bad answer")):
            page.locator("form").get_by_role("textbox").fill(text)
            page.get_by_role("button", name="Send", exact=True).filter(visible=True).last.click()
            wait_for_thumbs(page, text)
            press(page, name)
        wait_for_votes(site, "up", "down")
        page.locator("form").get_by_role("textbox").fill("Which?")
        page.get_by_role("button", name="Compare two answers").click()
        press(page, "Answer 2 is better")
        wait_for_votes(site, "up", "down", "winner")
        shown = page.locator("thumbline-pick > [slot]").all_inner_texts()
        order = page.locator("thumbline-pick > [slot]").evaluate_all("all => all.map(one => one.slot)")
        site.wait_until(lambda: site.ask("SELECT completion_ids FROM comparisons") == [(order,)], "comparison")
        # The pick and its comparison may be there before the answers are.
        site.wait_until(lambda: site.ask("SELECT count(*) FROM completions") == [(4,)], "answers")
        [pair] = site.export("pairs")
        assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == (shown[1], shown[0])
        assert (False, 3) in labels(site)
        assert (True, 1) in labels(site)


@pytest.mark.skipif(
    shutil.which("npm") is None or not (ASSISTANT_UI / "node_modules").exists(),
    reason="assistant-ui is not there: `make web` brings it, with Node.js",
)
def test_assistant_ui(site: Site, page: Page) -> None:
    built = subprocess.run(
        ["npm", "run", "build"], cwd=ASSISTANT_UI, env=os.environ, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    with running(site, str(ASSISTANT_UI / "chat.py")):
        page.goto(site.origin)
        for text, name in (("Hi", "Good answer"), ("And now?", "Bad answer"), ("Bye", "Good answer")):
            page.get_by_role("textbox", name="Message").fill(text)
            page.get_by_role("button", name="Send").click()
            wait_for_thumbs(page, text)
            press(page, name)
        press(page, "Good answer")  # taken back
        wait_for_votes(site, "up", "down")
        page.get_by_role("button", name="Good answer").nth(1).click()  # a change of mind
        wait_for_votes(site, "up", "up")
        press(page, "Bad answer")
        wait_for_votes(site, "up", "up", "down")
        assert labels(site) == [(False, 6), (True, 2), (True, 4)]
        assert site.ask("SELECT count(DISTINCT target_id) FROM exposures WHERE state = 'shown'") == [(3,)]
        [(properties,)] = site.ask("SELECT properties->>'$.dwell_ms' FROM thumbs ORDER BY occurred_at LIMIT 1")
        assert int(properties) >= 0
