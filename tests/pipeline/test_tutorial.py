"""`docs/tutorial-kto.md`, command by command as it stands there, but for the installation and the training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import Process, environ_of, run, wait_for, wait_until_ready
from tests.tutorial import Block, blocks, says
from thumbline_ingest.ports import free_port
from thumbline_warehouse.export import Export, verify

NOT_HERE = ("pip install", "MODEL=", "trl_kto.py")


class Shell:
    """The second terminal: one shell, told block by block."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, text: str) -> str:
        """Everything that a block prints; asserts that its last command ends well."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{text}\necho @@$?\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            before, mark, status = line.rpartition("@@")
            if mark:
                assert status == "0\n", f"{text}\n{''.join(lines)}"
                return "".join([*lines, before])
            lines.append(line)
        raise AssertionError(f"the shell ended: {text}\n{''.join(lines)}")

    def close(self) -> None:
        self._process.communicate(timeout=20)


@contextmanager
def shell(folder: Path, environ: dict[str, str]) -> Iterator[Shell]:
    opened = Shell(folder, environ)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(tmp_path: Path) -> None:
    found = blocks("tutorial-kto.md")
    # The default home of every command: the page does not name one.
    home = tmp_path / "thumbline-home"
    port = free_port()
    environ = environ_of(home, port=port)
    del environ["THUMBLINE_HOME"]
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    home.mkdir()
    (first,) = (block for block in found if block.text.strip() == "thumbline up")
    with Process(home, *first.text.split()[1:], port=port), shell(tmp_path, environ) as terminal:
        wait_until_ready(f"http://127.0.0.1:{port}")
        for block, after in zip(found, [*found[1:], Block("", "")], strict=True):
            if block.language == "python":
                (tmp_path / block.file).write_text(block.text)
            if block.language != "sh" or block is first or any(word in block.text for word in NOT_HERE):
                continue
            output = terminal.run(block.text)
            if after.language == "text":
                assert says(after.text, output), f"{block.text}\n{output}"
            # A person is slower than the loader.
            wait_for(lambda: '"lag": 0' in run(home, "status", "--format", "json").stdout, what="landed")

    folders = sorted((tmp_path / "data").iterdir())
    assert [folder.name for folder in folders] == ["kto-1", "kto-1-again", "kto-2", "kto-3"]
    assert not [problem for folder in folders for problem in verify(folder)]
    assert all(Export(folder).splits == ("train", "test") for folder in folders)
    held_out = [set(Export(folder).example_ids("test")) for folder in folders]
    assert held_out[0] == held_out[1] < held_out[2]
