"""Finds a Chromium on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# The second line keeps it from asking anything outside loopback.
ARGUMENTS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

HOW: Final = "install Chromium (Debian: apt-get install chromium), or set THUMBLINE_TEST_CHROMIUM to its path"


def find() -> str | None:
    """Its path; None where there is none."""
    return os.environ.get("THUMBLINE_TEST_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)


def unavailable_reason() -> str | None:
    """Why tests in it cannot run; None where they can."""
    if importlib.util.find_spec("playwright") is None:
        return "no playwright in this environment"
    return None if find() else "no Chromium is installed"
