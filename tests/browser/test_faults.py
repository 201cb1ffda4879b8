"""What goes wrong around a click: no vote is lost, and none lands twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TABS = 100
# Storage that throws, as browsers have it where a person forbids it.
NO_STORAGE = """
Object.defineProperty(window, "localStorage", {get() { throw new DOMException("denied", "SecurityError") }});
"""
SEND = """
([receipts, votes]) => {
  const client = thumbline.connect({collector: document.body.dataset.collector});
  return Array.from({length: votes}, (_, n) =>
    client.send(receipts[n % receipts.length], {kind: "thumb", value: n % 2 ? "up" : "down"}));
}
"""
STATS = "thumbline.connect({collector: document.body.dataset.collector}).stats()"


@pytest.fixture
def up(stack: Stack) -> Iterator[Stack]:
    """The stack, whose collector runs again after the test."""
    yield stack
    stack.stop_collector()
    stack.start_collector()


def _page_url(stack: Stack) -> str:
    """A page with the client and no elements."""
    body = '<script src="/thumbline.js"></script>'
    setup = f"document.body.dataset.collector = {json.dumps(stack.url)};"
    return stack.host.serve(body, "/client", setup)


def _send(page: Page, stack: Stack, votes: int, things: int = 5) -> list[str]:
    """Votes through the client; their ids."""
    return list(page.evaluate(SEND, [[stack.receipt() for _ in range(things)], votes]))


def _landed(stack: Stack, ids: list[str]) -> list[str]:
    """Ids of these events that landed, as often as they did."""
    rows = stack.ask("SELECT extra->>'$.receipt.event_id' FROM events WHERE kind IN ('thumb', 'pick')")
    wanted = set(ids)
    return sorted(own for (own,) in rows if own in wanted)


def _expect_each_once(stack: Stack, ids: list[str], timeout_s: float = 30) -> None:
    assert len(set(ids)) == len(ids)
    stack.wait_until(lambda: len(_landed(stack, ids)) >= len(ids), f"{len(ids)} landed", timeout_s)
    time.sleep(1)  # time for a second copy to land
    assert _landed(stack, ids) == sorted(ids)


@pytest.mark.parametrize("how", ["closed from outside", "closes itself in the click"])
def test_a_click_and_the_tab_is_closed_at_once(stack: Stack, context: BrowserContext, how: str) -> None:
    # Without storage: no later page can make up for what this one did not send.
    context.add_init_script(NO_STORAGE)
    stack.host.collector = stack.url
    opener = context.new_page()
    opener.goto(stack.host.serve("", "/opener"))
    ids: list[str] = []
    for n in range(TABS // 2):
        tag = '<script src="/thumbline-elements.js"></script>'
        url = stack.host.serve(f'{tag}<thumbline-thumbs receipt="{stack.receipt()}"></thumbline-thumbs>', f"/tab{n}")
        with context.expect_page() as opened:
            opener.evaluate("url => void window.open(url)", url)
        tab = opened.value
        tab.locator("thumbline-thumbs").locator("[part=up]").wait_for()
        # The client is there, and the element has it.
        tab.evaluate("import('/thumbline.mjs').then(() => new Promise(done => setTimeout(done)))")
        ids.append(_click_and_close(tab, itself=how != "closed from outside"))
    _expect_each_once(stack, ids)


# A browser has six connections to a server (HTTP/1.1). All taken, the vote cannot even leave before the tab is gone.
CLICK = """
itself => {
  for (let n = 0; n < 6; n++) void fetch(`/hang?${n}`).catch(() => {});
  const element = document.querySelector("thumbline-thumbs");
  // Written into the opener, which lives on.
  element.addEventListener("thumbline-vote", event => { opener.lastVote = event.detail.event_id; });
  setTimeout(() => {
    element.shadowRoot.querySelector("[part=up]").click();
    if (itself) window.close();
  }, 20);
}
"""


def _click_and_close(tab: Page, itself: bool) -> str:
    """The id of the vote."""
    tab.evaluate(CLICK, itself)
    opener = tab.opener()
    assert opener
    opener.wait_for_function("window.lastVote")
    if not itself:
        tab.close()
    return str(opener.evaluate("(() => { const own = window.lastVote; delete window.lastVote; return own })()"))


def test_a_minute_offline_and_a_minute_without_a_collector(up: Stack, browser: Browser, page: Page) -> None:
    url = _page_url(up)
    page.goto(url)
    elsewhere = browser.new_context()
    other = elsewhere.new_page()
    other.goto(url)
    assert page.evaluate(STATS)["queued"] == 0
    ids: list[str] = []
    page.context.set_offline(True)
    up.stop_collector()
    began = time.monotonic()
    while time.monotonic() - began < 60:
        ids += _send(page, up, 3, things=3)
        ids += _send(other, up, 3, things=3)
        time.sleep(5)
    assert page.evaluate(STATS)["saved"] == other.evaluate(STATS)["saved"] == 0
    up.start_collector()
    # What waits for the collector comes by itself, what was offline with the network.
    page.context.set_offline(False)
    _expect_each_once(up, ids, 90)
    for one in (page, other):
        one.wait_for_function(f"{STATS}.queued === 0")
        assert one.evaluate(STATS) == {"queued": 0, "saved": len(ids) // 2, "lost": {}}
    elsewhere.close()


def test_reload_with_a_full_queue(up: Stack, page: Page) -> None:
    page.goto(_page_url(up))
    up.stop_collector()
    ids = _send(page, up, 500)
    assert page.evaluate(STATS) == {"queued": 500, "saved": 0, "lost": {}}
    page.reload()
    page.reload()
    assert page.evaluate(STATS)["queued"] == 500
    up.start_collector()
    _expect_each_once(up, ids, 60)
    page.wait_for_function(f"{STATS}.queued === 0")
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('thumbline')).length") == 0


def test_an_outage_is_not_made_worse(up: Stack, page: Page) -> None:
    page.goto(_page_url(up))
    up.stop_collector()
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()) if request.url.endswith("/v1/votes") else None)
    _send(page, up, 200)
    page.wait_for_timeout(3000)
    # One for each click while it is not known to be away, then tries that become rare; never the whole line each time.
    before = len(asked)
    page.wait_for_timeout(10_000)
    assert len(asked) - before <= 5
    before = len(asked)
    ids = _send(page, up, 1)
    page.wait_for_timeout(300)
    # Its own, and a planned one at most.
    assert len(asked) - before <= 2
    up.start_collector()
    _expect_each_once(up, ids, 60)


def test_what_is_too_much_is_counted(up: Stack, page: Page) -> None:
    page.goto(_page_url(up))
    up.stop_collector()
    receipts = [up.receipt()]
    send = """([receipt, collector]) => {
      const client = thumbline.connect({collector});
      client.send(receipt, {kind: "signal", name: "copy"});
      for (let n = 0; n < 501; n++) client.send(receipt, {kind: "thumb", value: "up"});
    }"""
    page.evaluate(send, [receipts[0], up.url])
    # First what was only noticed, then the oldest.
    assert page.evaluate(STATS) == {"queued": 500, "saved": 0, "lost": {"full": 2}}
    kinds = page.evaluate("Object.values(localStorage).map(text => JSON.parse(text).kind)")
    assert kinds.count("signal") == 0
    up.start_collector()
    page.wait_for_function(f"{STATS}.queued === 0", timeout=60_000)


def test_two_tabs(up: Stack, context: BrowserContext) -> None:
    url = _page_url(up)
    first, second = context.new_page(), context.new_page()
    for one in (first, second):
        one.goto(url)
    up.stop_collector()
    ids = [*_send(first, up, 50), *_send(second, up, 50)]
    # One is closed; the other has not heard of its votes, a third finds them.
    first.close()
    third = context.new_page()
    third.goto(url)
    assert third.evaluate(STATS)["queued"] == 100
    up.start_collector()
    _expect_each_once(up, ids, 60)
    second.wait_for_function(f"{STATS}.queued === 0", timeout=60_000)
    stats = second.evaluate(STATS)
    # It may have taken over what the first one left.
    assert (stats["saved"] >= 50, stats["lost"]) == (True, {})


def test_storage_is_refused(up: Stack, page: Page) -> None:
    page.add_init_script(NO_STORAGE)
    page.goto(_page_url(up))
    up.stop_collector()
    ids = _send(page, up, 20)
    up.start_collector()
    _expect_each_once(up, ids, 60)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_an_hour_wrong(stack: Stack, browser: Browser, page: Page, hours: int) -> None:
    wrong = browser.new_context()
    wrong.add_init_script(
        f"""{{
          const shift = {hours} * 3600e3, origin = performance.timeOrigin, now = Date.now;
          Object.defineProperty(performance, "timeOrigin", {{value: origin + shift}});
          Date.now = () => now() + shift;
        }}"""
    )
    answer = stack.answer()
    receipt = stack.receipt(answer)
    off = wrong.new_page()
    for one in (off, page):
        one.goto(_page_url(stack))
    say = "([receipt, collector, value]) => thumbline.connect({collector}).send(receipt, {kind: 'thumb', value})"
    ids: list[str] = []
    # Alternating: neither clock wins, the latest vote does.
    for one, value in ((off, "up"), (page, "down"), (off, "retracted"), (page, "up"), (off, "down")):
        ids.append(one.evaluate(say, [receipt, stack.url, value]))
        time.sleep(0.05)
    assert abs(int(ids[0][:8] + ids[0][9:13], 16) / 1000 - time.time() - hours * 3600) < 60, "the clock was not wrong"
    _expect_each_once(stack, ids)
    assert [vote["said"] for vote in stack.current(answer.completion_id)] == ["down"]
    rows: list[Any] = stack.ask(f"SELECT occurred_at FROM thumbs WHERE target_id = '{answer.completion_id}'")
    assert all(abs(when.timestamp() - time.time()) < 120 for (when,) in rows)
    wrong.close()
