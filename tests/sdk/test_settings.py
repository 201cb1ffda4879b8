"""Precedence, bad values, and that every setting is documented."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

import thumbline
from thumbline import ClientSettings, limits
from thumbline.settings import ClientOptions, default_spool_directory, env_name, resolve
from thumbline.testing import RecordingTransport

DOCS = Path(__file__).parents[2] / "docs" / "sdk-settings.md"
BASE = {"THUMBLINE_URL": "http://x", "THUMBLINE_KEY": "k"}


def test_an_argument_wins_over_the_environment_over_the_default():
    """In this order."""
    environ = {**BASE, "THUMBLINE_APP": "env", "THUMBLINE_FLUSH_INTERVAL_S": "2", "THUMBLINE_DURABLE": "true"}
    found = resolve("https://arg/", None, {"app": "arg"}, environ)

    assert (found.url, found.key, found.app, found.flush_interval_s, found.durable) == (
        "https://arg",
        "k",
        "arg",
        2.0,
        True,
    )
    assert found.max_batch_events == 500
    assert resolve(None, None, {"app": None}, environ).app is None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("spool", "off", None),
        ("spool", "/var/x", "/var/x"),
        ("debug", "0", False),
        ("max_queue_bytes", "1000", 1000),
        ("training_consent", "denied", "denied"),
        ("exit_timeout_s", "0", 0.0),
    ],
)
def test_the_environment_is_read(name, text, value):
    """Text becomes the setting's type."""
    assert value == getattr(resolve(None, None, {}, {**BASE, env_name(name): text}), name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("flush_interval_s", "soon"),
        ("durable", "maybe"),
        ("max_batch_events", "0"),
        ("max_batch_events", "5000"),
        ("training_consent", "yes"),
        ("backoff_max_s", "nan"),
        ("read_timeout_s", "-1"),
    ],
)
def test_a_bad_value_in_the_environment_is_ignored(name, text, caplog):
    """A typing error in a deployment does not stop the product."""
    default = next(f.default for f in fields(ClientSettings) if f.name == name)

    assert default == getattr(resolve(None, None, {}, {**BASE, env_name(name): text}), name)
    assert text not in caplog.text.replace(env_name(name), "")


@pytest.mark.parametrize(
    "options",
    [
        {"flush_interval_s": -1},
        {"durable": "yes"},
        {"max_queue_bytes": 0},
        {"max_batch_events": 1001},
        {"app": ""},
        {"training_consent": "yes"},
        {"pepper": ""},
        {"spool": 7},
        {"max_batch_bytes": 10**8},
        {"read_timeout_s": True},
        {"durable": True, "spool": None},
        {"exit_timeout_s": float("inf")},
    ],
)
def test_a_bad_argument_raises(options):
    """It is a programming error, at the start of the host."""
    with pytest.raises(ValueError, match=next(iter(options)) + "|spool"):
        thumbline.Client("http://x", key="k", **options)


def test_an_unknown_argument_raises():
    """As for any function."""
    with pytest.raises(TypeError, match="unknown setting: colour"):
        thumbline.Client("http://x", key="k", colour="red")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (None, "k"),
        ("", "k"),
        ("x", "k"),
        ("ftp://x", "k"),
        ("http://", "k"),
        ("http://x:99999", "k"),
        ("http://x?a", "k"),
        ("http://x", None),
        ("http://x", ""),
        ("http://x", "a b"),
        ("http://x", "a\r\nb"),
        ("http://x", "ü"),
        (7, "k"),
    ],
)
def test_url_and_key_must_be_usable(url, key):
    """Nothing could ever be delivered without; the key is not repeated in the error."""
    with pytest.raises(ValueError, match=r"url|key|[Pp]ort") as caught:
        thumbline.Client(url, key=key)

    assert not key or len(key) < 2 or key not in str(caught.value)


def test_secrets_are_not_shown():
    """Neither in the settings nor in the client."""
    client = thumbline.Client("http://x", key="secret-key", pepper="secret-pepper", transport=RecordingTransport())

    assert "secret" not in repr(client) + repr(client._settings)
    assert repr(client) == "<thumbline.Client http://x | 0 queued, 0 spooled>"
    client.close()


def test_the_spool_is_one_per_url_and_key(tmp_path):
    """Events recorded with one key are never sent with another."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    places = {default_spool_directory(resolve(u, k, {}, {}), environ) for u in ("http://x", "http://y") for k in "ab"}

    assert len(places) == 4
    assert {tmp_path / "thumbline" / "spool"} == {place.parent for place in places}
    assert default_spool_directory(resolve("http://x", "k", {}, {}), {}).is_relative_to(Path.home())


def test_limits_agree_with_the_collectors():
    """Copies of the contract's limits, which cost too much to import."""
    from thumbline import _snapshot

    defaults = resolve("http://x", "k", {}, {})
    assert limits.MAX_BATCH_EVENTS == 1000 >= defaults.max_batch_events
    assert 4 * 1024 * 1024 + limits.MAX_EVENT_BYTES <= limits.MAX_BODY_BYTES
    assert _snapshot._MAX_DEPTH <= limits.MAX_DEPTH - 2


def test_options_and_settings_agree():
    """Every setting but URL and key is an option."""
    assert [f.name for f in fields(ClientSettings)] == ["url", "key", *ClientOptions.__annotations__]


def test_every_setting_is_documented():
    """The table has a row for each, with its variable and its default."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)\|$", DOCS.read_text(), re.MULTILINE))

    assert [f.name for f in fields(ClientSettings)] == list(rows)
    for field in fields(ClientSettings):
        assert f"`{env_name(field.name)}`" in rows[field.name]
        if isinstance(field.default, int | float) and field.default is not MISSING:
            shown = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default:,g}"
            assert f"| {shown} " in rows[field.name].replace(f"{field.default:,}", shown), field.name
