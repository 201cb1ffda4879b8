"""Follows a section of a page literally: its commands, its files and its clicks, and compares what it shows."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Locator, Page, expect

from tests.processes import answers, run, wait_for
from tests.tutorial import DOCS, Block, says
from thumbline_ingest.ports import free_port

# Path of a wheel: then the environment is made, and it is installed into it, as the page says.
WHEEL = os.environ.get("THUMBLINE_TEST_WHEEL")
_INSTALLING = ("python3 -m venv", "pip install", ". .venv/bin/activate")
_PORTS = {"thumbline up": 8400, "python chat.py": 8000}
_STATUS_PAGE = 8401
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(
    r"(?P<how>\w+)?\s+(?:the\s+)?(?:\*\*(?P<name>[^*]+)\*\*|`(?P<text>[^`]+)`|(?P<url>http://\S+\d))", re.MULTILINE
)


def section(page: str, title: str) -> list[str | Block]:
    """Prose and blocks of a section, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    parts = _FENCE.split(found)
    blocks = [Block(*pair) for pair in zip(parts[1::3], parts[2::3], strict=True)]
    return [part for pair in itertools.zip_longest(parts[::3], blocks, fillvalue="") for part in pair]


class Terminal:
    """One shell; what is typed runs one after the other."""

    def __init__(self, folder: Path, environ: dict[str, str], log: Path) -> None:
        self._log = log
        self._marks = itertools.count()
        with log.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash", "--norc"], cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=output, stderr=output
            )

    def type(self, text: str) -> None:
        """Type, and wait for nothing."""
        assert self._shell.stdin
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def run(self, text: str) -> str:
        """Everything that a block prints; asserts that its last command ends well."""
        begin, mark = self._log.stat().st_size, f"@@{next(self._marks)} "
        self.type(f"{text}\necho '{mark}'$?\n")
        wait_for(lambda: mark in self.output(begin), 240, text)
        output, _, status = self.output(begin).rpartition(mark)
        assert status == "0\n", f"{text}\n{output}"
        return output

    def output(self, begin: int = 0) -> str:
        return self._log.read_bytes()[begin:].decode()

    def interrupt(self) -> None:
        """Ctrl-C; waits until what ran has ended."""
        for child in self._children():
            os.kill(child, signal.SIGINT)
        wait_for(lambda: not self._children(), 30, f"ends by Ctrl-C: {self.output()}")

    def close(self) -> None:
        self.interrupt()
        self._shell.communicate(timeout=20)

    def _children(self) -> list[int]:
        path = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children")
        return [int(own) for own in path.read_text().split()] if path.exists() else []


@dataclass
class Newcomer:
    """
    Somebody with an empty folder, a browser, and as many terminals as the page speaks of.

    Attributes:
        folder: where everything happens.
        outputs: what each block printed that the page shows the output of.
    """

    folder: Path
    outputs: list[str] = field(default_factory=list)
    _terminals: dict[str, Terminal] = field(default_factory=dict)
    _current: str = "first"

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self._ports = {str(port): str(free_port()) for port in (*_PORTS.values(), _STATUS_PAGE)}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("THUMBLINE_", "FLASK_"))}
        here = Path(sys.executable).parent
        self._environ = clean | {
            "PATH": clean["PATH"] if WHEEL else f"{here}{os.pathsep}{clean['PATH']}",
            "PYTHONUNBUFFERED": "1",
            # The one thing that is not as the page has it: the ports, so that tests can run beside each other.
            "THUMBLINE_PORT": self._ports["8400"],
            "THUMBLINE_STATUS_PORT": self._ports[str(_STATUS_PAGE)],
        }

    @property
    def home(self) -> Path:
        return self.folder / "thumbline-home"

    def follow(self, parts: list[str | Block], page: Page) -> None:
        """Do what a section says, from its first line to its last."""
        output = ""
        for part in parts:
            if isinstance(part, str):
                self._read(self._own_ports(part), page)
            elif part.language == "python":
                (self.folder / part.file).write_text(self._own_ports(part.text), encoding="utf-8")
            elif part.language == "sh":
                if re.search(r"^thumbline (status|query|export)", part.text, re.MULTILINE):
                    self._take_a_moment()
                output = self._enter(self._own_ports(part.text))
            else:
                self.outputs.append(output)
                assert says(self._own_ports(part.text), output), f"shown:\n{part.text}\nbut it was:\n{output}"

    def _take_a_moment(self) -> None:
        """A person takes seconds from a click to the next command; by then all has landed."""
        time.sleep(2)
        wait_for(lambda: not self._lag(), 20, "landed")

    def _lag(self) -> int:
        return int(json.loads(run(self.home, "status", "--format", "json").stdout)["lag"])

    def close(self) -> None:
        for terminal in reversed(self._terminals.values()):
            terminal.close()

    def _own_ports(self, text: str) -> str:
        return re.sub(r"\b(8000|840[01])\b", lambda found: self._ports[found[0]], text)

    def _read(self, prose: str, page: Page) -> None:
        for name in re.findall(r"(\w+) terminal", prose):
            self._current = name
        if "Ctrl-C" in prose:
            # Where it was started; with the cursor still in another terminal it would be nonsense.
            self._terminals["second"].interrupt()
        for step in re.findall(r"^\d+\. (.*(?:\n   .*)*)", prose, re.MULTILINE):
            self._click(re.sub(r"\s+", " ", step), page)
        for url in re.findall(rf"http://127\.0\.0\.1:{self._ports[str(_STATUS_PAGE)]}", prose):
            with urlopen(url, timeout=20) as answer:
                assert answer.status == 200

    def _enter(self, text: str) -> str:
        """Type a block into the current terminal; what it printed."""
        if WHEEL:
            # This wheel and no other, whatever an index has under the name.
            text = text.replace("'thumbline[server]'", f"'{Path(WHEEL).absolute()}[server]'")
        else:
            text = "\n".join(line for line in text.splitlines() if not line.startswith(_INSTALLING))
        terminal = self._terminals.get(self._current)
        if terminal is None:
            log = self.folder.parent / f"{self.folder.name}-{self._current}.log"
            terminal = self._terminals[self._current] = Terminal(self.folder, self._environ, log)
        for command, port in _PORTS.items():
            if command in text.splitlines():
                terminal.type(f"{text}\n")
                path = "/readyz" if command == "thumbline up" else "/"
                url = f"http://127.0.0.1:{self._ports[str(port)]}{path}"
                wait_for(lambda url=url: answers(url), 60, f"{command}: {terminal.output()}")  # type: ignore[misc]
                return ""
        # A person is slower than the loader.
        if "thumbline" in text:
            wait_for(self._has_landed, 30, "landed")
        return terminal.run(text)

    def _has_landed(self) -> bool:
        status = json.loads(run(self.home, "status", "--format", "json").stdout)
        return bool(status["lag"] == status["orphaned"] == 0)

    def _click(self, step: str, page: Page) -> None:
        """One line of a numbered list: what is bold is pressed, ticked or read, what is code is typed."""
        for found in _NAMED.finditer(f" {step}"):
            how, name = (found["how"] or "").lower(), found["name"]
            if found["url"]:
                page.goto(found["url"])
            elif found["text"]:
                assert how == "type", step
                page.locator("form").get_by_role("textbox").fill(found["text"])
            elif how == "says":
                expect(page.get_by_role("status").last).to_have_text(name)
            elif how in ("tick", "choose"):
                _last(page, "checkbox" if how == "tick" else "radio", name).check()
            else:
                assert how in ("press", "and"), step
                _last(page, "button", name).click()


def _last(page: Page, role: str, name: str) -> Locator:
    """The last of this name that is to be seen; of the last element rather than of the page's own form."""
    elements = page.locator("thumbline-thumbs, thumbline-pick, thumbline-rating")
    found = page.locator("body")
    if elements.count() and elements.last.get_by_role(role, name=name, exact=True).filter(visible=True).count():  # type: ignore[arg-type]
        found = elements.last
    return found.get_by_role(role, name=name, exact=True).filter(visible=True).last  # type: ignore[arg-type]
