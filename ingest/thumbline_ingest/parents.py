"""
Processes that do not outlive the process that started them, in whatever moment that one is killed.

A thread waits for the parent's end. Until there is one, Linux sends a signal itself (`PR_SET_PDEATHSIG`), which is
asked for first thing in a child; that the parent is still there is looked at afterwards, so that there is no moment
in between. The thread sends SIGTERM, and has a timer of the system kill what that does not end: a server that is told
to stop while it begins to serve may hang in the handler and keep every thread of Python from running.
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
    _ask_for(signal.SIGTERM)


def _ask_for(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_with(parent_pid: int, patience_s: float = _PATIENCE_S) -> None:
    """
    End when the parent is gone: by SIGTERM, and by force where that is not enough.

    To be called in the main thread, before anything that takes time.

    Args:
        parent_pid: who started this process.
        patience_s: seconds between the two.
    """
    # The handler may be the parent's, inherited by a fork, which only wakes a loop that this process has not.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    ask_for_sigterm()
    gone = _watch(parent_pid)
    if os.getppid() != parent_pid:  # since when, nobody knows: nothing was asked of this process yet
        os._exit(1)

    def wait() -> None:
        gone()
        # The timer first: it ends the process without any code of its own.
        signal.setitimer(signal.ITIMER_REAL, patience_s)
        while True:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_AGAIN_S)

    threading.Thread(target=wait, name="thumbline-parent", daemon=True).start()
    _ask_for(0)


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
