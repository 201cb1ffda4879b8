"""
Processes that do not outlive the process that started them, in whatever moment that one is killed.

Linux sends a signal when the parent is gone (`PR_SET_PDEATHSIG`). It is asked for first thing in a child; that
the parent is still there is looked at afterwards, so that there is no moment in between. What a signal does not
end is killed by a thread, which also does the whole work on other systems.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

ENVIRONMENT_NAME: Final = "THUMBLINE_PARENT_PID"
"""Names the process with which a command is to end; set by `thumbline up` for its children."""

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.2
_AGAIN_S: Final = 0.5
# Above what a worker takes to answer what is under way (`CollectorSettings.stop_timeout_s`).
_PATIENCE_S: Final = 12.0


def ask_for_sigterm() -> None:
    """Linux: be sent SIGTERM when the parent's thread that made this process is gone. Stays through `exec`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_with(parent_pid: int, patience_s: float = _PATIENCE_S) -> None:
    """
    End when the parent is gone: by SIGTERM, and by SIGKILL where that is not enough.

    To be called in the main thread, before anything that takes time.

    Args:
        parent_pid: who started this process.
        patience_s: seconds until SIGKILL.
    """
    # The handler may be the parent's, inherited by a fork, which only wakes a loop that this process has not.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ask_for_sigterm()
    gone = _watch(parent_pid)
    if os.getppid() != parent_pid:  # since when, nobody knows: nothing was asked of this process yet
        os._exit(1)

    def wait() -> None:
        gone()
        # Again and again: one that comes just before a server begins to wait for it is not seen.
        for _ in range(round(patience_s / _AGAIN_S)):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_AGAIN_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="thumbline-parent", daemon=True).start()


def end_with_parent_of_environment() -> None:
    """The same for a command that another one has started."""
    parent = os.environ.pop(ENVIRONMENT_NAME, "")
    if parent.isdigit():
        end_with(int(parent))


def _watch(pid: int) -> Callable[[], None]:
    """What returns when a process is gone."""
    with contextlib.suppress(AttributeError, OSError):
        descriptor = os.pidfd_open(pid)
        return lambda: (select.select([descriptor], [], []), None)[1]

    def poll() -> None:
        while os.getppid() == pid:
            time.sleep(_POLL_S)

    return poll
