"""The chat of `make demo`: what its server is sent that it should not be, and people who do not wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from examples.chat.app import ChatSettings, create_app
from flask import Flask
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from thumbline import testing

pytestmark = pytest.mark.browser


@pytest.fixture
def app() -> Iterator[Flask]:
    """The chat, whose answers take a while; nothing leaves the process."""
    with testing.record() as tl:
        yield create_app(tl, ChatSettings("http://127.0.0.1:9", pause_s=0.05))


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "asked",
    [
        *({"text": text} for text in (None, 5, ["a"], {"a": 1}, "", " \n")),
        *({"text": "1 + 1", "share": share} for share in (None, "x", [1], {})),
        {"text": "1 + 1", "parent": ["x"]},
        [],
        None,
    ],
)
def test_a_question_of_another_form_is_refused(app: Flask, asked: Any) -> None:
    client = app.test_client()
    client.get("/")
    assert client.post("/ask", json=asked).status_code in (400, 404)


@pytest.mark.parametrize("share", ["NaN", "1e999", "-1", "9" * 400])
def test_every_number_is_a_share(app: Flask, share: str) -> None:
    client = app.test_client()
    client.get("/")
    body = f'{{"text": "1 + 1", "share": {share}}}'
    assert client.post("/ask", data=body, content_type="application/json").status_code == 200


def test_a_form_of_another_site_asks_nothing(app: Flask) -> None:
    client = app.test_client()
    client.get("/")
    assert client.post("/ask", data=json.dumps({"text": "1 + 1"}), content_type="text/plain").status_code == 400


def test_a_new_conversation_in_the_middle_of_an_answer(url: str, page: Page) -> None:
    page.goto(url)
    page.get_by_label("Two answers side by side").select_option("0")
    page.get_by_label("Your question").fill("What is this?")
    page.keyboard.press("Enter")
    expect(page.locator("article .text")).not_to_be_empty()
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("[type=submit]")).to_have_attribute("aria-disabled", "false")
    with page.expect_request("**/ask") as asked:
        page.get_by_label("Your question").fill("1 + 1")
        page.keyboard.press("Enter")
    assert asked.value.post_data_json["parent"] is None
    expect(page.locator("#problem")).to_be_empty()
    expect(page.locator("article.answer")).to_have_attribute("aria-busy", "false")


def test_one_question_at_a_time_and_the_focus_stays(url: str, page: Page) -> None:
    page.goto(url)
    page.get_by_label("Two answers side by side").select_option("0")
    page.get_by_label("Your question").fill("What is this?")
    page.locator("[type=submit]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("article .text")).not_to_be_empty()
    assert page.evaluate("document.activeElement.type") == "submit"
    # What is typed meanwhile is neither sent nor lost.
    page.get_by_label("Your question").fill("1 + 1")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="12 * 17").click()
    expect(page.get_by_label("Your question")).to_have_value("1 + 1")
    expect(page.locator("article.answer")).to_have_attribute("aria-busy", "false")
    page.get_by_label("Your question").focus()
    page.keyboard.press("Enter")
    expect(page.locator("article.answer")).to_have_count(2)
    expect(page.locator(".mine")).to_have_count(2)


def test_a_question_is_shown_as_it_was_typed(url: str, page: Page) -> None:
    page.goto(url)
    page.get_by_label("Two answers side by side").select_option("1")
    page.get_by_label("Your question").fill("<img src=x onerror=alert(1)> How long is the word <b>bold</b>?")
    page.keyboard.press("Enter")
    expect(page.locator(".mine")).to_have_text("<img src=x onerror=alert(1)> How long is the word <b>bold</b>?")
    assert page.locator("main img").count() == 0
