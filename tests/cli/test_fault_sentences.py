"""The page of what goes wrong quotes sentences that the product says, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "when-something-is-wrong.md"


def _sentences() -> list[str]:
    """What stands in the first column of the page's tables, in backticks."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [row.split("`")[1] for row in rows]


@pytest.fixture(scope="module")
def said() -> list[str]:
    """Every text in the product's code; what is filled in stands as `…`."""
    found = []
    for package in ("sdk/thumbline", "ingest/thumbline_ingest", "warehouse/thumbline_warehouse"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                    found.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(re.sub(r"%[sdr]", "…", node.value))
    return found


@pytest.mark.parametrize("sentence", _sentences())
def test_every_sentence_of_the_page_is_said(said: list[str], sentence: str) -> None:
    pieces = [re.escape(piece) for piece in sentence.split("…") if piece]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    assert any(pattern.search(text) for text in said), sentence


def test_the_page_has_them() -> None:
    assert len(_sentences()) > 35
