"""Runs programs as a user who has neither a name nor a home, as many containers do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

UID = 54_321
# May read everything: Python itself may be in a folder of root's.
_AS_NOBODY = [
    "setpriv", "--reuid", str(UID), "--clear-groups",
    "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search",
]  # fmt: skip

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can be somebody else (with util-linux)"
)


def as_nobody(command: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with no environment but this one."""
    return subprocess.run(
        _AS_NOBODY + command,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")} | environ,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that this user may write to, outside of those that pytest makes, which are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="thumbline-nobody-"))
    try:
        os.chown(folder, UID, -1)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
