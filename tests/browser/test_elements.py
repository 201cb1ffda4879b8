"""The elements in a real page: what a person does with them lands, by mouse, by keyboard alone, and for everyone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import thumbline
from tests.browser import axe
from tests.browser.host import STRICT
from tests.browser.stack import Stack

pytestmark = pytest.mark.browser

KINDS = ["thumb", "edit", "exposure", "signal"]


@dataclass
class Shown:
    """An element on a page, and what it is about."""

    page: Page
    stack: Stack
    element: Locator
    target_id: str
    order: tuple[str, ...] = ()

    def button(self, name: str) -> Locator:
        return self.element.get_by_role("button", name=name, exact=True)

    def expect_current(self, *wanted: dict[str, Any]) -> None:
        """These opinions on the thing are in force, and no others."""
        own = [{"tags": None, "comment": None, "winner_id": None} | one for one in wanted]
        self.stack.wait_until(lambda: self._current() == own, f"{own}, not {self._current()}")

    def expect_saved(self, text: str = "Saved") -> None:
        expect(self.element.get_by_role("status")).to_have_text(text)

    def _current(self) -> list[dict[str, Any]]:
        return [one | {"tags": one["tags"] or None} for one in self.stack.current(self.target_id)]


Show = Callable[..., Shown]


@pytest.fixture
def show(stack: Stack, page: Page) -> Show:
    """Show one element, under a policy that allows nothing else."""
    stack.host.csp = STRICT.format(collector=stack.url)

    def show(name: str, attributes: str = "", answers: int = 2, **options: Any) -> Shown:
        texts = [f"Answer number {n}" for n in range(1, answers + 1)]
        made = [stack.answer(text) for text in texts]
        order: tuple[str, ...] = ()
        inside = after = ""
        if name == "pick":
            pair = stack.tl.comparison(made)
            target, target_id, order = pair, pair.comparison_id, pair.order
            by_id = {answer.completion_id: answer.text for answer in made}
            inside = "".join(f'<p slot="{own}">{by_id[own]}</p>' for own in reversed(order))
        elif options.pop("conversation", False):
            target = thumbline.Conversation(made[0].conversation_id or "")
            target_id = target.conversation_id
        else:
            target, target_id = made[0], made[0].completion_id
            after = f'<p id="answer">{texts[0]}</p>'
        if name == "rating" and "kinds" not in options and not isinstance(target, thumbline.Conversation):
            options["kinds"] = ["rating", "exposure", "signal"]
        receipt = stack.tl.receipt(target, rater="user", **options)
        body = f'{after}<thumbline-{name} receipt="{receipt}" {attributes}>{inside}</thumbline-{name}>'
        page.goto(stack.host.serve(_tag(stack) + body))
        return Shown(page, stack, page.locator(f"thumbline-{name}"), target_id, order)

    return show


def _tag(stack: Stack) -> str:
    return f'<script src="/thumbline-elements.js" data-collector="{stack.url}" defer></script>'


# -- what a person does lands ------------------------------------------------------------------------------


def test_thumbs(show: Show) -> None:
    shown = show("thumbs")
    shown.button("Good answer").click()
    shown.expect_current({"kind": "thumb", "said": "up"})
    shown.expect_saved()
    expect(shown.button("Good answer")).to_have_attribute("aria-pressed", "true")
    shown.button("Good answer").click()
    shown.expect_current()
    shown.button("Bad answer").click()
    shown.element.get_by_label("Too long").check()
    shown.element.get_by_label("Unsafe").check()
    shown.element.get_by_role("textbox").fill("  Far too long. ")
    shown.button("Send").click()
    shown.expect_current({"kind": "thumb", "said": "down", "tags": ["too_long", "unsafe"], "comment": "Far too long."})
    expect(shown.button("Send")).to_be_hidden()
    # The other thumb takes its reasons along.
    shown.button("Good answer").click()
    shown.expect_current({"kind": "thumb", "said": "up"})


def test_thumbs_closed_without_reasons_stay_down(show: Show) -> None:
    shown = show("thumbs", 'tags="too_short,rude"')
    shown.button("Bad answer").click()
    shown.element.get_by_label("too_short").focus()
    shown.page.keyboard.press("Escape")
    expect(shown.button("Close")).to_be_hidden()
    assert _focused(shown.page) == "Bad answer"
    shown.button("Bad answer").click()
    shown.button("Bad answer").click()
    shown.button("Close").click()
    expect(shown.button("Close")).to_be_hidden()
    shown.expect_current({"kind": "thumb", "said": "down"})


def test_an_edit_where_the_receipt_allows_it(show: Show, stack: Stack) -> None:
    shown = show("thumbs", 'for="answer"', kinds=KINDS)
    shown.button("Improve this answer").click()
    box = shown.element.get_by_role("textbox", name="Improve this answer")
    expect(box).to_have_value("Answer number 1")
    box.fill("Answer the first")
    shown.button("Send").click()
    shown.expect_current({"kind": "edit", "said": None})
    [(response,)] = stack.ask(f"SELECT response FROM current_votes WHERE target_id = '{shown.target_id}'")
    assert json.loads(response)["content"] == "Answer the first"


def test_no_edit_where_the_receipt_does_not(show: Show) -> None:
    expect(show("thumbs", 'for="answer"').button("Improve this answer")).to_be_hidden()


def test_pick_in_the_order_of_the_receipt(show: Show) -> None:
    shown = show("pick", 'scale="5"')
    # The children stand in the other order; what is seen is the receipt's.
    places = [shown.element.locator(f"[slot='{own}']").bounding_box() for own in shown.order]
    assert places[0]
    assert places[1]
    assert (places[0]["x"], places[0]["y"]) < (places[1]["x"], places[1]["y"])
    shown.button("Answer 2 is better").click()
    shown.expect_current({"kind": "pick", "said": "winner", "winner_id": shown.order[1]})
    shown.element.get_by_label("Much").check()
    shown.stack.wait_until(lambda: _strengths(shown) == [(5, 5)], "strength")
    shown.button("Equally good").click()
    shown.expect_current({"kind": "pick", "said": "tie"})
    assert _strengths(shown) == [(None, None)]
    shown.button("Both bad").click()
    shown.expect_current({"kind": "pick", "said": "both_bad"})
    shown.button("Skip").click()
    shown.expect_current({"kind": "pick", "said": "skip"})
    shown.button("Skip").click()
    shown.expect_current()


def test_pick_on_eight_points(show: Show) -> None:
    shown = show("pick", 'scale="8" stacked')
    shown.button("Answer 1 is better").click()
    for place, label in enumerate(("Slightly", "Clearly", "Much", "Very much")):
        shown.element.get_by_label(label, exact=True).check()
        shown.stack.wait_until(lambda strength=5 + place: _strengths(shown) == [(strength, 8)], label)  # type: ignore[misc]


def test_pick_among_five(show: Show) -> None:
    shown = show("pick", answers=5)
    expect(shown.button("All bad")).to_be_visible()
    shown.button("Answer 5 is better").click()
    shown.expect_current({"kind": "pick", "said": "winner", "winner_id": shown.order[4]})


def test_no_pick_while_answers_are_being_written(show: Show) -> None:
    shown = show("pick", "busy")
    expect(shown.element.get_by_text("still being written")).to_be_visible()
    shown.button("Answer 1 is better").click(force=True)
    shown.element.locator(f"[slot='{shown.order[0]}']").evaluate("one => one.append(' streamed')")
    expect(shown.element.get_by_text("Answer number").first).to_be_visible()
    shown.element.evaluate("one => one.removeAttribute('busy')")
    expect(shown.button("Answer 1 is better")).to_have_attribute("aria-pressed", "false")
    shown.button("Answer 1 is better").click()
    shown.expect_current({"kind": "pick", "said": "winner", "winner_id": shown.order[0]})


@pytest.mark.parametrize("conversation", [True, False])
def test_rating(show: Show, stack: Stack, conversation: bool) -> None:
    shown = show("rating", conversation=conversation)
    shown.element.get_by_title("4 of 5").click()
    shown.expect_current({"kind": "rating", "said": "4.0"})
    shown.button("Take back").click()
    shown.expect_current()
    [(kind,)] = stack.ask(f"SELECT DISTINCT target_type FROM ratings WHERE target_id = '{shown.target_id}'")
    assert kind == ("conversation" if conversation else "completion")


def test_rating_on_a_stated_scale(show: Show, stack: Stack) -> None:
    shown = show("rating", 'numbers min="0" max="10" low="awful" high="great" label="How was it?"', conversation=True)
    expect(shown.element.get_by_role("radio")).to_have_count(11)
    shown.element.get_by_text("0", exact=True).click()
    shown.expect_current({"kind": "rating", "said": "0.0"})
    assert stack.ask(f"SELECT scale_min, scale_max FROM ratings WHERE target_id = '{shown.target_id}'") == [(0, 10)]


def test_dismissed(show: Show, stack: Stack) -> None:
    shown = show("rating", "dismissible", conversation=True)
    shown.button("Close").click()
    expect(shown.element).to_be_hidden()
    stack.wait_until(lambda: "dismissed" in _states(shown), "dismissed")


def test_exposure_is_what_was_in_view(show: Show, stack: Stack) -> None:
    shown = show("thumbs")
    stack.wait_until(lambda: _states(shown) == ["seen", "shown"], "seen")
    # Far below the window: rendered, and seen by nobody until somebody scrolls there.
    other = stack.answer()
    filler = '<p id="filler">filler</p>'
    body = f'{filler * 200}<thumbline-thumbs receipt="{stack.receipt(other)}"></thumbline-thumbs>'
    shown.page.goto(stack.host.serve(_tag(stack) + body))
    below = Shown(shown.page, stack, shown.page.locator("thumbline-thumbs"), other.completion_id)
    below.button("Good answer").wait_for()
    shown.page.wait_for_timeout(2500)
    assert _states(below) == []
    below.element.scroll_into_view_if_needed()
    shown.page.wait_for_timeout(1200)
    below.button("Good answer").click()
    stack.wait_until(lambda: _states(below) == ["seen", "shown"], "seen")
    below.expect_current({"kind": "thumb", "said": "up"})
    [(measures,)] = stack.ask(f"SELECT properties FROM thumbs WHERE target_id = '{other.completion_id}'")
    found = json.loads(measures)
    assert 1000 < found["time_to_vote_ms"] < 20_000
    assert 1000 < found["dwell_ms"] < 20_000
    # The time for which it was in view, when the page goes away.
    shown.page.goto("about:blank")
    dwell = f"SELECT name, value FROM signals WHERE target_id = '{other.completion_id}'"
    stack.wait_until(lambda: len(stack.ask(dwell)) == 1, "dwell")
    [(name, seconds)] = stack.ask(dwell)
    assert (name, 1 < seconds < 20) == ("dwell", True)


# -- it says the truth about where a vote is ---------------------------------------------------------------


def test_waiting_and_saved(show: Show, stack: Stack) -> None:
    shown = show("thumbs")
    expect(shown.button("Good answer")).to_be_visible()
    stack.stop_collector()
    shown.button("Good answer").click()
    shown.expect_saved("Not sent yet")
    # A reload knows of it.
    shown.page.reload()
    expect(shown.button("Good answer")).to_have_attribute("aria-pressed", "true")
    shown.expect_saved("Not sent yet")
    stack.start_collector()
    expect(shown.element.get_by_role("status")).to_have_text("Saved", timeout=40_000)
    shown.expect_current({"kind": "thumb", "said": "up"})


def test_refused(stack: Stack, page: Page) -> None:
    receipt = stack.receipt()
    forged = receipt[:-4] + ("AAAA" if receipt[-4:] != "AAAA" else "BBBB")
    page.goto(stack.host.serve(_tag(stack) + f'<thumbline-thumbs receipt="{forged}"></thumbline-thumbs>'))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Not saved")
    assert "receipt: is not valid here" in (page.get_by_role("status").get_attribute("title") or "")


@pytest.mark.parametrize("receipt", ["", "tlk_secret", "tlr1.a.b.c"])
def test_no_control_without_a_receipt(stack: Stack, page: Page, receipt: str) -> None:
    page.goto(stack.host.serve(_tag(stack) + f'<thumbline-thumbs receipt="{receipt}"></thumbline-thumbs>'))
    expect(page.locator("thumbline-thumbs:defined")).to_be_attached()
    expect(page.get_by_role("button")).to_have_count(0)
    # It comes with the receipt: an answer that streams has it at its end.
    page.locator("thumbline-thumbs").evaluate("(one, receipt) => one.setAttribute('receipt', receipt)", stack.receipt())
    expect(page.get_by_role("button", name="Good answer")).to_be_visible()


def test_a_receipt_minted_anew_changes_nothing_that_was_said(show: Show, stack: Stack) -> None:
    shown = show("thumbs")
    shown.button("Bad answer").click()
    shown.expect_saved()
    set_attribute = "(one, [name, value]) => one.setAttribute(name, value)"
    shown.element.evaluate(set_attribute, ["receipt", stack.receipt(shown.target_id)])
    expect(shown.button("Bad answer")).to_have_attribute("aria-pressed", "true")
    # Another answer's receipt is another matter, and so is a vote that the host knows of.
    shown.element.evaluate(set_attribute, ["receipt", stack.receipt()])
    expect(shown.button("Bad answer")).to_have_attribute("aria-pressed", "false")
    shown.element.evaluate(set_attribute, ["value", "up"])
    expect(shown.button("Good answer")).to_have_attribute("aria-pressed", "true")


def test_events_for_the_page(show: Show) -> None:
    shown = show("thumbs")
    shown.page.evaluate(
        """() => {
          window.heard = [];
          for (const name of ["thumbline-vote", "thumbline-state"]) {
            document.addEventListener(name, event => window.heard.push([name, event.detail]));
          }
        }"""
    )
    shown.button("Good answer").click()
    shown.expect_saved()
    heard = shown.page.evaluate("window.heard")
    [(_, vote)] = [one for one in heard if one[0] == "thumbline-vote"]
    assert (vote["kind"], vote["value"]) == ("thumb", "up")
    states = [detail for name, detail in heard if name == "thumbline-state"]
    assert [state["status"] for state in states] == ["waiting", "saved"]
    assert {state["eventId"] for state in states} == {vote["event_id"]}


def test_the_page_finds_one_name_and_no_more(stack: Stack, page: Page) -> None:
    page.goto(stack.host.serve("", "/bare"))
    before = set(page.evaluate("Object.getOwnPropertyNames(window)"))
    tags = _tag(stack) + '<script src="/thumbline.js"></script>'
    page.goto(stack.host.serve(tags + f'<thumbline-thumbs receipt="{stack.receipt()}"></thumbline-thumbs>'))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    assert set(page.evaluate("Object.getOwnPropertyNames(window)")) - before == {"thumbline"}


# -- by keyboard alone -------------------------------------------------------------------------------------


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called so."""
    came: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        came.append(_focused(page))
        if came[-1] == name:
            return
    raise AssertionError(f"Tab never comes to {name}, but to {came}")


def _focused(page: Page) -> str:
    return str(
        page.evaluate(
            """() => {
              let own = document.activeElement;
              while (own?.shadowRoot?.activeElement) own = own.shadowRoot.activeElement;
              return own ? own.getAttribute("aria-label") || (own.closest("label") ?? own).innerText : "";
            }"""
        )
    )


def test_thumbs_by_keyboard(show: Show) -> None:
    shown = show("thumbs", 'for="answer"', kinds=KINDS)
    shown.button("Bad answer").wait_for()
    _tab_to(shown.page, "Bad answer")
    shown.page.keyboard.press("Enter")
    _tab_to(shown.page, "Wrong")
    shown.page.keyboard.press("Space")
    _tab_to(shown.page, "Anything else? (optional)")
    shown.page.keyboard.type("No.")
    _tab_to(shown.page, "Send")
    shown.page.keyboard.press("Enter")
    shown.expect_current({"kind": "thumb", "said": "down", "tags": ["wrong"], "comment": "No."})
    # The focus is where one can go on: on the thumb; not at the top of the page.
    assert _focused(shown.page) == "Bad answer"
    shown.page.keyboard.press("Space")
    shown.expect_current()
    _tab_to(shown.page, "Improve this answer")
    shown.page.keyboard.press("Enter")
    assert _focused(shown.page) == "Improve this answer"
    shown.page.keyboard.press("Control+A")
    shown.page.keyboard.type("Typed")
    _tab_to(shown.page, "Send")
    shown.page.keyboard.press("Enter")
    shown.expect_current({"kind": "edit", "said": None})


def test_pick_by_keyboard(show: Show) -> None:
    shown = show("pick", 'scale="8"')
    shown.button("Skip").wait_for()
    _tab_to(shown.page, "Answer 2 is better")
    shown.page.keyboard.press("Enter")
    _tab_to(shown.page, "Slightly")
    shown.page.keyboard.press("ArrowRight")
    shown.stack.wait_until(lambda: _strengths(shown) == [(6, 8)], "strength")
    shown.page.reload()
    for name, said in (("Equally good", "tie"), ("Both bad", "both_bad"), ("Skip", "skip")):
        _tab_to(shown.page, name)
        shown.page.keyboard.press("Space")
        shown.expect_current({"kind": "pick", "said": said})


def test_rating_by_keyboard(show: Show, stack: Stack) -> None:
    shown = show("rating", "dismissible", conversation=True)
    shown.element.get_by_role("radio").first.wait_for()
    _tab_to(shown.page, "1 of 5")
    shown.page.keyboard.press("Space")
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("ArrowRight")
    shown.expect_current({"kind": "rating", "said": "3.0"})
    _tab_to(shown.page, "Take back")
    shown.page.keyboard.press("Enter")
    shown.expect_current()
    assert _focused(shown.page) == "1 of 5"
    _tab_to(shown.page, "Close")
    shown.page.keyboard.press("Enter")
    stack.wait_until(lambda: "dismissed" in _states(shown), "dismissed")


# -- for everyone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "attributes", "options"),
    [
        ("thumbs", 'for="answer"', {"kinds": KINDS}),
        ("pick", 'scale="8"', {}),
        ("rating", "dismissible", {"conversation": True}),
        ("rating", 'numbers low="bad" high="good" max="7"', {"conversation": True}),
    ],
)
def test_axe_finds_nothing(show: Show, name: str, attributes: str, options: dict[str, Any], scheme: Any) -> None:
    shown = show(name, attributes, **options)
    shown.page.emulate_media(color_scheme=scheme)
    # axe takes a page without a background for white.
    shown.page.evaluate("document.documentElement.style.cssText = 'color-scheme: light dark; background: Canvas'")
    first = {"thumbs": "Bad answer", "pick": "Answer 1 is better"}.get(name)
    shown.element.get_by_role("button").or_(shown.element.get_by_role("radio")).first.wait_for()
    assert axe.violations(shown.page) == []
    if first:
        shown.button(first).click()
        assert axe.violations(shown.page) == []
    if name == "thumbs":
        shown.button("Improve this answer").click()
        assert axe.violations(shown.page) == []


def test_axe_finds_what_is_wrong(stack: Stack, page: Page) -> None:
    stack.host.csp = ""
    page.goto(stack.host.serve("<button></button>"))
    assert any(found.startswith("button-name") for found in axe.violations(page))


@pytest.mark.parametrize(
    ("lang", "up", "saved"),
    [("de-AT", "Gute Antwort", "Gespeichert"), ("es", "Buena respuesta", "Guardado"), ("fr", "Good answer", "Saved")],
)
def test_languages(show: Show, lang: str, up: str, saved: str) -> None:
    shown = show("thumbs", f'lang="{lang}"')
    shown.button(up).click()
    shown.expect_saved(saved)


def test_own_texts_from_right_to_left(show: Show) -> None:
    texts = json.dumps({"up": "جيد", "down": "سيئ", "saved": "تم الحفظ"}, ensure_ascii=False)
    shown = show("thumbs", f"lang='ar' dir='rtl' texts='{texts}'")
    up, down = (shown.button(name).bounding_box() for name in ("جيد", "سيئ"))
    assert up
    assert down
    assert up["x"] > down["x"]
    shown.button("جيد").click()
    shown.expect_saved("تم الحفظ")
    assert axe.violations(shown.page) == []


def test_texts_that_are_no_json_do_not_break_the_page(show: Show) -> None:
    shown = show("thumbs", 'texts="{oops"')
    shown.button("Good answer").click()
    shown.expect_saved()


def test_motion_only_for_who_wants_it(show: Show) -> None:
    shown = show("thumbs")
    duration = "one => getComputedStyle(one).transitionDuration"
    assert "0.15s" in shown.button("Good answer").evaluate(duration)
    shown.page.emulate_media(reduced_motion="reduce")
    assert shown.button("Good answer").evaluate(duration) == "0s"


def test_a_pressed_button_is_told_apart_in_forced_colours(show: Show) -> None:
    shown = show("thumbs")
    shown.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    background = "one => getComputedStyle(one).backgroundColor"
    shown.button("Good answer").click()
    shown.page.mouse.move(0, 0)
    highlight = shown.page.evaluate(
        """() => {
          document.body.style.cssText = "forced-color-adjust: none; background: Highlight";
          return getComputedStyle(document.body).backgroundColor;
        }"""
    )
    assert shown.button("Good answer").evaluate(background) == highlight
    assert shown.button("Bad answer").evaluate(background) != highlight


def test_theme(show: Show) -> None:
    shown = show("pick")
    shown.page.evaluate("document.documentElement.style.setProperty('--thumbline-accent', 'rgb(1, 2, 3)')")
    shown.button("Answer 1 is better").click()
    colour = shown.button("Answer 1 is better").evaluate("one => getComputedStyle(one).color")
    assert colour == "rgb(1, 2, 3)"
    parts = shown.element.evaluate("one => [...one.shadowRoot.querySelectorAll('[part]')].map(own => own.part.value)")
    assert {"answer", "answer winner", "better", "tie", "both_bad", "skip", "status", "title"} <= set(parts)


def test_a_phone_shows_answers_one_below_the_other(show: Show) -> None:
    shown = show("pick")
    shown.page.set_viewport_size({"width": 360, "height": 800})
    first, second = (shown.element.locator(f"[slot='{own}']").bounding_box() for own in shown.order)
    assert first
    assert second
    assert (first["x"], first["y"] < second["y"]) == (second["x"], True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 360


# -- whatever the page does --------------------------------------------------------------------------------


REPORTS = """() => {
  window.reports = [];
  document.addEventListener("securitypolicyviolation", event => reports.push(event.violatedDirective));
}"""


def test_under_the_strictest_policy_nothing_is_reported(show: Show, browser: Browser) -> None:
    shown = show("thumbs")
    shown.page.evaluate(REPORTS)
    shown.button("Bad answer").click()
    shown.element.get_by_label("Wrong").check()
    shown.button("Send").click()
    shown.expect_saved()
    assert shown.page.evaluate("window.reports") == []
    # The policy is in force: what is against it is reported.
    other = browser.new_page()
    other.goto(shown.page.url)
    other.evaluate(REPORTS)
    other.evaluate("document.body.setAttribute('style', 'color: red')")
    other.wait_for_timeout(200)
    assert other.evaluate("window.reports") == ["style-src-attr"]
    other.close()


def test_as_modules(stack: Stack, page: Page) -> None:
    stack.host.csp = ""
    answer = stack.answer()
    tag = f'<script type="module" src="{stack.url}/thumbline-elements.mjs"></script>'
    page.goto(stack.host.serve(f'{tag}<thumbline-thumbs receipt="{stack.receipt(answer)}"></thumbline-thumbs>'))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    assert not page.evaluate("'thumbline' in window")
    stack.wait_until(lambda: [vote["said"] for vote in stack.current(answer.completion_id)] == ["up"], "landed")


def test_one_tag_from_the_collector(stack: Stack, page: Page) -> None:
    stack.host.csp = ""
    answer = stack.answer()
    tag = f'<script src="{stack.url}/thumbline-elements.js" defer></script>'
    page.goto(stack.host.serve(f'{tag}<thumbline-thumbs receipt="{stack.receipt(answer)}"></thumbline-thumbs>'))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("status")).to_have_text("Saved")
    stack.wait_until(lambda: [vote["said"] for vote in stack.current(answer.completion_id)] == ["up"], "landed")


def test_moved_and_removed_elements(show: Show) -> None:
    shown = show("thumbs")
    shown.button("Good answer").wait_for()
    shown.element.evaluate("one => { const home = one.parentNode; one.remove(); home.append(one); }")
    shown.button("Good answer").click()
    shown.expect_current({"kind": "thumb", "said": "up"})


def _strengths(shown: Shown) -> list[tuple[Any, ...]]:
    return shown.stack.ask(f"SELECT strength, scale FROM current_votes WHERE target_id = '{shown.target_id}'")


def _states(shown: Shown) -> list[str]:
    rows = shown.stack.ask(f"SELECT state FROM exposures WHERE target_id = '{shown.target_id}' ORDER BY state")
    return [state for (state,) in rows]
