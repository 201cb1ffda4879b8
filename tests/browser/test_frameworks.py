"""The elements inside a page of React and of Vue, each the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stack import Stack

BUILT = Path(__file__).parent.parent.parent / ".cache" / "frameworks"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not BUILT.exists(), reason="React and Vue are not there: `make web` brings them, with Node.js"),
]


@pytest.mark.parametrize("name", ["react", "vue"])
def test_votes_and_events(stack: Stack, page: Page, name: str) -> None:
    answer, one, two = (stack.answer() for _ in range(3))
    pair = stack.tl.comparison([one, two])
    data = {"receipt": stack.receipt(answer), "pair": {"receipt": stack.receipt(pair), "order": pair.order}}
    script = (BUILT / f"{name}.js").read_text("utf-8")
    body = (
        f'<script src="{stack.url}/thumbline-elements.js" defer></script>'
        f'<script type="application/json" id="data">{json.dumps(data)}</script><div id="app"></div>'
    )
    page.goto(stack.host.serve(body, f"/{name}", script))
    page.get_by_role("button", name="Good answer").click()
    expect(page.locator("output")).to_have_text("thumb up")
    page.get_by_role("button", name="Answer 2 is better").click()
    expect(page.locator("output")).to_have_text("pick winner")
    stack.wait_until(lambda: [vote["said"] for vote in stack.current(answer.completion_id)] == ["up"], "thumb")
    stack.wait_until(
        lambda: [vote["winner_id"] for vote in stack.current(pair.comparison_id)] == [pair.order[1]], "pick"
    )
