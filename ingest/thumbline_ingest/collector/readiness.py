"""Whether the collector should be sent requests now; known beforehand, so that asking never hangs."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from thumbline_ingest.log.base import LogUnavailable, LogWriter

from .metrics import Metrics
from .settings import CollectorSettings

DRAINING_FILE = "draining"


@dataclass(frozen=True)
class Check:
    """
    One thing that must be well.

    Attributes:
        ok: it is.
        message: what is wrong, or what is well.
    """

    ok: bool
    message: str


@dataclass(frozen=True)
class _Look:
    at: float
    log: Check
    disk: Check


class Readiness:
    """
    Looks at the log and the disk in a thread of its own.

    So a log that hangs makes the answer "no" instead of keeping the asker waiting.

    Args:
        settings: intervals and limits.
        writer: the log's end that is checked.
        metrics: told whether the log is up.
    """

    def __init__(self, settings: CollectorSettings, writer: LogWriter, metrics: Metrics) -> None:
        self._settings = settings
        self._writer = writer
        self._metrics = metrics
        self._closed = threading.Event()
        self._draining = False
        self._last = self._look()
        self._thread = threading.Thread(target=self._run, name="thumbline-readiness", daemon=True)
        self._thread.start()

    def checks(self) -> dict[str, Check]:
        """Each check by its name; the collector is ready where all are well."""
        draining = Check(False, "stopping") if self.draining() else Check(True, "no")
        return {"log": self.log(), "disk": self._last.disk, "draining": draining}

    def log(self) -> Check:
        """Whether the log takes records, as far as known."""
        last = self._last
        age = time.monotonic() - last.at
        if last.log.ok and age > self._settings.stale_after_s:
            self._metrics.set("log_up", 0)
            return Check(False, f"no answer for {age:.0f} s")
        return last.log

    def drain(self) -> None:
        """Be not ready from now on."""
        self._draining = True

    def draining(self) -> bool:
        """Whether the collector is about to stop."""
        run_dir = self._settings.run_dir
        return self._draining or (run_dir is not None and (run_dir / DRAINING_FILE).exists())

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._settings.check_interval_s):
            self._last = self._look()

    def _look(self) -> _Look:
        started = time.monotonic()
        log = _check_log(self._writer)
        disk = _check_disk(self._settings)
        self._metrics.set("log_up", 1 if log.ok else 0)
        self._metrics.share()
        # The time before the look: what was found may have changed while it was under way.
        return _Look(started, log, disk)


def _check_log(writer: LogWriter) -> Check:
    try:
        writer.check()
    except LogUnavailable as error:
        return Check(False, str(error))
    except Exception as error:  # noqa: BLE001 - whatever else a log raises, it is not well
        return Check(False, f"check failed: {type(error).__name__}")
    return Check(True, "takes records")


def _check_disk(settings: CollectorSettings) -> Check:
    try:
        usage = shutil.disk_usage(settings.data_dir)
    except OSError as error:
        return Check(False, f"{_name(settings.data_dir)}: {error.strerror}")
    enough = min(settings.min_free_bytes, int(usage.total * settings.min_free_fraction))
    megabytes = usage.free // (1024 * 1024)
    return Check(usage.free >= enough, f"{megabytes} MB free")


def _name(path: Path) -> str:
    return path.name or str(path)
