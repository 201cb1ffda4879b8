"""What all tests share: a real broker where one can be had, folders, servers on loopback."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import kafka_broker
from tests.browser import chromium

SHARED_VOTES = Path(__file__).parent.parent.parent / "shared" / "data" / "llmfao"

_HOW = "install Java 17 and Maven (Debian: apt-get install default-jre-headless maven), or set THUMBLINE_TEST_KAFKA=host:port"


def _not_run() -> list[str]:
    reasons = []
    if missing := kafka_broker.unavailable_reason():
        reasons.append(f"NOT RUN: the tests on Apache Kafka ({missing}). To run them: {_HOW}")
    if missing := chromium.unavailable_reason():
        reasons.append(f"NOT RUN: the tests in a browser ({missing}). To run them: {chromium.HOW}")
    if missing := [
        name for name in ("openai", "fastapi", "streamlit", "gradio") if importlib.util.find_spec(name) is None
    ]:
        reasons.append(
            f"NOT RUN: the tests of recipes (no {', '.join(missing)}). To run them: make test-recipes (850 MB)"
        )
    if importlib.util.find_spec("trl") is None:
        reasons.append("NOT RUN: the tests with real trainers. To run them: make test-trainers (takes 5 GB)")
    return reasons


def pytest_configure() -> None:
    # A run in the background of a shell inherits that Ctrl-C is ignored, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_out_endurance(config, items)
    missing = kafka_broker.unavailable_reason()
    if missing and os.environ.get("THUMBLINE_REQUIRE_KAFKA"):
        raise pytest.UsageError(f"THUMBLINE_REQUIRE_KAFKA is set, but {missing}")
    no_browser = chromium.unavailable_reason()
    # Other environments, for trainers say, have no tests in a browser and no playwright.
    in_browser = any(item.get_closest_marker("browser") for item in items)
    if no_browser and in_browser and os.environ.get("THUMBLINE_REQUIRE_CHROMIUM"):
        raise pytest.UsageError(f"THUMBLINE_REQUIRE_CHROMIUM is set, but {no_browser}")
    for item in items:
        if missing and item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.skip(reason=f"no Apache Kafka: {missing}"))
        if no_browser and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=f"no browser: {no_browser}"))


def _leave_out_endurance(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Minutes each: only where they are asked for, by their mark or by one test's own name.
    if "endurance" in config.option.markexpr or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("endurance")]
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("endurance")]
        config.hook.pytest_deselected(items=left_out)


def pytest_unconfigure(config: pytest.Config) -> None:
    # After pytest's own summary: these are the last lines.
    for line in _not_run():
        print(line)


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a real Apache Kafka."""
    given = os.environ.get("THUMBLINE_TEST_KAFKA")
    if given:
        yield given
        return
    broker = kafka_broker.Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        yield broker.address
    finally:
        broker.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def real_votes() -> Path:
    """The folder of real human picks that lies beside the repository in some places; never part of it."""
    if not SHARED_VOTES.exists():
        pytest.skip(f"real votes are not at {SHARED_VOTES}")
    return SHARED_VOTES


@pytest.fixture
def golden() -> dict[str, dict[str, object]]:
    """Kind -> its golden payload."""
    folder = Path(__file__).parent / "contract" / "golden"
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
