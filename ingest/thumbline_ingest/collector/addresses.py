"""Whose request it is, as far as the network says."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

_log = logging.getLogger("thumbline.collector")

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

# One subscriber commonly has a whole /64 of IPv6.
_IPV6_PREFIX: Final = 64


class Addresses:
    """
    Finds the address that a request is counted under.

    `X-Forwarded-For` can be written by anyone; what counts of it is only what proxies that are trusted
    have added: read from the right, the first address that is no trusted proxy.

    Args:
        trusted_proxies: addresses or networks of proxies.

    Raises:
        ValueError: an entry is neither.
    """

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted = [_network(entry) for entry in trusted_proxies]
        self._told = False

    def of(self, environ: Mapping[str, Any]) -> str:
        """The address of a request's sender; networks of IPv6 count as one."""
        peer = environ.get("REMOTE_ADDR") or ""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR")
        if not forwarded:
            return _counted(peer)
        if not self._is_trusted(peer):
            self._tell()
            return _counted(peer)
        found = peer
        for hop in reversed(forwarded.split(",")):
            if _parsed(hop.strip()) is None:
                break  # not written by a proxy: what is left of it says nothing either
            found = hop.strip()
            if not self._is_trusted(found):
                break
        return _counted(found)

    def _is_trusted(self, text: str) -> bool:
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            _log.warning(
                "votes come with X-Forwarded-For from a proxy that is not in THUMBLINE_TRUSTED_PROXIES: all of them "
                "count as sent from one address, and are limited as one"
            )


def _network(entry: str) -> _Network:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(f"trusted_proxies: '{entry}' is no address and no network, e.g. 10.0.0.0/8") from None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(maxsize=4096)
def _counted(text: str) -> str:
    address = _parsed(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address) if address is not None else ""
