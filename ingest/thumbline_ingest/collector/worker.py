"""One worker process: the application that granian imports by name, with its own log writer."""

from __future__ import annotations

import ctypes
import gc
from multiprocessing import util

from flask import Flask

from thumbline_ingest.keys import KeyStore
from thumbline_ingest.log import open_log

from .app import create_app
from .settings import CollectorSettings

# From glibc's malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8


def create() -> Flask:
    """
    The application of this process, with settings from the environment.

    The writer is made here, after the fork: neither SQLite connections nor Kafka producers survive one.

    Raises:
        LogUnavailable: the log cannot be reached.
        LogMisconfigured: the log is not as it must be.
    """
    settings = CollectorSettings.from_environ()
    writer = open_log(settings.log_url).writer()
    app = create_app(settings, writer, KeyStore(settings.keys_path))
    # Not `atexit`: worker processes of `multiprocessing` end without it.
    util.Finalize(app, writer.close, exitpriority=100)
    _calm_collector()
    _give_memory_back()
    return app


def _calm_collector() -> None:
    # A batch makes thousands of short-lived objects and no cycles: with the default threshold the
    # garbage collector looks through everything again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def _give_memory_back() -> None:
    # Large bodies come and go in many threads. With glibc's defaults what they held stays with the process.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, 512 * 1024)
