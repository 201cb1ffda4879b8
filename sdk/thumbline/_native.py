"""
Threads and locks as they are when this package is imported.

gevent and eventlet put others in their place when a host asks for it. Before the import, everything here is
theirs, and works. Afterwards a client has both kinds: its sender would be a greenlet that waits at a lock of the
system, and nothing else in the process would go on. So whatever must fit together is taken from here, once.
"""

from __future__ import annotations

import _thread
import threading

allocate_lock = _thread.allocate_lock
get_ident = _thread.get_ident
start_new_thread = _thread.start_new_thread
RLock = threading.RLock


def is_patched_since() -> bool:
    """Whether the threads of the standard library are others by now."""
    return _thread.start_new_thread is not start_new_thread
