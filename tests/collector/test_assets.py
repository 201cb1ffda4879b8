"""The files that pages load: small, and served so that pages of every origin can use them."""

from __future__ import annotations

import gzip

import pytest

from tests.collector.helpers import App
from thumbline_ingest.collector.assets import NAMES, asset

KIB = 1024
LIMITS = {
    "thumbline.js": 4 * KIB,
    "thumbline.mjs": 4 * KIB,
    "thumbline-elements.js": 6 * KIB,
    "thumbline-elements.mjs": 6 * KIB,
}


@pytest.mark.parametrize("name", NAMES)
def test_size(name: str) -> None:
    assert len(gzip.compress(asset(name).body, 9)) <= LIMITS[name]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_loaded_from_elsewhere_and_nothing_is_parsed_as_code(name: str) -> None:
    text = asset(name).body.decode().replace("http://www.w3.org/2000/svg", "")
    for forbidden in ("http://", "https://", "eval(", "innerHTML", "Function("):
        assert forbidden not in text


@pytest.mark.parametrize("name", NAMES)
def test_the_collector_serves_it(app: App, name: str) -> None:
    plain = app.client.get(f"/{name}")
    assert (plain.status_code, plain.data) == (200, asset(name).body)
    assert plain.headers["Content-Type"] == "text/javascript; charset=utf-8"
    # A module of another origin is loaded with CORS, and so is what is pinned by its hash.
    assert plain.headers["Access-Control-Allow-Origin"] == "*"
    assert plain.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert plain.headers["X-Content-Type-Options"] == "nosniff"
    packed = app.client.get(f"/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == asset(name).body
    again = app.client.get(f"/{name}", headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
