"""Worker processes that do not outlive the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """
    In a worker process: leave the terminal to the parent, and stop when the parent is gone.

    Ctrl-C is for the main process, which stops the workers in order; a killed one leaves no listener behind.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    os.setpgid(0, 0)

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="thumbline-parent", daemon=True).start()
