"""Looks for barriers with axe-core: all its rules, those of WCAG 2.2 AA and its best practices."""

from __future__ import annotations

from importlib import resources
from typing import Any

from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is now; one line for each place."""
    source = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    # Not as a script of the page: its Content-Security-Policy shall stay what it is.
    page.evaluate(f"() => {{ if (!window.axe) {{ {source} }} }}")
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
