"""Parts of the collector that need no HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collector.helpers import StubWriter, thumb
from thumbline.events import parse_event
from thumbline_ingest.collector.errors import RequestRefused
from thumbline_ingest.collector.keycount import may_have_nul, understood_keys, written_keys
from thumbline_ingest.collector.metrics import Metrics
from thumbline_ingest.collector.readiness import Readiness
from thumbline_ingest.collector.settings import CollectorSettings
from thumbline_ingest.collector.split import split
from thumbline_ingest.collector.turns import Turns
from thumbline_ingest.log.base import LogUnavailable

VALUES = st.recursive(
    st.none() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
PADDING = " " * 20_000


class TestKeyCount:
    @given(
        properties=st.dictionaries(st.text(), VALUES, max_size=5),
        mood=VALUES,
        ascii_only=st.booleans(),
        wide=st.booleans(),
    )
    def test_never_fewer_written_than_understood(
        self, properties: dict[str, object], mood: object, ascii_only: bool, wide: bool
    ) -> None:
        """The count in the text is never below the true one, small or large, tight or spaced."""
        event = thumb(properties=properties, mood=mood)
        separators = (" , ", " :\n") if wide else (",", ":")
        raw = json.dumps(event, ensure_ascii=ascii_only, separators=separators).encode("utf-8", "surrogatepass")
        understood = understood_keys(parse_event(raw))

        assert written_keys(raw) >= understood
        assert written_keys(raw + PADDING.encode()) == written_keys(raw)

    @given(st.text(alphabet='\\u0"a\n', max_size=40))
    def test_nul_is_never_missed(self, text: str) -> None:
        """The cheap look for NUL finds what the search finds."""
        raw = text.encode()

        assert may_have_nul(raw + PADDING.encode()) == (b"\\u0000" in raw)
        assert may_have_nul(PADDING.encode() + raw) == (b"\\u0000" in raw)


class TestSplit:
    @given(st.lists(VALUES, min_size=1, max_size=6), st.sampled_from(["", " ", "\n\t"]))
    def test_both_ways_agree(self, values: list[object], space: str) -> None:
        """The tolerant split cuts where the fast one does."""
        texts = [json.dumps(value) for value in values]
        body = f"[{space}" + f"{space},{space}".join(texts) + f"{space}]{space}"

        fast = split(body.encode())
        tolerant = split((body.rstrip()[:-1] + ",NaN]").encode())

        assert fast == [text.encode() for text in texts]
        assert tolerant == [*fast, b"NaN"]

    def test_deep_element_does_not_hide_the_next(self) -> None:
        """Brackets in strings are no brackets."""
        deep = b'{"a":' + b"[" * 50_000 + b'"]}\\"["' + b"]" * 50_000 + b"}"

        assert split(b"[1," + deep + b", 2,NaN]") == [b"1", deep, b"2", b"NaN"]


class TestReadiness:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> CollectorSettings:
        return CollectorSettings("memory:", tmp_path / "k", tmp_path, check_interval_s=0.02, stale_after_s=0.2)

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_any_error_is_not_well(self, settings: CollectorSettings) -> None:
        """A log that raises what it should not is down, not forgotten."""
        writer = StubWriter()
        readiness = Readiness(settings, writer, Metrics())
        assert readiness.log().ok

        writer.check_error = LogUnavailable("gone")
        self.wait(lambda: readiness.log().message == "gone")
        writer.check_error = ZeroDivisionError()
        self.wait(lambda: "ZeroDivisionError" in readiness.log().message)
        writer.check_error = None
        self.wait(lambda: readiness.log().ok)
        readiness.close()

    def test_hanging_check(self, settings: CollectorSettings) -> None:
        """A check that does not return makes the log down once the last answer is old."""
        writer = StubWriter()
        release = threading.Event()
        readiness = Readiness(settings, writer, Metrics())
        writer.check = release.wait  # type: ignore[method-assign, assignment]

        self.wait(lambda: not readiness.log().ok)

        assert "no answer" in readiness.log().message
        release.set()
        readiness.close()


def test_no_turn_in_time() -> None:
    """Who gets no turn is told to come back."""
    turns = Turns(at_once=1, most=5, patience_s=0.05)
    with turns.turn, pytest.raises(RequestRefused, match="keep up"), turns.turn:
        pass
    with turns.turn:
        pass


def test_numbers_that_cannot_be_shared_end_nothing(tmp_path: Path) -> None:
    """The temporary folder is full, or gone: the thread that looks at log and disk goes on."""
    metrics = Metrics(tmp_path / "gone")
    readiness = Readiness(CollectorSettings("memory:", tmp_path / "k", tmp_path), StubWriter(), metrics)
    assert readiness.log().ok
    readiness.close()


def test_settings_survive_the_environment(tmp_path: Path) -> None:
    """What `to_environ` writes is what `from_environ` reads; unknown names are an error."""
    settings = CollectorSettings("sqlite:x", tmp_path / "k", tmp_path, port=1, run_dir=tmp_path)

    assert CollectorSettings.from_environ(settings.to_environ()) == settings
    with pytest.raises(ValueError, match="colour"):
        CollectorSettings.from_environ({"THUMBLINE_COLLECTOR": '{"colour": 1}'})
    assert CollectorSettings.from_environ({"THUMBLINE_HOME": "/h"}).log_url == "sqlite:/h/log.sqlite"
