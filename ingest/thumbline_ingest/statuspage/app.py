"""The Flask application: routes, who may see them, and the headers that keep the page to itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, jsonify, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from .find import MAX_ID_CHARS, Busy
from .guard import COOKIE, SESSION_S, Guard
from .headline import headline
from .overview import funnel
from .places import Places
from .settings import StatusPageSettings
from .words import ago, curve, in_query, iso, many, moment, pretty, span

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FILTERS: Final = {
    "span": span,
    "many": many,
    "iso": iso,
    "curve": curve,
    "in_query": in_query,
    "moment": moment,
    "pretty": pretty,
}
# What a browser needs before it has signed in, and what probes ask.
_OPEN: Final = frozenset({"sign_in", "sign_in_form", "livez", "static"})


class StatusPage:
    """
    The page's routes.

    Args:
        settings: what to show, and to whom.
    """

    def __init__(self, settings: StatusPageSettings) -> None:
        self._guard = Guard(settings.token)
        self._places = Places(settings)

    def check(self) -> AnyResponse | None:
        """Before each request: answers those that may not see anything."""
        if not self._guard.is_host(request.headers.get("Host", "")):
            return _plain("The status page answers to localhost only: open it under that name, or set a token.\n", 403)
        if request.endpoint in _OPEN or self._guard.is_known(
            request.headers.get("Authorization", ""), request.cookies.get(COOKIE, "")
        ):
            return None
        if request.endpoint == "page":
            return redirect("/sign-in", 303)
        response = _plain("Sign in at /sign-in, or send the token as 'Authorization: Bearer TOKEN'.\n", 401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def get_page(self) -> str | tuple[str, int]:
        """`GET /`: the whole page."""
        return self._render("page.html")

    def get_live(self) -> str | tuple[str, int]:
        """`GET /live`: the part of it that changes."""
        return self._render("live.html")

    def get_find(self) -> Response:
        """`GET /find.json?id=ID`: the search, for programs."""
        asked = request.args.get("id", "").strip()
        if not asked or len(asked) > MAX_ID_CHARS:
            return _json({"error": f"id: give one of at most {MAX_ID_CHARS} characters"}, 400)
        try:
            return _json(self._places.finder.find(asked))
        except Busy:
            response = _json({"error": "another search is under way"}, 503)
            response.headers["Retry-After"] = "2"
            return response

    def get_sign_in(self) -> str | AnyResponse:
        """`GET /sign-in`: the form."""
        return render_template("sign_in.html", wrong=False) if self._guard.needs_token else redirect("/", 303)

    def post_sign_in(self) -> AnyResponse | tuple[str, int]:
        """`POST /sign-in`: takes the token, gives a cookie."""
        if not self._guard.is_token(request.form.get("token", "")):
            return render_template("sign_in.html", wrong=True), 401
        response = redirect("/", 303)
        # Behind a proxy with TLS the cookie is for TLS only. Who lies here harms only himself.
        secure = request.is_secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        response.set_cookie(
            COOKIE, self._guard.session(), max_age=SESSION_S, httponly=True, samesite="Strict", secure=secure
        )
        return response

    def post_sign_out(self) -> AnyResponse:
        """`POST /sign-out`: takes the cookie back."""
        response = redirect("/sign-in", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
        return response

    def _render(self, template: str) -> str | tuple[str, int]:
        asked = request.args.get("id", "").strip()
        found, problem = None, ""
        if len(asked) > MAX_ID_CHARS:
            problem = f"An id has at most {MAX_ID_CHARS} characters."
        elif asked:
            try:
                found = self._places.finder.find(asked)
            except Busy:
                problem = "Another search is under way; this one is tried again."
        seen = self._places.overview()
        text = render_template(
            template,
            asked=asked[:MAX_ID_CHARS],
            found=found,
            problem=problem,
            seen=seen,
            headline=headline(seen),
            funnel=funnel(seen),
            signed_in=self._guard.needs_token,
            ago=partial(ago, now=seen.now),
        )
        return (text, 400) if len(asked) > MAX_ID_CHARS else text


def create_app(settings: StatusPageSettings) -> Flask:
    """
    The status page as a WSGI application.

    Args:
        settings: what to show, and to whom; address and port are the server's business.

    Raises:
        NotSafe: the page would be open to others.
    """
    settings.check()
    app = Flask("thumbline_ingest.statuspage", root_path=str(Path(__file__).parent), static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = 4096
    app.jinja_env.filters |= _FILTERS
    page = StatusPage(settings)
    app.extensions["thumbline"] = page
    app.before_request(page.check)
    app.after_request(_secured)
    app.register_error_handler(HTTPException, _http_error)
    routes: dict[str, tuple[str, Callable[..., Any], str]] = {
        "page": ("/", page.get_page, "GET"),
        "live": ("/live", page.get_live, "GET"),
        "find": ("/find.json", page.get_find, "GET"),
        "sign_in_form": ("/sign-in", page.get_sign_in, "GET"),
        "sign_in": ("/sign-in", page.post_sign_in, "POST"),
        "sign_out": ("/sign-out", page.post_sign_out, "POST"),
        "livez": ("/livez", lambda: _json({"alive": True}), "GET"),
    }
    for name, (path, view, method) in routes.items():
        app.add_url_rule(path, name, view, methods=[method])
    return app


def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers[name] = value
    return response


def _http_error(error: HTTPException) -> Response:
    # Werkzeug's own pages repeat what was asked for.
    return _plain(f"{error.name}\n", error.code or 500)


def _plain(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")


def _json(body: object, status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response
