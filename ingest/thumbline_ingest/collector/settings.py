"""The collector's settings, and how they reach a worker process: as one environment variable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

ENVIRONMENT_NAME: Final = "THUMBLINE_COLLECTOR"
_LISTS: Final = ("allowed_origins", "trusted_proxies")
_PATHS: Final = ("keys_path", "data_dir", "run_dir")


@dataclass(frozen=True)
class CollectorSettings:
    """
    How the collector runs.

    Attributes:
        log_url: the log, as `thumbline_ingest.log.open_log` takes it.
        keys_path: file of the key store.
        data_dir: folder whose disk must keep room: where the log's file is.
        host: address to listen on; loopback unless told otherwise.
        port: TCP port.
        workers: processes. Each has a log writer, a memory of recent ids and a byte cap of its own.
        allowed_origins: origins whose pages may send votes, e.g. `https://chat.example.com`; when there are none,
            votes are taken from everywhere, and only pages of the collector's own origin can read the answer.
        trusted_proxies: addresses or networks of proxies whose `X-Forwarded-For` is believed.
        votes_per_receipt: accepted events of one rater on one thing in an hour, per worker; 0 for no limit.
        votes_per_address: events from one address in a minute, per worker; 0 for no limit.
        vote_threads: requests to `/v1/votes` per worker that may be under way; beside `threads`, so that pages
            never keep servers waiting.
        threads: requests to `/v1/events` per worker that may be under way, each with a thread, made when
            needed; more are answered 503. A request holds one while its body arrives and while it waits for
            the disk.
        connections: open connections per worker, those on which nothing has come yet included; the next ones wait until
            one ends. Far above `threads`: an idle one costs some 20 kB, and must not keep others waiting.
        turns: requests per worker that are checked and appended at the same time; see docs/server-choice.md.
        max_inflight_bytes: bodies held at one time, over all requests of a worker; above one request at its
            largest (`limits.MAX_INFLATED_BYTES` plus `limits.MAX_BODY_BYTES`).
        recent_ids: event ids remembered as durable, per worker.
        min_free_fraction: share of the disk that must be free; either this or `min_free_bytes` is enough.
        min_free_bytes: free bytes that are enough whatever the disk's size.
        check_interval_s: seconds between two looks at log and disk.
        stale_after_s: age in seconds at which the last look no longer counts: a log that hangs is down.
            `check_interval_s` and the 2 seconds that `LogWriter.check` may take are below it.
        header_timeout_s: seconds that a client has to send its request's headers, and that an idle
            connection is kept.
        drain_s: seconds between `/readyz` turning false and the end of listening, so that a load balancer
            sees it first.
        stop_timeout_s: seconds for requests under way to finish after that; `drain_s` plus this is below 10.
        run_dir: folder that the processes of one collector share while it runs; `serve` makes one.
    """

    log_url: str
    keys_path: Path
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8400
    workers: int = 1
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    votes_per_receipt: int = 60
    votes_per_address: int = 600
    vote_threads: int = 16
    threads: int = 64
    connections: int = 8_192
    turns: int = 4
    max_inflight_bytes: int = 64 * 1024 * 1024
    recent_ids: int = 200_000
    min_free_fraction: float = 0.05
    min_free_bytes: int = 512 * 1024 * 1024
    check_interval_s: float = 1.0
    stale_after_s: float = 4.0
    header_timeout_s: float = 10.0
    drain_s: float = 1.0
    stop_timeout_s: float = 8.0
    run_dir: Path | None = None

    def to_environ(self) -> dict[str, str]:
        """The settings as environment variables, for a worker process."""
        return {ENVIRONMENT_NAME: json.dumps(asdict(self), default=str)}

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> CollectorSettings:
        """
        The settings that `to_environ` wrote; without them, `THUMBLINE_LOG` and `THUMBLINE_HOME`.

        Raises:
            ValueError: the variable holds something else.
        """
        written = environ.get(ENVIRONMENT_NAME)
        if written is None:
            return cls._from_home(environ)
        values: dict[str, Any] = json.loads(written)
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"{ENVIRONMENT_NAME}: unknown settings {sorted(unknown)}")
        for name in _LISTS:
            values[name] = tuple(values.get(name, ()))
        for name in _PATHS:
            if values.get(name) is not None:
                values[name] = Path(values[name])
        return cls(**values)

    @classmethod
    def _from_home(cls, environ: Mapping[str, str]) -> CollectorSettings:
        # The same folder as the command's: one that needs no home of the user's.
        home = Path(environ.get("THUMBLINE_HOME") or "thumbline-home").absolute()
        log_url = environ.get("THUMBLINE_LOG", f"sqlite:{home / 'log.sqlite'}")
        return cls(log_url=log_url, keys_path=home / "keys.json", data_dir=home)
