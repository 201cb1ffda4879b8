"""granian's server as both of our servers run it."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

from granian.server.mp import MPServer

from thumbline_ingest.parents import end_with


class Server(MPServer):
    """granian's server, whose workers end with it."""

    @staticmethod
    def _spawn_wsgi_worker(*arguments: Any) -> None:
        _end_with_main_process()
        MPServer._spawn_wsgi_worker(*arguments)


def _end_with_main_process() -> None:
    """
    In a worker process: leave the terminal to the parent, and stop when the parent is gone.

    Ctrl-C is for the main process, which stops the workers in order; a killed one leaves no listener behind.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    os.setpgid(0, 0)
    end_with(parent.pid)
