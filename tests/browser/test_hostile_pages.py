"""Pages, stores and networks that do what they should not: the other votes still arrive, and the page never breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import axe
from tests.browser.stack import Stack

pytestmark = pytest.mark.browser

STATS = "thumbline.connect({collector: document.body.dataset.collector}).stats()"
SEND = """([receipt, said]) => {
  window.heard ??= [];
  const client = thumbline.connect({collector: document.body.dataset.collector});
  return client.send(receipt, said, state => window.heard.push(state));
}"""
UP = {"kind": "thumb", "value": "up"}

Open = Callable[..., str]


@pytest.fixture
def open_page(stack: Stack, page: Page) -> Open:
    """Show a page with client and elements; its URL. `before` runs before anything of thumbline does."""
    stack.host.csp = ""

    def open_page(body: str = "", before: str = "", scripts: str = "") -> str:
        setup = f"document.body.dataset.collector = {json.dumps(stack.url)};"
        if before:
            page.add_init_script(before)
        tags = f'<script src="/thumbline.js"></script><script src="/thumbline-elements.js" data-collector="{stack.url}"></script>'
        url = stack.host.serve((scripts or tags) + body, "/hostile", setup)
        page.goto(url)
        return url

    return open_page


def _thumbs(receipt: str, attributes: str = "") -> str:
    return f'<thumbline-thumbs receipt="{receipt}" {attributes}></thumbline-thumbs>'


def _expect_saved(page: Page, votes: int) -> None:
    page.wait_for_function(f"{STATS}.saved === {votes} && {STATS}.queued === 0", timeout=20_000)


def _answer_with(page: Page, *answers: dict[str, Any]) -> list[Any]:
    """Answer in place of the collector, one after the other, then let requests through; the bodies that were sent."""
    left, bodies = list(answers), []

    def answer(route: Route) -> None:
        bodies.append(json.loads(route.request.post_data or "{}"))
        if not left:
            return route.continue_()
        own = left.pop(0)
        if own.pop("abort", False):
            return route.abort()
        cors = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
        return route.fulfill(**(own | {"headers": cors | own.get("headers", {})}))

    page.route("**/v1/votes", answer)
    return bodies


# -- what other code of the origin left in the store -------------------------------------------------------


POISON = {
    "no JSON": "{oops",
    "null": "null",
    "a number": "5",
    "a list": "[1]",
    "empty": "",
    "no id": "{}",
    "an id that is no text": '{"event_id": {"a": 1}}',
    "the id of another entry": '{"event_id": "other", "occurred_at": "2026-01-01T00:00:00Z"}',
    "a prototype": '{"__proto__": {"event_id": "OWN"}, "event_id": "OWN"}',
    "a time that is no text": '{"event_id": "OWN", "occurred_at": {"toString": 1, "valueOf": 1}}',
    "deep": '{"event_id": "OWN", "a": ' + "[" * 20000 + "]" * 20000 + "}",
    "no event": '{"event_id": "OWN", "kind": 5, "receipt": {}}',
    "large": '{"event_id": "OWN", "kind": "thumb", "comment": "' + "x" * 400_000 + '"}',
}


@pytest.mark.parametrize("what", POISON)
def test_a_poisoned_entry_does_not_block_others(open_page: Open, stack: Stack, page: Page, what: str) -> None:
    answer = stack.answer()
    open_page()
    store = (
        "([key, text]) => { for (const n of '123') localStorage.setItem(key + n, text.replaceAll('OWN', 'own' + n)) }"
    )
    page.evaluate(store, [f"thumbline:{stack.url}/:own", POISON[what]])
    open_page(_thumbs(stack.receipt(answer)))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    page.wait_for_function(f"{STATS}.queued === 0 && !Object.keys(localStorage).length", timeout=8000)
    stack.wait_until(lambda: [one["said"] for one in stack.current(answer.completion_id)] == ["up"], "landed")


def test_the_browser_has_no_room(open_page: Open, stack: Stack, page: Page) -> None:
    open_page(_thumbs(stack.receipt()))
    page.evaluate(
        "for (let size = 2 ** 22; size; size >>= 1) try { for (let n = 0; ; n++) localStorage.setItem(size + ':' + n, 'x'.repeat(size)) } catch {}"
    )
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")


# -- what comes back in place of a verdict -----------------------------------------------------------------


def _json(value: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    return {"status": status, "content_type": "application/json", "body": json.dumps(value), "headers": headers}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "content_type": "text/html", "body": "<p>Log in to the network</p>"},
        {"status": 200, "body": ""},
        {"status": 204},
        {"status": 400, "body": "<p>Bad request</p>"},
        _json({"error": {"code": "x", "message": "no"}}, 401),
        _json({"error": {"code": "x", "message": "no"}}, 403),
        {"status": 404, "body": "nothing here"},
        _json({"error": {"code": "x", "message": "no"}}, 415),
        _json({"error": {"code": "x", "message": "no"}}, 429),
        _json({"error": {"code": "x", "message": "no"}}, 429, **{"Retry-After": "Thu, 26 Nov 2026 20:00:00 GMT"}),
        _json({"error": {"code": "x", "message": "no"}}, 429, **{"Retry-After": "-5"}),
        _json({"error": "no"}, 503, **{"Retry-After": "1"}),
        _json(None),
        _json([]),
        _json("no"),
        _json({"verdicts": None, "errors": None}),
        _json({"verdicts": 5, "errors": 5}),
        _json({"verdicts": ["rejected"], "errors": [None]}),
        {"abort": True},
    ],
    ids=lambda answer: f"{answer.get('status')} {answer.get('body', '')[:30]}",
)
def test_an_answer_that_is_none(open_page: Open, stack: Stack, page: Page, answer: dict[str, Any]) -> None:
    thing = stack.answer()
    open_page()
    _answer_with(page, answer)
    page.evaluate(SEND, [stack.receipt(thing), UP])
    page.wait_for_function(f"{STATS}.queued === 0", timeout=6000)
    assert page.evaluate("window.heard.map(({status}) => status)") in (["waiting", "saved"], ["waiting", "refused"])


@pytest.mark.parametrize("seconds", ["2592000", "1e999"])
def test_a_wait_without_end(open_page: Open, stack: Stack, page: Page, seconds: str) -> None:
    open_page()
    bodies = _answer_with(page, _json({"error": {"message": "no"}}, 429, **{"Retry-After": seconds}))
    # How often the page asks for time.
    page.evaluate(
        "window.timers = 0; const own = setTimeout; window.setTimeout = (...all) => (window.timers++, own(...all))"
    )
    page.evaluate(SEND, [stack.receipt(), UP])
    page.wait_for_function("window.timers > 0")
    page.wait_for_timeout(500)
    assert page.evaluate("window.timers") < 5
    assert len(bodies) == 1


def test_one_event_that_is_never_answered_does_not_hold_up_others(open_page: Open, stack: Stack, page: Page) -> None:
    thing = stack.answer()
    open_page()

    # A firewall that does not like a word, and tells the page nothing.
    def answer(route: Route) -> None:
        return route.abort() if "DROP TABLE" in (route.request.post_data or "") else route.continue_()

    page.route("**/v1/votes", answer)
    page.evaluate(SEND, [stack.receipt(), UP | {"value": "down", "comment": "DROP TABLE"}])
    page.wait_for_timeout(50)
    # Noticed, not said: it has no way past those that wait.
    page.evaluate(SEND, [stack.receipt(thing), {"kind": "signal", "name": "copy"}])
    page.evaluate(SEND, [stack.receipt(thing), {"kind": "signal", "name": "share"}])
    page.wait_for_function(f"{STATS}.saved === 2", timeout=12_000)
    assert page.evaluate(STATS) == {"queued": 1, "saved": 2, "lost": {}}


def test_a_page_that_uses_a_wrong_address_is_told(open_page: Open, stack: Stack, page: Page) -> None:
    open_page()
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    _answer_with(page, *[{"status": 200, "content_type": "text/html", "body": "<p>Another app</p>"}] * 3)
    page.evaluate(SEND, [stack.receipt(), UP])
    page.wait_for_function(f"{STATS}.saved === 1", timeout=15_000)
    assert any("votes wait" in text for text in warnings), warnings


# -- what pages do to the client ---------------------------------------------------------------------------


def test_a_listener_that_throws(open_page: Open, stack: Stack, page: Page) -> None:
    open_page()
    send = SEND.replace("window.heard.push(state)", "{ throw new Error('of the page') }")
    for _ in range(2):
        assert page.evaluate(send, [stack.receipt(), UP])
    _expect_saved(page, 2)


def test_a_listener_of_the_page_hears_the_verdict_also_where_an_element_shows_the_vote(
    open_page: Open, stack: Stack, page: Page
) -> None:
    open_page()
    receipt = stack.receipt()
    stack.stop_collector()
    page.evaluate(SEND, [receipt, UP])
    page.evaluate("receipt => document.body.insertAdjacentHTML('beforeend', receipt)", _thumbs(receipt) * 2)
    expect(page.get_by_role("button", name="Good answer").last).to_have_attribute("aria-pressed", "true")
    stack.start_collector()
    page.evaluate("thumbline.connect({collector: document.body.dataset.collector}).flush()")
    expect(page.get_by_role("status").first).to_have_text("Saved")
    expect(page.get_by_role("status").last).to_have_text("Saved")
    assert page.evaluate("window.heard.map(({status}) => status)") == ["waiting", "saved"]


@pytest.mark.parametrize(
    "before",
    [
        "delete window.IntersectionObserver",
        "delete Navigator.prototype.sendBeacon",
        "const own = fetch; let n = 0; window.fetch = (...all) => { if (!n++) throw new Error('no'); return own(...all); }",
        "window.Date = class extends Date { constructor(...all) { super(...(all.length ? all : [0])) } static now() { return 0 } }",
        "Object.defineProperty(crypto, 'subtle', {value: undefined}); Object.defineProperty(crypto, 'randomUUID', {value: undefined})",
        "Object.prototype.extra = () => 5; Array.prototype.extra = () => 5",
    ],
)
def test_a_page_that_overwrites_what_it_should_not(open_page: Open, stack: Stack, page: Page, before: str) -> None:
    answer = stack.answer()
    open_page(_thumbs(stack.receipt(answer)), before=before)
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved", timeout=8000)
    page.get_by_text("Wrong", exact=True).click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    stack.wait_until(lambda: [one["tags"] for one in stack.current(answer.completion_id)] == [["wrong"]], "landed")


def test_a_browser_without_keepalive_sends_a_beacon(open_page: Open, stack: Stack, page: Page) -> None:
    # As there: what is under way ends with the page.
    open_page(before="delete Request.prototype.keepalive; window.fetch = () => new Promise(() => {});")
    answer = stack.answer()
    page.evaluate(SEND, [stack.receipt(answer), UP])
    page.goto("about:blank")
    stack.wait_until(lambda: [one["said"] for one in stack.current(answer.completion_id)] == ["up"], "landed")


def test_no_cookies_also_when_the_page_is_left(open_page: Open, stack: Stack, page: Page) -> None:
    open_page()
    # Cookies know no ports: this one is the collector's too.
    page.evaluate("document.cookie = 'session=secret'")
    sent: list[dict[str, Any]] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.requestWillBeSentExtraInfo", lambda request: sent.append(request))
    page.evaluate(SEND, [stack.receipt(), {"kind": "signal", "name": "copy"}])
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    page.wait_for_function(f"{STATS}.queued === 0")
    votes = [one for one in sent if one["headers"].get("Content-Type", "").startswith("text/plain")]
    assert votes
    assert not [one for one in votes if "Cookie" in one["headers"]]


# -- what pages do to the elements -------------------------------------------------------------------------


def _focused(page: Page) -> str:
    return str(
        page.evaluate(
            """() => {
              let own = document.activeElement;
              while (own?.shadowRoot?.activeElement) own = own.shadowRoot.activeElement;
              return own.getAttribute("aria-label") || own.closest("label")?.innerText || own.innerText;
            }"""
        )
    )


def test_a_host_that_writes_every_vote_into_value(open_page: Open, stack: Stack, page: Page) -> None:
    answer = stack.answer()
    open_page(_thumbs(stack.receipt(answer)))
    page.evaluate(
        "document.addEventListener('thumbline-vote', ({target, detail}) => target.setAttribute('value', detail.value))"
    )
    page.get_by_role("button", name="Bad answer").click()
    assert _focused(page) == "Bad answer"
    page.get_by_text("Wrong", exact=True).click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    stack.wait_until(lambda: [one["tags"] for one in stack.current(answer.completion_id)] == [["wrong"]], "landed")


def test_a_receipt_minted_anew_leaves_what_is_being_written(open_page: Open, stack: Stack, page: Page) -> None:
    answer = stack.answer()
    open_page(_thumbs(stack.receipt(answer)))
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("textbox").press_sequentially("Half a ")
    renew = "receipt => document.querySelector('thumbline-thumbs').setAttribute('receipt', receipt)"
    page.evaluate(renew, stack.receipt(answer, expires_in_s=1000))
    assert _focused(page) == "Anything else? (optional)"
    page.keyboard.type("sentence.")
    page.get_by_role("button", name="Send").click()
    stack.wait_until(
        lambda: [one["comment"] for one in stack.current(answer.completion_id)] == ["Half a sentence."], "landed"
    )
    # One that allows more shows more.
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=text>Paris.</p>')")
    page.evaluate("document.querySelector('thumbline-thumbs').setAttribute('for', 'text')")
    page.evaluate(renew, stack.receipt(answer, kinds=["thumb", "edit"]))
    expect(page.get_by_role("button", name="Improve this answer")).to_be_visible()


def test_the_focus_is_on_the_thumb_after_an_edit(open_page: Open, stack: Stack, page: Page) -> None:
    receipt = stack.receipt(kinds=["thumb", "edit"])
    open_page('<p id="text">Paris.</p>' + _thumbs(receipt, 'for="text"'))
    for text in ("Paris, France.", "Paris."):
        page.get_by_role("button", name="Improve this answer").click()
        page.get_by_role("textbox").fill(text)
        page.get_by_role("button", name="Send").click()
        assert _focused(page) == "Good answer"


def test_an_element_that_is_used_again_for_another_answer(open_page: Open, stack: Stack, page: Page) -> None:
    open_page(_thumbs(stack.receipt()))
    held: list[Route] = []
    page.route(
        "**/v1/votes",
        lambda route: held.append(route) if '"kind":"thumb"' in (route.request.post_data or "") else route.continue_(),
    )
    page.get_by_role("button", name="Good answer").click()
    page.evaluate("one => document.querySelector('thumbline-thumbs').setAttribute('receipt', one)", stack.receipt())
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(50)
    held[0].continue_()
    page.wait_for_function(f"{STATS}.saved && !{STATS}.queued")
    # It was the other answer's vote.
    expect(page.get_by_role("status")).to_have_text("")


def test_a_click_before_the_client_is_there_counts_more_than_what_waits(
    open_page: Open, stack: Stack, page: Page
) -> None:
    answer = stack.answer()
    receipt = stack.receipt(answer)
    elements = f'<script src="/thumbline-elements.js" data-collector="{stack.url}"></script>'
    page.route("**/v1/votes", lambda route: route.abort())
    open_page(_thumbs(receipt), scripts=elements)
    page.get_by_role("button", name="Good answer").click()
    page.wait_for_function("Object.keys(localStorage).length")
    held: list[Route] = []
    page.route("**/thumbline.mjs", lambda route: held.append(route))
    page.reload(wait_until="commit")
    page.get_by_role("button", name="Bad answer").click()
    page.unroute("**/v1/votes")
    held[0].continue_()
    expect(page.get_by_role("status")).to_have_text("Saved")
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    stack.wait_until(lambda: [one["said"] for one in stack.current(answer.completion_id)] == ["down"], "landed")


def test_the_language_around_a_shadow_root(open_page: Open, stack: Stack, page: Page) -> None:
    open_page('<div lang="de"><div id="host"></div></div>')
    page.evaluate("html => { host.attachShadow({mode: 'open'}).innerHTML = html; }", _thumbs(stack.receipt()))
    snapshot = page.locator("main").aria_snapshot()
    assert "Gute Antwort" in snapshot, snapshot


def test_two_controls_for_one_receipt_are_seen_once(open_page: Open, stack: Stack, page: Page) -> None:
    answer = stack.answer()
    receipt = stack.receipt(answer)
    open_page(_thumbs(receipt) + "<p>filler</p>" * 100 + _thumbs(receipt, 'id="below"'))
    bodies = _answer_with(page)
    page.wait_for_timeout(1200)
    for _ in range(2):
        page.locator("#below").scroll_into_view_if_needed()
        page.wait_for_timeout(100)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(1200)
    page.get_by_role("button", name="Good answer").first.click()
    page.wait_for_function(f"{STATS}.queued === 0")
    sent = [event for body in bodies for event in body["events"]]
    assert sorted(event["state"] for event in sent if event["kind"] == "exposure") == ["seen", "shown"]
    [vote] = [event for event in sent if event["kind"] == "thumb"]
    assert vote["properties"]["dwell_ms"] > 3000
    assert vote["properties"]["time_to_vote_ms"] > 3000


def test_tags_with_spaces_between_them(open_page: Open, stack: Stack, page: Page) -> None:
    answer = stack.answer()
    open_page(_thumbs(stack.receipt(answer), 'tags=" wrong, rude ,"'))
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("checkbox")).to_have_count(2)
    page.get_by_text("Wrong", exact=True).click()
    page.get_by_text("rude", exact=True).click()
    page.get_by_role("button", name="Send").click()
    stack.wait_until(
        lambda: [one["tags"] for one in stack.current(answer.completion_id)] == [["wrong", "rude"]], "landed"
    )


@pytest.mark.parametrize("scale", ['min="0" max="100"', 'min="5" max="1"', 'min="0.5"'])
def test_a_scale_that_cannot_be_shown_whole(open_page: Open, stack: Stack, page: Page, scale: str) -> None:
    receipt = stack.receipt(kinds=["rating"])
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    open_page(f'<thumbline-rating receipt="{receipt}" numbers {scale}></thumbline-rating>')
    expect(page.locator("thumbline-rating:defined")).to_be_attached()
    expect(page.get_by_role("radio")).to_have_count(0)
    assert any("min" in text for text in warnings), warnings


def test_dismissed_where_nothing_can_be_reported(open_page: Open, stack: Stack, page: Page) -> None:
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    open_page(_thumbs("") + _thumbs(stack.receipt(kinds=["thumb"])))
    page.evaluate("for (const one of document.querySelectorAll('thumbline-thumbs')) one.dismiss()")
    page.wait_for_timeout(500)
    assert (page.evaluate(STATS), warnings) == ({"queued": 0, "saved": 0, "lost": {}}, [])


def _pick(stack: Stack, texts: list[str], attributes: str = "", **options: Any) -> tuple[str, Any]:
    pair = stack.tl.comparison([stack.answer(text, **options) for text in texts])
    inside = "".join(f'<p slot="{own}">{text}</p>' for own, text in zip(pair.order, texts, strict=True))
    return f'<thumbline-pick receipt="{stack.receipt(pair)}" {attributes}>{inside}</thumbline-pick>', pair


def test_text_of_an_answer_can_be_selected_and_no_key_then_votes(open_page: Open, stack: Stack, page: Page) -> None:
    html, _ = _pick(stack, ["The first answer of some length", "The second answer of some length"])
    open_page(html)
    page.get_by_role("button", name="Answer 1 is better").wait_for()
    box = page.get_by_text("The first answer").bounding_box()
    assert box
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert "first answer" in page.evaluate("getSelection().toString()")
    page.mouse.click(box["x"] + 30, box["y"] + box["height"] / 2)
    page.keyboard.press("Space")
    page.wait_for_timeout(300)
    expect(page.get_by_role("button", pressed=True)).to_have_count(0)


def test_axe_finds_nothing_in_two_picks(open_page: Open, stack: Stack, page: Page) -> None:
    open_page("".join(_pick(stack, ["The first", "The second"])[0] for _ in range(2)))
    page.get_by_role("button", name="Answer 1 is better").first.wait_for()
    assert axe.violations(page) == []


MAKE = {
    "innerHTML": "html => { where.innerHTML = html }",
    "a clone": "html => { where.innerHTML = html; const copy = where.firstChild.cloneNode(true); where.replaceChildren(copy) }",
    "a template": "html => { const t = document.createElement('template'); t.innerHTML = html; where.append(t.content.cloneNode(true)) }",
    "a shadow root": "html => { where.attachShadow({mode: 'open'}).innerHTML = html }",
    "moved into a shadow root": "html => { where.innerHTML = html; const one = where.firstChild; where.attachShadow({mode: 'open'}).append(one) }",
    "by script": "html => { where.innerHTML = html; const one = document.createElement('thumbline-thumbs'); "
    "one.setAttribute('receipt', where.firstChild.getAttribute('receipt')); where.replaceChildren(one) }",
    "from another document": "html => { const other = new DOMParser().parseFromString(html, 'text/html'); where.append(other.body.firstChild) }",
}


@pytest.mark.parametrize("how", MAKE)
def test_elements_however_they_come_into_the_page(open_page: Open, stack: Stack, page: Page, how: str) -> None:
    open_page('<div id="where"></div>')
    page.evaluate(MAKE[how], _thumbs(stack.receipt()))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")


def test_a_click_and_the_element_is_removed(open_page: Open, stack: Stack, page: Page) -> None:
    answer = stack.answer()
    open_page(_thumbs(stack.receipt(answer)))
    page.get_by_role("button", name="Good answer").click()
    page.evaluate("document.querySelector('thumbline-thumbs').remove()")
    stack.wait_until(lambda: [one["said"] for one in stack.current(answer.completion_id)] == ["up"], "landed")


def test_a_page_in_xhtml_under_trusted_types(open_page: Open, stack: Stack, page: Page) -> None:
    receipt = stack.receipt()
    stack.host.pages["/x"] = (
        "application/xhtml+xml",
        (
            '<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>Host page</title></head><body>'
            f'<script src="/thumbline-elements.js" data-collector="{stack.url}" defer="defer"></script>{_thumbs(receipt)}'
            "</body></html>"
        ).encode(),
    )
    stack.host.csp = "require-trusted-types-for 'script'; trusted-types 'none'"
    page.goto(stack.host.origin + "/x")
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    stack.host.csp = ""


def test_a_sandboxed_frame(open_page: Open, stack: Stack, page: Page) -> None:
    inner = open_page(_thumbs(stack.receipt()))
    page.goto(stack.host.serve(f'<iframe sandbox="allow-scripts" src="{inner}"></iframe>', "/outer"))
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Good answer").click()
    # No collector takes votes from the origin `null`: it says so, and nothing breaks.
    expect(frame.get_by_role("status")).to_have_text("Not sent yet")


def test_answers_with_ids_of_any_letters_that_come_later(open_page: Open, stack: Stack, page: Page) -> None:
    ids = [f"answer-{n}.\"'>&\u00e4\U0001f44d" for n in range(16)]
    for own in ids:
        stack.answer(own, completion_id=own)
    pair = stack.tl.comparison(ids)
    open_page(f'<thumbline-pick receipt="{stack.receipt(pair)}"></thumbline-pick>')
    expect(page.get_by_role("button", name="Answer 16 is better")).to_be_visible()
    page.evaluate(
        "ids => { for (const id of ids) { const one = document.createElement('p'); one.slot = id; one.textContent = id; "
        "document.querySelector('thumbline-pick').append(one) } }",
        ids,
    )
    expect(page.get_by_text(ids[3])).to_be_visible()
    page.get_by_role("button", name="Answer 16 is better").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    stack.wait_until(
        lambda: [one["winner_id"] for one in stack.current(pair.comparison_id)] == [pair.order[15]], "landed"
    )


def test_five_hundred_elements(open_page: Open, stack: Stack, page: Page) -> None:
    bodies = _answer_with(page)
    receipts = [stack.receipt() for _ in range(500)]
    open_page()
    took = page.evaluate(
        """html => {
          const began = performance.now();
          document.querySelector("main").insertAdjacentHTML("beforeend", html);
          document.body.getBoundingClientRect();
          return performance.now() - began;
        }""",
        "".join(map(_thumbs, receipts)),
    )
    page.wait_for_timeout(3000)
    assert took < 2000
    assert len(bodies) <= 3


def test_names_roles_and_states_that_are_read_out(open_page: Open, stack: Stack, page: Page) -> None:
    pick, _ = _pick(stack, ["One.", "Two."], 'scale="5"')
    rating = f'<thumbline-rating receipt="{stack.receipt(kinds=["rating"])}" value="2"></thumbline-rating>'
    open_page(_thumbs(stack.receipt()) + pick + rating)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("button", name="Answer 1 is better").click()
    expect(page.locator("main")).to_match_aria_snapshot(TREE)


TREE = """
- group "Rate this answer":
  - button "Good answer" [pressed=false]
  - button "Bad answer" [pressed]
- group "What was wrong?":
  - checkbox "Wrong" [checked=false]
- textbox "Anything else? (optional)"
- button "Send"
- button "Close"
- status: Saved
- group "Which answer is better?":
  - article "Answer 1":
    - paragraph: One.
    - button "Answer 1 is better" [pressed]
  - article "Answer 2":
    - paragraph: Two.
    - button "Answer 2 is better" [pressed=false]
  - button "Equally good"
  - button "Both bad"
  - button "Skip"
  - group "How much better?":
    - radio "Slightly"
    - radio "Much"
- status: Saved
- group "Your rating":
  - radio "1 of 5"
  - radio "2 of 5" [checked]
  - radio "5 of 5"
  - button "Take back"
"""
