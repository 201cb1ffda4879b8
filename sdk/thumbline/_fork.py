"""What must not be cut in two by a fork."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._native import RLock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# So long a fork waits at most. A host that forks while it imports something that the other thread wants
# to import too would otherwise wait for ever.
_PATIENCE_S = 1.0

_lock = RLock()  # reentrant: a signal handler may record an event, or fork, in the middle of it


def in_one_piece() -> AbstractContextManager[Any]:
    """
    A lock to hold in a `with`; the process does not fork meanwhile.

    For short work in code with locks of its own, which a child would find locked by a thread that it does
    not have. pydantic has some: what its validators need is computed at first use behind a lock that
    outlasts a switch of threads.
    """
    return _lock


def _before() -> None:
    _lock.acquire(timeout=_PATIENCE_S)


def _after_in_parent() -> None:
    try:
        _lock.release()
    except RuntimeError:  # the fork would not wait any longer
        return


def _after_in_child() -> None:
    global _lock
    # A new one: the owner of the old one may be a thread of the parent's.
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
