"""Responses that the routes share."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from flask import Response

from .errors import RequestRefused

JSON: Final = "application/json"
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def answer_json(body: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(json.dumps(body), status, headers=HEADERS, content_type=JSON)


def refused(refusal: RequestRefused) -> Response:
    """The response to a request that is refused as a whole."""
    response = Response(refusal.body(), refusal.status, headers=HEADERS | refusal.headers, content_type=JSON)
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = retry_after(refusal.retry_after_s)
    return response


def retry_after(seconds: float) -> str:
    """The header's value: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
