"""The Flask application: routes, keys, and answers."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from thumbline_ingest.keys import KeyStore
from thumbline_ingest.log.base import LogUnavailable, LogWriter
from thumbline_ingest.rejections import FOLDER

from . import assets
from . import metrics as metrics_module
from .answers import HEADERS, JSON, answer_json, refused
from .batch import prepare
from .body import read_body
from .browser import BrowserRoute
from .errors import RequestRefused, busy
from .inflight import InflightBytes
from .intake import Intake
from .metrics import Metrics
from .openapi import openapi_json
from .readiness import Readiness
from .recent import RecentIds
from .ring import RejectionRing
from .settings import CollectorSettings
from .turns import Turns
from .verdicts import Verdicts

_log = logging.getLogger("thumbline.collector")

_SCHEME: Final = "bearer "
# Seconds that a request waits until it may work. Below the client's timeout: it shall see the 503.
_PATIENCE_S: Final = 5.0


class Collector:
    """
    The parts of a running collector, behind its HTTP routes.

    Args:
        settings: limits and intervals.
        writer: the log's end; made in this process.
        keys: who may send.
    """

    def __init__(self, settings: CollectorSettings, writer: LogWriter, keys: KeyStore) -> None:
        prepare()
        self.metrics = Metrics(settings.run_dir if settings.workers > 1 else None)
        self.inflight = InflightBytes(settings.max_inflight_bytes)
        self.readiness = Readiness(settings, writer, self.metrics)
        self._keys = keys
        self._turns = Turns(settings.turns, settings.threads, _PATIENCE_S)
        self._ring = RejectionRing(settings.data_dir / FOLDER, self.metrics.count_lost_notes)
        self._intake = Intake(writer, RecentIds(settings.recent_ids), self.metrics, self._ring)
        self.browser = BrowserRoute(
            settings,
            keys,
            self._intake,
            self.readiness,
            self.metrics,
            self.inflight,
            self._turns.beside(settings.vote_threads),
            self._ring,
        )

    def post_events(self) -> Response:
        """`POST /v1/events`."""
        started = time.perf_counter()
        try:
            response = _answer(self._take())
        except RequestRefused as refusal:
            self._ring.note_request("/v1/events", refusal)
            response = refused(refusal)
        except LogUnavailable as error:
            _log.warning("log unavailable: %s", error)
            response = refused(busy("the log does not take events now; send again", error.retry_after_s))
        self.metrics.count_request(response.status_code, time.perf_counter() - started)
        return response

    def _take(self) -> Verdicts:
        # The key comes first: who has none must not be able to hold a thread or memory with a body.
        environ = request.environ
        project = self._project(environ.get("HTTP_AUTHORIZATION", ""))
        if environ.get("CONTENT_TYPE", "").split(";")[0].strip().lower() != JSON:
            raise RequestRefused(415, "unsupported_media_type", f"Content-Type must be {JSON}")
        if not self.readiness.log().ok:
            # Known to be down: an append would only keep the client waiting.
            raise busy("the log does not take events now; send again later")
        with self._turns.inside, self.inflight.lease() as lease:
            body = read_body(environ, lease)
            with self._turns.turn:
                return self._intake.take(project, body)

    def _project(self, authorization: str) -> str:
        if authorization[: len(_SCHEME)].lower() == _SCHEME:
            project = self._keys.verify(authorization[len(_SCHEME) :].strip())
            if project is not None:
                return project
        raise RequestRefused(
            401,
            "bad_key",
            "send a valid key as 'Authorization: Bearer KEY'",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def get_ready(self) -> Response:
        """`GET /readyz`."""
        checks = self.readiness.checks()
        ready = all(check.ok for check in checks.values())
        body = {"ready": ready, "checks": {name: asdict(check) for name, check in checks.items()}}
        return answer_json(body, 200 if ready else 503)

    def get_metrics(self) -> Response:
        """`GET /metrics`."""
        self.metrics.set("inflight_bytes", self.inflight.held)
        return Response(self.metrics.render(), headers=HEADERS, content_type=metrics_module.CONTENT_TYPE)

    def close(self) -> None:
        """Stop the threads; the writer is its maker's to close."""
        self.readiness.close()
        self._ring.close()


def create_app(settings: CollectorSettings, writer: LogWriter, keys: KeyStore) -> Flask:
    """
    The collector as a WSGI application.

    Args:
        settings: limits and intervals; address and processes are the server's business.
        writer: the log's end; must have been made in this process.
        keys: who may send.
    """
    app = Flask("thumbline_ingest.collector", static_folder=None)
    collector = Collector(settings, writer, keys)
    app.extensions["thumbline"] = collector
    app.add_url_rule("/v1/events", "events", collector.post_events, methods=["POST"], provide_automatic_options=False)
    votes = collector.browser
    app.add_url_rule("/v1/votes", "votes", votes.post, methods=["POST"], provide_automatic_options=False)
    app.add_url_rule("/v1/votes", "votes_cors", votes.options, methods=["OPTIONS"], provide_automatic_options=False)
    app.add_url_rule("/livez", "livez", lambda: answer_json({"alive": True}))
    app.add_url_rule("/readyz", "readyz", collector.get_ready)
    app.add_url_rule("/metrics", "metrics", collector.get_metrics)
    app.add_url_rule("/openapi.json", "openapi", lambda: Response(openapi_json(), headers=HEADERS, content_type=JSON))
    app.add_url_rule("/", "index", lambda: answer_json(_INDEX))
    assets.add_routes(app)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    return app


_INDEX: Final = {
    "service": "thumbline collector",
    "events": "/v1/events",
    "votes": "/v1/votes",
    "client": "/thumbline.js",
    "elements": "/thumbline-elements.js",
    "openapi": "/openapi.json",
    "live": "/livez",
    "ready": "/readyz",
    "metrics": "/metrics",
}


def _answer(verdicts: Verdicts) -> Response:
    # Without the headers that are for browsers: no page shows this, and it is the answer that must be fast.
    response = Response(verdicts.to_json(), 200, content_type=JSON)
    if verdicts.count("retry"):
        response.headers["Retry-After"] = "1"
    return response


def _http_error(error: HTTPException) -> Response:
    # 404, 405 and the like. Werkzeug's own pages are HTML, and some repeat what was sent.
    name = (error.name or "error").lower().replace(" ", "_")
    kept = {key: value for key, value in error.get_headers() if key == "Allow"}
    return refused(RequestRefused(error.code or 500, name, error.name or "error", headers=kept))


def _unexpected(error: Exception) -> Response:
    # The message and the traceback's values may hold what was sent: only the place is logged.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
    _log.error("unexpected %s at %s", type(error).__name__, where)
    return refused(RequestRefused(500, "internal", "unexpected error"))
