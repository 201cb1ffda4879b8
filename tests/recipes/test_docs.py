"""`docs/recipes.md` shows the programs' own lines. Needs none of their packages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent.parent
RECIPES = ROOT / "examples" / "recipes"
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
SECTIONS = {
    "FastAPI": "fastapi_chat.py",
    "Flask": "flask_chat.py",
    "React with assistant-ui": "assistant-ui/chat.jsx",
    "Streamlit": "streamlit_chat.py",
    "Gradio": "gradio_chat.py",
    "OpenAI's client": "openai_chat.py",
}
PROGRAMS = sorted(file.replace(".jsx", ".py") for file in SECTIONS.values())


def blocks() -> list[tuple[str, str]]:
    """Title of a section, and each of its blocks that are said to be of a program."""
    return [
        (section.partition("\n")[0], block)
        for section in PAGE.split("\n## ")[1:]
        for block in re.findall(r"```(?:python|jsx)\n(.*?)```", section, re.DOTALL)
    ]


@pytest.mark.parametrize(("title", "block"), blocks())
def test_a_block_is_in_its_program(title: str, block: str) -> None:
    """Line by line, whatever it is indented by there."""
    lines = block.splitlines()
    program = (RECIPES / SECTIONS[title]).read_text(encoding="utf-8").splitlines()

    assert any(dedent("\n".join(program[n : n + len(lines)])) == "\n".join(lines) for n in range(len(program)))


def test_every_program_is_on_the_page() -> None:
    """With a section of its own."""
    found = [*RECIPES.glob("*.py"), *RECIPES.glob("*/*.py")]
    assert sorted(program.relative_to(RECIPES).as_posix() for program in found) == PROGRAMS
    assert {title for title, _ in blocks()} == set(SECTIONS)
    for program in {*PROGRAMS, *SECTIONS.values()}:
        assert f"(../examples/recipes/{program})" in PAGE


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_says_how_to_run_it(program: str) -> None:
    """What is not read is not copied; consent is chosen, with a reason."""
    text = (RECIPES / program).read_text(encoding="utf-8")

    assert f"examples/recipes/{program}" in text
    assert "pip install 'thumbline[server]' " in text
    assert re.search(r"# \"granted\" only because .*\n.*training_consent=\"granted\"", text)
    assert len(text.splitlines()) <= 110


@pytest.mark.parametrize("folder", ["sdk/web", "examples/recipes/assistant-ui"])
def test_versions_are_exact_and_the_lock_names_no_registry(folder: str) -> None:
    """Whoever installs takes the packages from where they take all others, and the same ones."""
    package, lock = (
        json.loads((ROOT / folder / name).read_text("utf-8")) for name in ("package.json", "package-lock.json")
    )
    wanted = {**package.get("dependencies", {}), **package["devDependencies"]}

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values()), wanted
    assert [name for name, one in lock["packages"].items() if name and not one["version"]] == []
    assert [name for name, one in lock["packages"].items() if "resolved" in one] == []
