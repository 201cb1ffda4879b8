"""Numbered slots of a folder: a process has one alone, and a restarted one finds it again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path


def take_slot(files: Sequence[Path]) -> tuple[int, int] | None:
    """
    Lock the first of these files that no process has locked.

    Args:
        files: a file for each slot, made when needed.

    Returns:
        The slot's number, and the descriptor that holds it until it is closed; the system closes that of a
        process that is killed. None where every slot is taken.
    """
    for number, file in enumerate(files):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        return number, descriptor
    return None
