"""The applications that `collector.py` compares; imported by name in the server's worker."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from flask import Flask, Response, request
from pydantic import Field, TypeAdapter

from thumbline.events import Event
from thumbline_ingest.collector import worker
from thumbline_ingest.collector.app import create_app
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.keys import KeyStore
from thumbline_ingest.log.base import Appended, Record


class DiscardWriter:
    """A log that keeps nothing."""

    def append(self, records: Sequence[Record]) -> Appended:
        return Appended()

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass


def reference() -> Flask:
    """The least that a Flask route can do: validate, and throw away."""
    app = Flask("reference", static_folder=None)
    # With the discriminator: the plain union of the models is ten times slower.
    batch = TypeAdapter(list[Annotated[Event, Field(discriminator="kind")]])

    @app.post("/v1/events")
    def events() -> Response:
        batch.validate_json(request.get_data(cache=False))
        return Response(b"{}", 200, content_type="application/json")

    return app


def discard() -> Flask:
    """The whole collector over a log that keeps nothing."""
    home = Path(os.environ["THUMBLINE_HOME"])
    settings = CollectorSettings("discard:", home / "keys.json", home)
    worker._calm_collector()
    return create_app(settings, DiscardWriter(), KeyStore(settings.keys_path))


def discard_open() -> Flask:
    """The same without the limits on what one receipt and one address may send."""
    home = Path(os.environ["THUMBLINE_HOME"])
    settings = CollectorSettings("discard:", home / "keys.json", home, votes_per_receipt=0, votes_per_address=0)
    worker._calm_collector()
    return create_app(settings, DiscardWriter(), KeyStore(settings.keys_path))


def durable_open() -> Flask:
    """The same over the SQLite log."""
    home = Path(os.environ["THUMBLINE_HOME"])
    settings = CollectorSettings(
        os.environ["THUMBLINE_LOG"], home / "keys.json", home, votes_per_receipt=0, votes_per_address=0
    )
    os.environ |= settings.to_environ()
    return worker.create()


def durable() -> Flask:
    """The whole collector over the SQLite log."""
    return worker.create()
