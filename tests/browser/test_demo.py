"""`make demo`, and a person who chats and votes in it: each click lands, and the exports hold it and nothing else."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import axe
from tests.processes import ask, run, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parent.parent.parent
# From the click to its load; the median, since this machine does other things as well.
LANDS_WITHIN_S = 3.0


@dataclass
class Demo:
    """A running `make demo`."""

    home: Path
    chat: str
    status: str

    def votes(self) -> list[dict[str, Any]]:
        """What is in force in the chat's project."""
        rows = ask(
            self.home,
            "SELECT kind, coalesce(value, outcome, score::VARCHAR), tags, comment, target_id, winner_id "
            "FROM current_votes WHERE project = 'chat' ORDER BY occurred_at",
        )
        return [dict(zip(("kind", "said", "tags", "comment", "target", "winner"), row, strict=True)) for row in rows]

    def delays(self) -> list[float]:
        """Seconds from each click of the chat to the load that it landed with."""
        return [
            seconds
            for (seconds,) in ask(
                self.home,
                "SELECT epoch(l.loaded_at) - epoch(e.occurred_at) FROM events e JOIN loads l USING (load_id) "
                "WHERE e.project = 'chat' AND e.kind IN ('thumb', 'pick')",
            )
        ]

    def wait_for_answers(self, count: int) -> None:
        """A vote may land before its answer: wait until so many answers have landed."""
        sql = "SELECT count(*) FROM completions WHERE project = 'chat'"
        wait_for(lambda: ask(self.home, sql)[0][0] == count, 20, f"{count} answers")

    def export(self, kind: str, out: Path, *options: str) -> list[dict[str, Any]]:
        done = run(self.home, "export", kind, "--project", "chat", "--out", str(out), *options, check=False)
        if done.returncode == 3:  # there is nothing to export
            return []
        assert done.returncode in (0, 4), done.stdout + done.stderr
        return [
            json.loads(line) for file in sorted(out.rglob("*.jsonl")) for line in file.read_text("utf-8").splitlines()
        ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("THUMBLINE_", "DEMO_", "CHAT_"))
    }
    # Standard input stays open, as a person's terminal does: the demo then stays up.
    process = subprocess.Popen(
        [sys.executable, "-u", "examples/demo.py"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        text = _read_until(process, "chat  ")
        told = dict(re.findall(r"^(home|chat|status) +(\S+)", text, re.MULTILINE))
        yield Demo(Path(told["home"]), told["chat"], told["status"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _read_until(process: subprocess.Popen[str], wanted: str, timeout_s: float = 90) -> str:
    assert process.stdout
    text, deadline = "", time.monotonic() + timeout_s
    while wanted not in text:
        assert process.poll() is None, text
        assert time.monotonic() < deadline, text
        if select.select([process.stdout], [], [], 1)[0]:
            text += os.read(process.stdout.fileno(), 65536).decode()
    return text


class Person:
    """What a person does in the chat."""

    def __init__(self, page: Page, demo: Demo) -> None:
        self.page = page
        self.demo = demo
        page.goto(demo.chat)

    def ask(self, text: str, compare: bool = False) -> None:
        """Ask, and wait until the answer is complete."""
        shown = self.page.locator("article.answer").count()
        self.page.get_by_label("Two answers side by side").select_option("1" if compare else "0")
        self.page.get_by_label("Your question").fill(text)
        self.page.get_by_role("button", name="Send", exact=True).and_(self.page.locator("[type=submit]")).click()
        expect(self.page.locator("article.answer")).to_have_count(shown + 1)
        expect(self.page.locator("article.answer").last).to_have_attribute("aria-busy", "false")

    def last(self, name: str) -> Any:
        """The last button of this name."""
        return self.page.get_by_role("button", name=name).filter(visible=True).last

    def click(self, name: str, lands_as: tuple[str, str | None]) -> None:
        """Click, and wait until the opinion is in force; `None` means that it is gone."""
        kind, said = lands_as
        self.last(name).click()
        target = self.target()
        wait_for(lambda: _said(self.demo.votes(), kind, target) == said, 20, name)

    def target(self) -> str:
        """Id of what the last block of the conversation shows: an answer, or a comparison."""
        block = self.page.locator("article.answer").last
        own = block.get_attribute("id") or block.locator(".text").get_attribute("id") or ""
        return own.removeprefix("pair-").removeprefix("text-")


def _said(votes: list[dict[str, Any]], kind: str, target: str) -> str | None:
    return next((vote["said"] for vote in votes if vote["kind"] == kind and vote["target"] == target), None)


def test_a_person_votes_and_the_exports_hold_that_and_nothing_else(demo: Demo, page: Page, tmp_path: Path) -> None:
    person = Person(page, demo)
    person.ask("12 * 17")
    first = person.target()
    person.click("Bad answer", ("thumb", "down"))
    page.get_by_text("Wrong", exact=True).click()
    page.get_by_label("Anything else").fill("Sums should be right.")
    person.click("Send", ("thumb", "down"))
    wait_for(lambda: demo.votes()[0]["comment"] == "Sums should be right.", 20, "comment")
    assert demo.votes()[0]["tags"] == ["wrong"]
    demo.wait_for_answers(1)
    # Taken back: no vote, and no row.
    person.click("Bad answer", ("thumb", None))
    assert demo.export("kto", tmp_path / "none") == []
    # And voted again.
    person.click("Good answer", ("thumb", "up"))

    person.ask("And the capital of Japan?", compare=True)
    comparison = person.target()
    order = page.locator("thumbline-pick > div[slot]").evaluate_all("all => all.map(one => one.slot)")
    chosen = order[1]
    person.click("Answer 2 is better", ("pick", "winner"))
    expect(page.get_by_text("goes on with answer 2, as you chose")).to_be_visible()
    chosen_text = page.locator(f"[slot='{chosen}']").inner_text()

    # Goes on with the chosen one: it is what the next answer's prompt holds.
    person.ask("3 + 4")
    third = person.target()
    person.click("Bad answer", ("thumb", "down"))

    demo.wait_for_answers(4)
    assert statistics.median(demo.delays()) < LANDS_WITHIN_S, demo.delays()
    votes = demo.votes()
    assert [(vote["kind"], vote["said"], vote["target"]) for vote in votes] == [
        ("thumb", "up", first),
        ("pick", "winner", comparison),
        ("thumb", "down", third),
    ]
    print(demo.delays())
    assert votes[0]["tags"] in (None, [])
    assert votes[0]["comment"] is None
    assert votes[1]["winner"] == chosen

    kto = demo.export("kto", tmp_path / "kto")
    assert [
        (row["prompt"][-1]["content"], row["label"], row["source"])
        for row in sorted(kto, key=lambda row: len(row["prompt"]))
    ] == [
        ("12 * 17", True, "thumb"),
        ("3 + 4", False, "thumb"),
    ]
    [row] = [row for row in kto if row["prompt"][-1]["content"] == "3 + 4"]
    assert [message["role"] for message in row["prompt"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert row["prompt"][4]["content"].split() == chosen_text.split()

    [pair] = demo.export("pairs", tmp_path / "pairs")
    assert pair["prompt"][-1]["content"] == "And the capital of Japan?"
    assert pair["chosen"][-1]["content"].split() == chosen_text.split()
    stored = ask(
        demo.home,
        f"SELECT completion_ids, probability, properties FROM comparisons WHERE comparison_id = '{comparison}'",
    )
    assert [(list(ids), p, json.loads(own)) for ids, p, own in stored] == [(order, 0.5, {"comparison_share": 1.0})]


def test_the_panel_follows_the_vote_to_its_row(demo: Demo, page: Page) -> None:
    person = Person(page, demo)
    person.ask("What is the capital of Japan?")
    person.last("Good answer").click()
    expect(page.locator("#said")).to_have_text("Thumbs up.")
    for step in ("page", "collector", "log", "landed", "row"):
        expect(page.locator(f"[data-step={step}]")).to_have_class("done", timeout=10_000)
    row = json.loads(page.locator("#row").inner_text())
    assert row["label"] is True
    assert row["prompt"][-1]["content"] == "What is the capital of Japan?"
    assert row["completion"][0]["content"].split() == page.locator(".text").inner_text().split()


def test_what_people_do_with_an_answer_lands_as_signals(demo: Demo, page: Page) -> None:
    person = Person(page, demo)
    person.ask("How long is the word tea?")
    answer = person.target()
    for name in ("Copy", "Share", "Regenerate"):
        person.last(name).click()
    expect(page.locator("article.answer")).to_have_count(2)
    expect(page.locator("article.answer").last).to_have_attribute("aria-busy", "false")
    person.last("Improve this answer").click()
    page.get_by_role("textbox", name="Improve this answer").filter(visible=True).fill("“tea” has 3 letters. Mine.")
    person.last("Send").and_(page.locator("[part=send]")).click()
    wait_for(lambda: {"copy", "share", "regenerate"} <= _signals(demo, answer), 10, "signals")
    edited = person.target()
    wait_for(lambda: any(v["kind"] == "edit" and v["target"] == edited for v in demo.votes()), 10, "edit")
    # The second answer replaces the first: the same prompt, and the parent says which.
    [(parent, same)] = ask(
        demo.home,
        "SELECT b.parent_id, a.messages = b.messages FROM completions a JOIN completions b ON b.parent_id = a.completion_id "
        f"WHERE a.completion_id = '{answer}'",
    )
    assert (parent, same) == (answer, True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_in_the_chat(demo: Demo, page: Page, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    person = Person(page, demo)
    assert axe.violations(page) == []
    person.ask("12 * 17")
    person.last("Bad answer").click()
    assert axe.violations(page) == []
    person.ask("1 + 1", compare=True)
    person.last("Answer 1 is better").click()
    expect(page.locator("[data-step=row]")).to_have_class("done", timeout=20_000)
    assert axe.violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_status_page(demo: Demo, page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(demo.status)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert axe.violations(page) == []


def test_the_chat_by_keyboard_alone(demo: Demo, page: Page) -> None:
    page.goto(demo.chat)
    # One answer first, then two: chosen by their first letters.
    _tab_to(page, "share")
    page.keyboard.type("nev")
    _tab_to(page, "text")
    page.keyboard.type("3 * 4")
    page.keyboard.press("Enter")
    expect(page.locator("article.answer")).to_have_attribute("aria-busy", "false")
    _tab_to(page, "thumbline-thumbs")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    _tab_to(page, "share")
    page.keyboard.type("al")
    _tab_to(page, "text")
    page.keyboard.type("5 * 6")
    page.keyboard.press("Enter")
    expect(page.locator("article.answer").last).to_have_attribute("aria-label", "Two answers")
    expect(page.locator("article.answer").last).to_have_attribute("aria-busy", "false")
    _tab_to(page, "thumbline-pick")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Answer 1 is better")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("goes on with answer 1, as you chose")).to_be_visible()


def _tab_to(page: Page, wanted: str) -> None:
    """Press Tab until the focus is on the element of this id or name."""
    came: list[list[str]] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        came.append(page.evaluate("[document.activeElement.id, document.activeElement.localName]"))
        if wanted in came[-1]:
            return
    raise AssertionError(f"Tab never comes to {wanted}, but to {came}")


def test_only_ones_own_answers_can_be_gone_on_from(demo: Demo, context: BrowserContext, page: Page) -> None:
    person = Person(page, demo)
    person.ask("1 + 1")
    mine = person.target()
    stranger = page.request  # shares the cookie
    assert stranger.post(f"{demo.chat}/ask", data={"text": "2 + 2", "parent": mine}).ok
    context.clear_cookies()
    assert page.request.post(f"{demo.chat}/ask", data={"text": "2 + 2", "parent": mine}).status == 401
    page.goto(demo.chat)
    assert page.request.post(f"{demo.chat}/ask", data={"text": "2 + 2", "parent": mine}).status == 404
    assert page.request.post(f"{demo.chat}/ask", data={"text": " "}).status == 400


def _signals(demo: Demo, target: str) -> set[str]:
    return {name for (name,) in ask(demo.home, f"SELECT name FROM signals WHERE target_id = '{target}'")}
