"""Numbered slots of a folder: a process has one alone, and a restarted one finds it again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path


def take_slot(files: Iterable[Path]) -> tuple[int, int] | None:
    """
    Lock the first of these files that no process has locked.

    Args:
        files: a file for each slot, made when needed.

    Returns:
        The slot's number, and the descriptor that holds it until it is closed; the system closes that of a
        process that is killed. None where every slot is taken.

    Raises:
        OSError: a file cannot be made or locked.
    """
    for number, file in enumerate(files):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        except OSError:
            os.close(descriptor)
            raise
        return number, descriptor
    return None
