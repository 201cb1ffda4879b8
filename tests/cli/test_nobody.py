"""The command as a user who is unknown and has no home: all that it needs is THUMBLINE_HOME."""

import sys
from pathlib import Path

import pytest

from tests.nobody import as_nobody, folder_of_nobody, needs_root
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.ports import free_port

PROGRAM = """
import os, signal, subprocess, sys, time, urllib.request
command = [sys.executable, "-m", "thumbline_ingest"]
up = subprocess.Popen([*command, "up"])
try:
    url = f"http://127.0.0.1:{os.environ['THUMBLINE_PORT']}/readyz"
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url).close()
            break
        except OSError:
            assert time.monotonic() < deadline and up.poll() is None
            time.sleep(0.05)
    subprocess.run([*command, "sample", "--conversations", "5"], check=True)
finally:
    up.terminate()
    up.wait()
for more in (["load", "--until-empty"], ["status"], ["query", "SELECT count(*) FROM thumbs"]):
    subprocess.run([*command, *more], check=True)
"""


@needs_root
@pytest.mark.slow
def test_up_and_its_like_without_a_home() -> None:
    with folder_of_nobody() as folder:
        done = as_nobody(
            [sys.executable, "-c", PROGRAM],
            THUMBLINE_HOME=str(folder / "home"),
            THUMBLINE_PORT=str(free_port()),
            THUMBLINE_STATUS_PORT=str(free_port()),
            THUMBLINE_PEPPER="p" * 20,
        )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_without_settings_uses_the_commands_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one in a home that the user may not have."""
    monkeypatch.delenv("HOME", raising=False)
    assert CollectorSettings.from_environ({}).data_dir == Path("thumbline-home").absolute()
