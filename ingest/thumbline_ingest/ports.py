"""Whether an address can be listened on."""

from __future__ import annotations

import socket


class PortInUse(Exception):
    """Another process listens on the address."""


def ensure_free(host: str, port: int) -> None:
    """
    Refuse an address that another process listens on.

    granian listens with SO_REUSEPORT: a second server would start and take half of the requests.

    Raises:
        PortInUse: the address is taken, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(f"{host}:{port}: {error.strerror}") from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now; somebody else may take it before the caller does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
