"""The browser client and the elements, as they were built from `sdk/web`."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from flask import Flask, Response, request

NAMES: Final = ("thumbline.js", "thumbline.mjs", "thumbline-elements.js", "thumbline-elements.mjs")
"""Files that the collector serves at its root: client and elements, each as one script and as a module."""

_HEADERS: Final = {
    "Content-Type": "text/javascript; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    # Pages of every origin may load it as a module, and pin it by its hash.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # An update reaches open products within an hour.
    "Cache-Control": "public, max-age=3600",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True)
class Asset:
    """
    A file to serve.

    Attributes:
        body: its bytes.
        packed: the same, gzipped.
        etag: names its content.
    """

    body: bytes
    packed: bytes
    etag: str


@cache
def asset(name: str) -> Asset:
    """
    One of the files.

    Args:
        name: one of `NAMES`.
    """
    body = resources.files(__package__).joinpath("static").joinpath(name).read_bytes()
    return Asset(body, gzip.compress(body, 9, mtime=0), hashlib.sha256(body).hexdigest()[:32])


def add_routes(app: Flask) -> None:
    """Serve the files at the root of a collector, or of an application of the host's own."""
    for name in NAMES:
        app.add_url_rule(f"/{name}", name.replace(".", "_"), _view(name))


def _view(name: str) -> Callable[[], Response]:
    return lambda: _answer(asset(name))


def _answer(found: Asset) -> Response:
    is_packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(found.packed if is_packed else found.body, headers=_HEADERS)
    if is_packed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(found.etag, weak=True)
    response.make_conditional(request.environ)
    return response
