"""The chat's web server."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from flask import Flask, Response, abort, render_template, request, session

import thumbline
from thumbline_ingest.collector import assets

from .answering import Answerer, Question
from .conversations import Turns

# Nothing inline, nothing from elsewhere: the elements work under that.
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {collector}; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_LONGEST: Final = 2_000


@dataclass(frozen=True)
class ChatSettings:
    """
    Where the chat sends and looks.

    Attributes:
        collector: URL of the collector, as the page reaches it.
        status: URL of the status page, asked where a vote is; empty for none.
        secret: signs the cookie that tells people apart.
        pause_s: seconds between two words of an answer.
    """

    collector: str
    status: str = ""
    secret: str = ""
    pause_s: float = 0.02

    @classmethod
    def from_environ(cls) -> ChatSettings:
        """From `THUMBLINE_URL`, `CHAT_STATUS_URL`, `CHAT_SECRET`."""
        return cls(
            collector=os.environ["THUMBLINE_URL"],
            status=os.environ.get("CHAT_STATUS_URL", ""),
            secret=os.environ.get("CHAT_SECRET", ""),
        )


def create_app(tl: thumbline.Client, settings: ChatSettings) -> Flask:
    """
    The chat as a WSGI application.

    Args:
        tl: logs answers and mints receipts.
        settings: where it sends and looks.
    """
    app = Flask(__name__)
    app.secret_key = settings.secret or secrets.token_hex()
    app.config.update(SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_NAME="chat")
    turns = Turns()
    answerer = Answerer(tl, turns, settings.pause_s)
    # The collector serves these files too; from the own origin they need no place in the policy below.
    assets.add_routes(app)

    @app.get("/")
    def page() -> str:
        session.setdefault("person", uuid.uuid4().hex)
        return render_template("chat.html", collector=settings.collector, status=settings.status)

    @app.post("/ask")
    def ask() -> Response:
        asked = _body()
        person = _person()
        text = _text(asked.get("text"))
        share = _share(asked.get("share", 0))
        parent_id = asked.get("parent")
        if parent_id is None:
            new = ({"role": "system", "content": "Answer the question."}, {"role": "user", "content": text})
            return _streamed(answerer.answer(Question(person, uuid.uuid4().hex, new), share))
        before = turns.get(str(parent_id), person) or abort(404, "parent: no answer of yours has this id")
        question = Question(person, before.conversation_id, before.going_on(text), before.answer_id)
        return _streamed(answerer.answer(question, share))

    @app.post("/again")
    def again() -> Response:
        person = _person()
        before = turns.get(str(_body().get("answer")), person) or abort(404, "answer: no answer of yours has this id")
        question = Question(person, before.conversation_id, before.messages, before.answer_id)
        return _streamed(answerer.again(question, before.policy))

    @app.get("/where")
    def where() -> Response:
        """Where an event is, as the status page tells it."""
        return Response(_find(settings.status, request.args.get("id", "")), content_type="application/json")

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _CSP.format(collector=settings.collector))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

    return app


def _body() -> dict[str, Any]:
    found = request.get_json(silent=True)
    return found if isinstance(found, dict) else abort(400, "the body must be a JSON object")


def _text(asked: Any) -> str:
    text = asked.strip()[:_LONGEST] if isinstance(asked, str) else ""
    return text or abort(400, "text: must be a text that is not empty")


def _share(asked: Any) -> float:
    return min(1.0, max(0.0, asked)) if isinstance(asked, int | float) else abort(400, "share: must be a number")


def _person() -> str:
    person = session.get("person")
    return str(person) if person else abort(401, "load the page first: it sets the cookie that says who you are")


def _streamed(events: Iterable[dict[str, Any]]) -> Response:
    """One JSON object a line, as they come."""

    def lines() -> Iterator[str]:
        for event in events:
            yield json.dumps(event) + "\n"

    return Response(lines(), content_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


def _find(status: str, wanted: str) -> bytes:
    if not status:
        return b'{"events": []}'
    try:
        with urlopen(f"{status}/find.json?id={quote(wanted, safe='')}", timeout=5) as answer:
            return bytes(answer.read())
    except (URLError, OSError):
        return b'{"events": []}'
