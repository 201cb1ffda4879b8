"""Refusals of a whole request: `{"error": {"code": ..., "message": ...}}`, never with what was sent."""

from __future__ import annotations

import json


class RequestRefused(Exception):
    """
    The whole request is refused; nothing of it was stored, or it is not known whether it was (503).

    Attributes:
        status: HTTP status.
        code: short name for programs, e.g. `body_too_large`.
        retry_after_s: seconds after which the same request may work; None where it never will.
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    def body(self) -> bytes:
        """The JSON answer."""
        return json.dumps({"error": {"code": self.code, "message": str(self)}}).encode()


def busy(message: str, retry_after_s: float = 1.0) -> RequestRefused:
    """503: the same request may work later."""
    return RequestRefused(503, "unavailable", message, retry_after_s=retry_after_s)
