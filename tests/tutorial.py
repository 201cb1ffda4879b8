"""The fenced blocks of a page, so that tests run what it says and hold no copy of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


@dataclass(frozen=True)
class Block:
    """
    A fenced block.

    Attributes:
        language: `sh`, `python` or `text`.
        text: what is in it.
    """

    language: str
    text: str

    @property
    def file(self) -> str:
        """Where a block of Python is to be saved: its first line says so."""
        found = re.match(r"# (\S+\.py)\n", self.text)
        assert found, f"no file name: {self.text[:40]}"
        return found[1]


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page of docs, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


def says(page: str, output: str) -> bool:
    """Whether an output is what a block of text shows; `…` stands for anything on its line."""
    lines = [re.escape(line.rstrip()).replace("…", ".*") for line in page.strip("\n").split("\n")]
    return bool(re.fullmatch(r"\s*\n".join(lines), output.strip("\n").rstrip()))
