"""The elements inside a page of React and of Vue, each the real one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stack import Stack
from tests.tutorial import DOCS

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


def test_no_attribute_is_hidden_by_a_property(stack: Stack, page: Page) -> None:
    """React and Vue set a property rather than the attribute where an element has one of that name."""
    receipt = stack.receipt(kinds=["thumb", "rating"])
    pair = stack.receipt(stack.tl.comparison([stack.answer(), stack.answer()]))
    tags = "".join(
        f'<thumbline-{name} receipt="{own}"></thumbline-{name}>'
        for name, own in (("thumbs", receipt), ("pick", pair), ("rating", receipt))
    )
    page.goto(stack.host.serve(f'<script src="{stack.url}/thumbline-elements.js" defer></script>{tags}'))
    expect(page.get_by_role("button", name="Good answer")).to_be_visible()
    text = (DOCS / "browser.md").read_text("utf-8").partition("## Elements")[2].partition("### Events")[0]
    attributes = {
        name for cell in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert {"receipt", "texts", "value", "busy", "low"} <= attributes
    found = page.evaluate(
        "names => ['thumbs', 'pick', 'rating'].flatMap(own => "
        "names.filter(name => name in document.querySelector(`thumbline-${own}`)))",
        sorted(attributes),
    )
    assert set(found) == {"lang"}  # every element's own, which is the attribute
