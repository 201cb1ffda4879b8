"""Small disks of their own, to be filled: tmpfs, and ext4 in an image."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

KINDS: Final = ("tmpfs", "ext4")
MB: Final = 1024 * 1024


class Disk:
    """A mounted folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "filled-by-somebody-else"

    @property
    def free(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes free, as far as that can be done."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (256 * 1024, 4096, 512):
                with contextlib.suppress(OSError):
                    while self.free > leave + size or not leave:
                        os.write(descriptor, bytes(size))
        finally:
            os.close(descriptor)

    def free_again(self) -> None:
        """Take away what `fill` has put there."""
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(kind: str, folder: Path, size_mb: int) -> Iterator[Disk]:
    """Mount a disk of this size; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True)
    image = folder.with_suffix(".img")
    if kind == "tmpfs":
        commands = [["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "thumbline-test", str(folder)]]
    else:
        with image.open("wb") as file:
            file.truncate(size_mb * MB)
        # No journal and no share for root: small disks would be full of them.
        make = ["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(image)]
        commands = [make, ["mount", "-o", "loop", str(image), str(folder)]]
    for command in commands:
        _run_or_skip(command)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _run_or_skip(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"no small disk: there is no {command[0]}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no small disk: {' '.join(command)}: {error.stderr.strip()}")
