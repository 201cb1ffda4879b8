"""Who may look at the page, and what the page forbids a browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.processes import run
from tests.statuspage.site import Answer, Site, request
from thumbline_ingest.statuspage.guard import SESSION_S, Guard
from thumbline_ingest.statuspage.settings import NotSafe, StatusPageSettings, is_loopback

TOKEN = "correct-horse-battery"
PATHS = ("/", "/live", "/find.json?id=a", "/static/live.js", "/livez", "/nowhere", "/sign-in")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory):
    """A page without a token."""
    home = tmp_path_factory.mktemp("open") / "home"
    home.mkdir()
    site = Site(home)
    site.page()
    yield site
    site.close()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory):
    """A page with a token, on all addresses."""
    home = tmp_path_factory.mktemp("locked") / "home"
    home.mkdir()
    site = Site(home)
    site.page(status_token=TOKEN, status_host="0.0.0.0")
    yield site
    site.close()


def sign_in(site: Site, token: str, **headers: str) -> Answer:
    body = urlencode({"token": token}).encode()
    return request(site.url, "/sign-in", "POST", body, Content_Type="application/x-www-form-urlencoded", **headers)


def cookie_of(answer: Answer) -> str:
    return (answer.headers["Set-Cookie"] or "").split(";")[0]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_keeps_the_page_to_itself(opened: Site, path: str) -> None:
    headers = opened.get(path).headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Access-Control-Allow-Origin"] is None


def test_the_page_needs_nothing_but_what_it_serves(opened: Site) -> None:
    text = opened.get("/").text
    assert "style=" not in text
    assert " on" + "click" not in text
    assert "//" not in text.replace("http://127.0.0.1", "")
    assert opened.get("/static/live.js").headers["Content-Type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8401", "localhost.evil.example", "127.0.0.1.nip.io", "", "[fe80::1]", "0.0.0.0"],
)
def test_another_name_is_refused_without_a_token(opened: Site, host: str) -> None:
    """A page of another site that makes its own name lead to 127.0.0.1 must not read this one."""
    for path in PATHS:
        answer = opened.get(path, Host=host)
        assert answer.status == 403
        assert "From shown to landed" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9", "127.0.0.1:8401", "127.8.8.8", "[::1]:8401", "localhost."]
)
def test_the_names_of_this_machine_are_taken(opened: Site, host: str) -> None:
    assert opened.get("/", Host=host).status == 200


def test_without_the_token_nothing_is_shown(locked: Site) -> None:
    page = locked.get("/")
    assert (page.status, page.headers["Location"]) == (303, "/sign-in")
    for path in ("/live", "/find.json?id=a", "/nowhere"):
        answer = locked.get(path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert locked.get("/sign-in").status == 200
    assert locked.get("/livez").status == 200
    for path in ("/", "/live", "/find.json?id=a"):
        assert locked.get(f"{path}{'&' if '?' in path else '?'}token={TOKEN}").status in (303, 401)


@pytest.mark.parametrize("bearer", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é", "correct-horse-batterx"])
def test_a_wrong_token_opens_nothing(locked: Site, bearer: str) -> None:
    encoded = f"Bearer {bearer}".encode().decode("latin-1")
    assert locked.get("/find.json?id=a", Authorization=encoded).status == 401
    answer = sign_in(locked, bearer)
    assert (answer.status, answer.headers["Set-Cookie"]) == (401, None)
    assert "That is not the token" in answer.text
    assert not bearer or bearer not in answer.text.replace("é", "")


def test_the_token_opens_the_page_for_programs(locked: Site) -> None:
    assert locked.get("/find.json?id=a", Authorization=f"Bearer {TOKEN}").status == 200
    assert locked.get("/", Authorization=f"bearer {TOKEN}", Host="status.example.com").status == 200


def test_signing_in_gives_a_cookie_from_which_the_token_cannot_be_told(locked: Site) -> None:
    answer = sign_in(locked, TOKEN)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    said = {part.strip().lower() for part in answer.headers["Set-Cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={SESSION_S}"} <= said
    assert "secure" not in said
    assert TOKEN not in answer.headers["Set-Cookie"]
    cookie = cookie_of(answer)
    page = locked.get("/", Cookie=cookie)
    assert page.status == 200
    assert TOKEN not in page.text
    assert "Sign out" in page.text
    assert locked.get("/live", Cookie=cookie[:-1] + ("0" if cookie[-1] != "0" else "1")).status == 401
    until, signature = cookie.split("=")[1].split(".")
    assert locked.get("/live", Cookie=f"thumbline_status={int(until) + 9}.{signature}").status == 401
    assert locked.get("/live", Cookie="thumbline_status=" + TOKEN).status == 401
    gone = request(locked.url, "/sign-out", "POST", Cookie=cookie)
    assert "Max-Age=0" in gone.headers["Set-Cookie"]


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_only(locked: Site) -> None:
    answer = sign_in(locked, TOKEN, X_Forwarded_Proto="https")
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_sign_in_ends() -> None:
    clock = [1_000.0]
    guard = Guard(TOKEN, lambda: clock[0])
    cookie = guard.session()
    clock[0] += SESSION_S - 1
    assert guard.is_known("", cookie)
    clock[0] += 2
    assert not guard.is_known("", cookie)
    assert not Guard("another-token-altogether", lambda: 1_000.0).is_known("", cookie)


def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr("thumbline_ingest.statuspage.guard.hmac.compare_digest", compare)
    guard = Guard(TOKEN)
    for text in ("", "x", TOKEN, TOKEN * 9):
        assert guard.is_token(text) == (text == TOKEN)
    assert len(compared) == 4
    assert len({len(one) for pair in compared for one in pair}) == 1


def test_it_does_not_start_open_to_others(home: Path) -> None:
    failed = run(home, "status-page", "--host", "0.0.0.0", check=False)
    assert failed.returncode == 2
    assert "without a token: set THUMBLINE_STATUS_TOKEN" in failed.stderr
    short = run(home, "status-page", check=False, status_token="short")
    assert short.returncode == 2
    assert "at least 16 characters" in short.stderr
    assert "short" not in short.stderr.replace("shorter", "")


def test_the_token_is_in_no_text_of_the_settings() -> None:
    settings = StatusPageSettings(Path("h"), "sqlite:l", "ducklake:w", token=TOKEN)
    assert TOKEN not in repr(settings)
    from thumbline_ingest.cli.settings import resolve

    assert TOKEN not in repr(resolve({}, {"THUMBLINE_HOME": "h", "THUMBLINE_STATUS_TOKEN": TOKEN}))
    with pytest.raises(NotSafe):
        StatusPageSettings(Path("h"), "l", "w", host="::").check()
    assert StatusPageSettings.from_environ(settings.to_environ()) == settings


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
     ("thumbline.internal", False), ("", False), ("127.0.0.1.example.com", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
