"""The key store."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from thumbline_ingest.keys import KeyStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def key_id(key: str) -> str:
    return key.split("_")[1]


def test_key_opens_its_project_only(path: Path) -> None:
    """A key names its project; any change in its text opens nothing."""
    keys = KeyStore(path)
    key = keys.create("demo")

    assert keys.verify(key) == "demo"
    for wrong in ("", key[:-1], key + "x", key.upper(), key.replace("tlk", "tlx"), "tlk_" + key, key + "\n"):
        assert keys.verify(wrong) is None


def test_file_holds_no_secret(path: Path) -> None:
    """The file is its owner's only, and the secret is not in it."""
    key = KeyStore(path).create("demo")

    assert path.stat().st_mode & 0o777 == 0o600
    assert key.split("_", 2)[2] not in path.read_text()
    assert list(path.parent.glob(".*")) == []


def test_list_and_revoke(path: Path) -> None:
    """A revoked key opens nothing and stays in the list; revoking again says that there was none."""
    keys = KeyStore(path)
    first, second = keys.create("demo"), keys.create("other")

    assert keys.revoke(key_id(first))
    assert not keys.revoke(key_id(first))
    assert not keys.revoke("nonesuch")

    assert (keys.verify(first), keys.verify(second)) == (None, "other")
    assert [(key.id, key.project, key.revoked_at is None) for key in keys.list()] == [
        (key_id(first), "demo", False),
        (key_id(second), "other", True),
    ]


def test_rotate(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both keys open the project until the old one ends by itself; its end is never put off."""
    keys = KeyStore(path)
    old = keys.create("demo")
    new = keys.rotate(key_id(old), overlap_s=3600)
    assert new is not None
    assert [keys.verify(key) for key in (old, new)] == ["demo", "demo"]
    assert [keys.project(key_id(key)) for key in (old, new)] == ["demo", "demo"]
    assert keys.rotate(key_id(old), overlap_s=7200) is not None
    [ends] = [key.expires_at for key in keys.list() if key.expires_at]
    assert datetime.fromisoformat(ends).timestamp() - time.time() <= 3600

    later = time.time() + 3601
    monkeypatch.setattr("thumbline_ingest.keys.time", SimpleNamespace(monotonic=time.monotonic, time=lambda: later))

    assert (keys.verify(old), keys.project(key_id(old)), keys.signer(key_id(old))) == (None, None, None)
    assert (keys.verify(new), keys.project(key_id(new))) == ("demo", "demo")
    assert keys.signer(key_id(new)) is not None


def test_rotate_without_a_valid_key(path: Path) -> None:
    """Nothing is made."""
    keys = KeyStore(path)
    key = keys.create("demo")
    keys.revoke(key_id(key))
    assert keys.rotate(key_id(key), 60) is None
    assert keys.rotate("nonesuch", 60) is None
    assert len(keys.list()) == 1


def test_file_of_an_earlier_release(path: Path) -> None:
    """A key without an end has none."""
    key = KeyStore(path).create("demo")
    stored = json.loads(path.read_text())
    del stored["keys"][0]["expires_at"]
    path.write_text(json.dumps(stored))

    keys = KeyStore(path)
    assert keys.verify(key) == "demo"
    assert keys.signer(key_id(key)) is not None


@pytest.mark.parametrize("project", ["", "-a", "A", "a_b", "a" * 64, "a b", "a\n", "é"])
def test_bad_project(path: Path, project: str) -> None:
    """The project's name is checked, and the message says what is allowed."""
    with pytest.raises(ValueError, match="a-z, 0-9"):
        KeyStore(path).create(project)

    assert KeyStore(path).list() == []


def test_longest_project(path: Path) -> None:
    """63 characters are fine."""
    keys = KeyStore(path)

    assert keys.verify(keys.create("a" * 63)) == "a" * 63


def test_follows_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's new key works at once; its revocation is seen after a second."""
    now = 100.0
    monkeypatch.setattr("thumbline_ingest.keys.time", SimpleNamespace(monotonic=lambda: now))
    running = KeyStore(path)
    other = KeyStore(path)
    key = other.create("demo")

    assert running.verify(key) == "demo"
    other.revoke(key_id(key))
    assert running.verify(key) == "demo"
    now += 1.0
    assert running.verify(key) is None


def test_spoilt_file_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be read neither opens nor closes anything, and is reported."""
    running = KeyStore(path)
    key = running.create("demo")
    assert running.verify(key) == "demo"
    path.write_text('{"keys": [{"id": ')

    running._look_at = 0.0

    assert running.verify(key) == "demo"
    assert "cannot be read" in caplog.text


def test_missing_file_closes(path: Path) -> None:
    """Without the file there are no keys."""
    running = KeyStore(path)
    key = running.create("demo")
    assert running.verify(key) == "demo"
    path.unlink()
    running._look_at = 0.0

    assert running.verify(key) is None


def test_many_writers(path: Path) -> None:
    """Keys made at the same time are all there."""
    made: list[str] = []

    def make() -> None:
        made.extend(KeyStore(path).create("demo") for _ in range(5))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    keys = KeyStore(path)
    assert len(made) == 40
    assert all(keys.verify(key) == "demo" for key in made)
    assert len({entry["id"] for entry in json.loads(path.read_text())["keys"]}) == 40


def test_first_use_by_many_threads(path: Path) -> None:
    """No thread finds the keys not read yet."""
    key = KeyStore(path).create("demo")
    for _ in range(20):
        running = KeyStore(path)
        found: list[str | None] = []

        def look(keys: KeyStore = running, to: list[str | None] = found) -> None:
            to.append(keys.verify(key))

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["demo"] * 8
