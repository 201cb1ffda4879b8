"""Which pages may send votes, and what their browsers are told (CORS)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .errors import RequestRefused

# As browsers write it: scheme, host and port alone, in lower case.
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Max-Age": "7200",
}


class Origins:
    """
    The origins that may send votes.

    Args:
        allowed: e.g. `https://chat.example.com`. Where it is empty every origin may send, and pages of other
            origins than the collector's own cannot read the answer.

    Raises:
        ValueError: an entry is no origin.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)
        for origin in self._allowed:
            check_origin(origin)

    def headers_for(self, environ: Mapping[str, Any]) -> dict[str, str]:
        """
        The headers of an answer to this request.

        Raises:
            RequestRefused: 403, its origin is not among those allowed.
        """
        if not self._allowed:
            return {}
        origin = environ.get("HTTP_ORIGIN")
        # Exactly: what is not the same text is another origin, also `null` and two origins at once.
        if origin not in self._allowed:
            what = "without an Origin" if origin is None else "from this Origin"
            raise RequestRefused(
                403,
                "origin_not_allowed",
                f"no votes are taken {what}: list the page's origin in THUMBLINE_ALLOWED_ORIGINS",
                headers={"Vary": "Origin"},
            )
        return {
            "Access-Control-Allow-Origin": str(origin),
            "Access-Control-Expose-Headers": "Retry-After",
            "Vary": "Origin",
        }

    def preflight_for(self, environ: Mapping[str, Any]) -> dict[str, str]:
        """The headers that answer a preflight; raises as `headers_for` does."""
        headers = self.headers_for(environ)
        return headers | _PREFLIGHT if headers else headers


def check_origin(origin: str) -> None:
    """
    Make sure that a browser could send this origin.

    Raises:
        ValueError: it could not, and would never match.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None or origin.endswith(_DEFAULT_PORTS[origin.partition(":")[0]]):
        raise ValueError(
            f"allowed_origins: '{origin}' is no origin; write scheme, host and port as browsers do, in lower case, "
            "without path and without the scheme's own port, e.g. https://chat.example.com"
        )
