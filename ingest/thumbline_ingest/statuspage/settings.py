"""The status page's settings, and how they reach its process: as one environment variable."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

ENVIRONMENT_NAME: Final = "THUMBLINE_STATUS_PAGE"
MIN_TOKEN_CHARS: Final = 16


class NotSafe(ValueError):
    """The page would be open to others; the message says what to set."""


@dataclass(frozen=True)
class StatusPageSettings:
    """
    How the status page runs.

    Attributes:
        home: the home folder, in which the collector's workers leave what they rejected.
        log_url: the log, as `thumbline_ingest.log.open_log` takes it.
        warehouse_url: the warehouse, as `WarehouseUrl.parse` takes it.
        collector_host: where this machine's collector listens.
        collector_port: its TCP port.
        host: address to listen on; loopback unless told otherwise.
        port: TCP port.
        token: what opens the page; may be empty on loopback only.
        texts: whether prompts and answers are shown.
        memory_limit: what DuckDB may use.
    """

    home: Path
    log_url: str
    warehouse_url: str
    collector_host: str = "127.0.0.1"
    collector_port: int = 8400
    host: str = "127.0.0.1"
    port: int = 8401
    token: str = field(default="", repr=False)
    texts: bool = False
    memory_limit: str = "256MB"

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def check(self) -> None:
        """
        Refuse to be open to others.

        Raises:
            NotSafe: no token on an address that others reach, or one that can be guessed.
        """
        if not self.token and not is_loopback(self.host):
            raise NotSafe(
                f"the status page does not listen on {self.host} without a token: set THUMBLINE_STATUS_TOKEN, "
                'e.g. to the output of python3 -c "import secrets; print(secrets.token_urlsafe())"'
            )
        if self.token and len(self.token) < MIN_TOKEN_CHARS:
            raise NotSafe(f"THUMBLINE_STATUS_TOKEN: at least {MIN_TOKEN_CHARS} characters")

    def to_environ(self) -> dict[str, str]:
        """The settings as an environment variable, for the process that serves."""
        return {ENVIRONMENT_NAME: json.dumps(asdict(self), default=str)}

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> StatusPageSettings:
        """The settings that `to_environ` wrote."""
        values: dict[str, Any] = json.loads(environ[ENVIRONMENT_NAME])
        return cls(**values | {"home": Path(values["home"])})


def is_loopback(host: str) -> bool:
    """Whether an address, or a name that is always one, is of this machine alone."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
