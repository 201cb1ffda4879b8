"""A real Chromium, a host's page on an origin of its own, and a collector with a loader behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser import chromium
from tests.browser.host import Host
from tests.browser.stack import Stack


# Not for the whole session: Playwright keeps an event loop running in this thread, which other tests must not find.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=list(chromium.ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Collector and loader, and a host whose pages may send to it; shared by the tests of a module."""
    with Host() as host:
        stack = Stack(tmp_path_factory.mktemp("browser") / "home", host)
        try:
            stack.start()
            yield stack
        finally:
            stack.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """
    A page in a fresh profile. What it throws, and what a Content-Security-Policy had to stop, fails the test.
    """
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None
    )
    yield page
    assert not errors, errors
