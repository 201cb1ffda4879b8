"""What happens to live pipelines when the process forks or ends."""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._pipeline import Pipeline

# Not weak: a client that was garbage collected may still have events to deliver.
_live: dict[int, Pipeline] = {}


def register(pipeline: Pipeline) -> None:
    """Look after a pipeline until `unregister`."""
    _live[id(pipeline)] = pipeline


def unregister(pipeline: Pipeline) -> None:
    """The pipeline is closed."""
    _live.pop(id(pipeline), None)


def close_all() -> None:
    """Close every live pipeline; together they take no longer than the longest `exit_timeout_s`."""
    start_s = time.monotonic()
    pipelines = list(_live.values())
    for pipeline in pipelines:
        pipeline.stop_intake()
    for pipeline in pipelines:
        left_s = start_s + pipeline.exit_timeout_s - time.monotonic()
        try:
            pipeline.close(max(0.0, left_s))
        except KeyboardInterrupt:
            continue  # what was left is in the spool; the host is ending anyway


def _after_fork_in_child() -> None:
    pipelines = list(_live.values())
    for pipeline in pipelines:
        pipeline.after_fork()
    if pipelines:
        _close_with_multiprocessing()


def _close_with_multiprocessing() -> None:
    # Its children end with `os._exit`, which skips atexit, but run finalizers of their own. Those are
    # cleared after this hook and before the callback registered here.
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_exit_hook, lambda _: util.Finalize(None, close_all, exitpriority=0))


class _ExitHook:
    """Something that multiprocessing can hold a weak reference to."""


_exit_hook = _ExitHook()
atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
