"""What can be configured, and which source wins: argument, then environment, then default."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

from ._log import QuietLog

if TYPE_CHECKING:
    from .events import ConsentValue
    from .spool import Spool

__all__ = ["ClientOptions", "ClientSettings", "resolve"]

_log = QuietLog("settings")

DEFAULT_SPOOL: Final = "default"
"""Stands for the per-user state directory."""


@dataclass(frozen=True)
class ClientSettings:
    """
    A client's settings. Sizes are in bytes, times (`_s`) in seconds.

    Attributes:
        url: base URL of the collector.
        key: write key.
        app: product name on every event; None leaves it empty. The same for `surface`, `app_version`.
        surface: where in the product.
        app_version: the product's release.
        training_consent: consent on every event that does not state its own; None leaves `unknown`.
        pepper: secret that keys the pseudonyms of raters and authors; None derives one from `key`.
        spool: directory for what could not be delivered, `"default"`, or None for memory only.
        spool_max_bytes: cap of that directory.
        durable: write each event to the spool before its call returns.
        debug: check events on the caller's thread and raise what would lose one.
        max_queue_bytes: cap of the memory queue; a little over what the events take up.
        max_batch_events: events in a request; below the collector's `limits.MAX_BATCH_EVENTS`.
        max_batch_bytes: JSON in a request, except where one event alone is larger; below the collector's
            `limits.MAX_BODY_BYTES`.
        flush_interval_s: longest wait of an event for others to travel with.
        connect_timeout_s: until a connection must stand.
        read_timeout_s: without a byte, until an answer is given up.
        request_timeout_s: for a request as a whole, from the connection to the last byte of its answer.
        backoff_initial_s: ceiling of the first random wait after a failure; it doubles from there.
        backoff_max_s: ceiling of the longest one.
        misconfigured_wait_s: wait after an answer that says that the key or the URL is wrong.
        spool_scan_interval_s: between looks for spooled events that nobody delivers.
        exit_timeout_s: to deliver what is left when the process ends, for all clients together.
    """

    url: str
    key: str = field(repr=False)
    app: str | None = None
    surface: str | None = None
    app_version: str | None = None
    training_consent: ConsentValue | None = None
    pepper: str | None = field(default=None, repr=False)
    spool: str | Path | Spool | None = DEFAULT_SPOOL
    spool_max_bytes: int = 256 * 1024 * 1024
    durable: bool = False
    debug: bool = False
    max_queue_bytes: int = 32 * 1024 * 1024
    max_batch_events: int = 500
    max_batch_bytes: int = 1024 * 1024
    flush_interval_s: float = 0.5
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    request_timeout_s: float = 30.0
    backoff_initial_s: float = 0.25
    backoff_max_s: float = 30.0
    misconfigured_wait_s: float = 30.0
    spool_scan_interval_s: float = 30.0
    exit_timeout_s: float = 5.0


class ClientOptions(TypedDict, total=False):
    """The optional arguments of `Client`; see `ClientSettings`."""

    app: str | None
    surface: str | None
    app_version: str | None
    training_consent: ConsentValue | None
    pepper: str | None
    spool: str | Path | Spool | None
    spool_max_bytes: int
    durable: bool
    debug: bool
    max_queue_bytes: int
    max_batch_events: int
    max_batch_bytes: int
    flush_interval_s: float
    connect_timeout_s: float
    read_timeout_s: float
    request_timeout_s: float
    backoff_initial_s: float
    backoff_max_s: float
    misconfigured_wait_s: float
    spool_scan_interval_s: float
    exit_timeout_s: float


def env_name(setting: str) -> str:
    """
    The environment variable of a setting.

        "flush_interval_s"  ->  "THUMBLINE_FLUSH_INTERVAL_S"
    """
    return "THUMBLINE_" + setting.upper()


def resolve(
    url: str | None, key: str | None, options: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> ClientSettings:
    """
    The settings that apply: an argument, else the environment, else the default.

    A bad argument is a programming error and raises. A bad value in the environment is logged and the
    default holds, so that a typing error in a deployment does not stop the product; without a usable
    URL and key nothing could ever be delivered, so these two raise from wherever they come.

    Raises:
        ValueError: an argument has a bad value, or URL or key are missing or malformed.
        TypeError: an unknown argument.
    """
    unknown = sorted(set(options) - set(ClientOptions.__annotations__))
    if unknown:
        raise TypeError(f"unknown setting: {', '.join(unknown)}")
    values: dict[str, Any] = {
        "url": _url(url if url is not None else environ.get(env_name("url"))),
        "key": _key(key if key is not None else environ.get(env_name("key"))),
    }
    for name in ClientOptions.__annotations__:
        if name in options:
            values[name] = _CHECKS[name](name, options[name])
        elif environ.get(env_name(name)):
            _from_environ(name, environ[env_name(name)], values)
    settings = ClientSettings(**values)
    if settings.durable and settings.spool is None:
        raise ValueError("durable=True needs a spool")
    return settings


def default_spool_directory(settings: ClientSettings, environ: Mapping[str, str] = os.environ) -> Path:
    """
    The per-user directory for one URL and key: events must not be sent with another one's key.

    Raises:
        NoHome: the user has no home, as in many containers, and `XDG_STATE_HOME` names no other place.
    """
    import hashlib  # OpenSSL takes longer to load than the rest of the client

    state = environ.get("XDG_STATE_HOME")
    base = Path(state) if state and Path(state).is_absolute() else _home() / ".local" / "state"
    name = hashlib.sha256(f"{settings.url}\0{settings.key}".encode()).hexdigest()[:16]
    return base / "thumbline" / "spool" / name


class NoHome(Exception):
    """Nothing says where the user's files belong."""


def _home() -> Path:
    try:
        return Path.home()
    except (RuntimeError, KeyError, OSError) as error:  # no HOME, and a user id that nobody knows
        raise NoHome from error


def _from_environ(name: str, text: str, values: dict[str, Any]) -> None:
    try:
        values[name] = _CHECKS[name](name, _PARSERS.get(name, _as_is)(text))
    except ValueError:
        _log.warning(name, "%s has a bad value and is ignored", env_name(name))


def _url(value: object) -> str:
    from urllib.parse import urlsplit

    if not isinstance(value, str) or not value:
        raise ValueError(f"url is missing: pass it or set {env_name('url')}")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("url must be like https://feedback.example.com, without query")
    _ = parts.port  # raises ValueError when it is none
    return value.rstrip("/")


def _key(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"key is missing: pass it or set {env_name('key')}")
    # It goes into a header, where a line break would start another one.
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValueError("key must be printable ASCII without spaces")
    return value


def _text(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= 200):
        raise ValueError(f"{name} must be text of 1 to 200 characters")
    return value


def _secret(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{name} must be text")
    return value


def _consent(name: str, value: Any) -> Any:
    if value not in (None, "granted", "denied", "unknown"):
        raise ValueError(f"{name} must be 'granted', 'denied' or 'unknown'")
    return value


def _spool(name: str, value: Any) -> Any:
    if value is None or hasattr(value, "append") or (isinstance(value, str | Path) and str(value)):
        return value
    raise ValueError(f"{name} must be a directory, a Spool or None")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")
    return value


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1")
    return value


def _batch_events(name: str, value: Any) -> int:
    if _count(name, value) > 1_000:  # limits.MAX_BATCH_EVENTS; a test compares them
        raise ValueError(f"{name} must be at most 1000, the collector's limit")
    return int(value)


def _batch_bytes(name: str, value: Any) -> int:
    if _count(name, value) > 4 * 1024 * 1024:  # below limits.MAX_BODY_BYTES, should it not compress
        raise ValueError(f"{name} must be at most 4 MiB, below the collector's limit")
    return int(value)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a number of seconds")
    return float(value)


def _as_is(text: str) -> Any:
    return text


def _parse_flag(text: str) -> Any:
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }.get(text.lower(), text)


def _parse_spool(text: str) -> Any:
    return None if text.lower() == "off" else text


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "app": _text,
    "surface": _text,
    "app_version": _text,
    "training_consent": _consent,
    "pepper": _secret,
    "spool": _spool,
    "spool_max_bytes": _count,
    "durable": _flag,
    "debug": _flag,
    "max_queue_bytes": _count,
    "max_batch_events": _batch_events,
    "max_batch_bytes": _batch_bytes,
    **{f.name: _seconds for f in fields(ClientSettings) if f.name.endswith("_s")},
}

_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "spool": _parse_spool,
    "durable": _parse_flag,
    "debug": _parse_flag,
    **{name: int for name, check in _CHECKS.items() if check in (_count, _batch_events, _batch_bytes)},
    **{name: float for name, check in _CHECKS.items() if check is _seconds},
}
