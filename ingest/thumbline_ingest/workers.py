"""granian's server as both of our servers run it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
from typing import Any, Final

from granian.server.mp import MPServer

from thumbline_ingest.parents import end_with

_log = logging.getLogger("thumbline.collector")

BACKLOG: Final = 4_096
"""Connections that wait to be taken; the system may have a lower limit."""

MAX_BUFFER_BYTES: Final = 64 * 1024
"""Of a request's headers, and of what is read of a body at once; held for each connection, in the worst case."""

# Files that a worker opens beside its connections: log, keys, sockets of its own.
_OTHER_FILES: Final = 256


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


def room_for(connections: int) -> int:
    """As many connections, or what the system lets a process open; its soft limit is raised for that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    _log.warning("the system allows %d open files a process: at most %d connections", soft, soft - _OTHER_FILES)
    return max(1, soft - _OTHER_FILES)
