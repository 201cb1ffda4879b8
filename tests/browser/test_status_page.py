"""The status page in a browser: it follows what happens without a reload, finds a vote, and has no barriers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import axe
from tests.browser.stack import Stack
from tests.processes import Process, answers, wait_for
from thumbline_ingest.ports import free_port

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-this-test"


@dataclass
class Site:
    url: str
    process: Process


@pytest.fixture
def site(stack: Stack) -> Iterator[Site]:
    yield from _serve(stack)


@pytest.fixture
def guarded(stack: Stack) -> Iterator[Site]:
    yield from _serve(stack, status_token=TOKEN)


def _serve(stack: Stack, **settings: Any) -> Iterator[Site]:
    port = free_port()
    collector = int(stack.url.rpartition(":")[2])
    with Process(stack.home, "status-page", status_port=port, port=collector, **settings) as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/livez"), 30, "status page")
        yield Site(f"http://127.0.0.1:{port}", process)


def _reject(stack: Stack) -> None:
    """A vote that the collector refuses."""
    event = {"kind": "thumb", "event_id": "0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e11", "occurred_at": "2026-11-24T10:00:00Z"}
    body = json.dumps({"events": [event | {"value": "sideways", "receipt": stack.receipt()}]}).encode()
    request = Request(f"{stack.url}/v1/votes", body, {"Content-Type": "text/plain", "Origin": stack.host.origin})
    with urlopen(request, timeout=5) as answer:
        assert json.loads(answer.read())["rejected"] == 1


def test_it_follows_a_vote_without_a_reload(site: Site, stack: Stack, page: Page) -> None:
    answer = stack.answer()
    stack.tl.flush(10)
    page.goto(site.url)
    page.evaluate("window.isTheSame = true")
    expect(page.locator("#state")).to_have_text("live")
    # What is typed stays while the page renews itself.
    page.get_by_label("Where is it?").fill("half an i")
    stack.tl.thumb(answer, "up", rater="user", app="the-new-app")
    _reject(stack)
    expect(page.locator("#overview")).to_contain_text("the-new-app", timeout=20_000)
    expect(page.locator("#overview")).to_contain_text("0192f0c1-5a3e-7c44-9b1e-0a4b8d2f6e11", timeout=20_000)
    assert page.evaluate("window.isTheSame")
    assert page.get_by_label("Where is it?").input_value() == "half an i"
    assert page.evaluate("document.activeElement.id") == "id"


def test_it_says_when_it_is_not_live(site: Site, page: Page) -> None:
    page.goto(site.url)
    expect(page.locator("#state")).to_have_text("live")
    site.process.__exit__()
    expect(page.locator("#state")).to_contain_text("not live: no answer since", timeout=20_000)


def test_a_vote_is_found_and_followed(site: Site, stack: Stack, page: Page) -> None:
    one, other = stack.answer("Paris."), stack.answer("Lyon.")
    stack.tl.thumb(one, "up", rater="user")
    stack.tl.thumb(other, "down", rater="user")
    stack.tl.flush(10)
    page.goto(site.url)
    page.get_by_label("Where is it?").fill(one.completion_id)
    page.keyboard.press("Enter")
    result = page.locator("#result")
    expect(result).to_contain_text("current vote", timeout=20_000)
    expect(result).to_contain_text("thumbline export kto makes 1 row of it")
    # No texts unless they are asked for.
    assert "Paris" not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(site: Site, stack: Stack, page: Page, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    answer = stack.answer()
    stack.tl.thumb(answer, "up", rater="user")
    stack.tl.thumb("an-answer-that-never-came", "up", rater="user")
    _reject(stack)
    stack.tl.flush(10)
    stack.wait_until(lambda: bool(stack.current(answer.completion_id)), "landed")
    for path in ("/", f"/?id={answer.completion_id}", "/?id=nothing-of-that-name"):
        page.goto(site.url + path)
        expect(page.locator("#state")).to_have_text("live")
        assert axe.violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_signing_in(guarded: Site, page: Page, context: BrowserContext) -> None:
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{guarded.url}/find.json?id=a", timeout=5)
    page.goto(guarded.url)
    assert axe.violations(page) == []
    page.locator("#token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#wrong")).to_be_visible()
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("live")
    [cookie] = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in page.url
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#token")).to_be_visible()
