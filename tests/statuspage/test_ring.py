"""What is kept of rejections: bounded, from all workers, and never in a request's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collector.helpers import App, thumb
from tests.processes import wait_for
from tests.statuspage.site import Site, funnel
from thumbline.problems import Problem
from thumbline_ingest.collector.errors import RequestRefused
from thumbline_ingest.collector.ring import RejectionRing
from thumbline_ingest.collector.verdicts import Rejection
from thumbline_ingest.rejections import CAPACITY, read_folder


def rejection(number: int = 0) -> Rejection:
    return Rejection([Problem("value", f"no {number}")], f"{number:08d}-0000-7000-8000-000000000000", "thumb")


def test_it_keeps_the_last_ones_and_counts_the_others(tmp_path: Path) -> None:
    ring = RejectionRing(tmp_path / "r", lambda count: pytest.fail("lost"), capacity=50)
    for number in range(500):
        ring.note_events("/v1/events", "demo", [rejection(number)])
    ring.close()
    found = read_folder(tmp_path / "r")
    assert [event.reason for event in found.events] == [f"no {number}" for number in range(499, 449, -1)]
    assert found.not_kept == 450


def test_one_request_costs_no_more_than_a_few_entries(tmp_path: Path) -> None:
    ring = RejectionRing(tmp_path / "r", lambda count: None)
    ring.note_events("/v1/events", "demo", [rejection(number) for number in range(10_000)])
    ring.close()
    found = read_folder(tmp_path / "r")
    assert (len(found.events), found.not_kept) == (20, 9_980)


def test_its_files_stay_small_and_few_over_restarts(tmp_path: Path) -> None:
    for start in range(12):
        ring = RejectionRing(tmp_path / "r", lambda count: None)
        for number in range(CAPACITY):
            problem = Problem("x" * 10_000, "y" * 10_000)
            ring.note_events("/v1/events", "demo", [Rejection([problem], None)])
            ring.note_request("/v1/events", RequestRefused(400 + number, f"code{number}", "no"))
        ring.note_events("/v1/events", "demo", [rejection(start)])
        ring.close()
    files = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert files == ["0.json", "0.lock"]
    assert (tmp_path / "r" / "0.json").stat().st_size < 200_000
    found = read_folder(tmp_path / "r")
    assert len(found.events) == CAPACITY
    assert [e.reason for e in found.events if e.reason.startswith("no ")] == ["no 11"]
    assert len(found.requests) <= 64
    assert found.not_kept == 12 * (CAPACITY + 1) - CAPACITY


def test_a_restart_goes_on_from_what_was_kept(tmp_path: Path) -> None:
    for number in range(3):
        ring = RejectionRing(tmp_path / "r", lambda count: None)
        ring.note_events("/v1/events", "demo", [rejection(number)])
        ring.note_request("/v1/events", RequestRefused(401, "bad_key", "no"))
        ring.close()
    found = read_folder(tmp_path / "r")
    assert [event.reason for event in found.events] == ["no 2", "no 1", "no 0"]
    [refused] = found.requests
    assert (refused.status, refused.code, refused.count) == (401, "bad_key", 3)


def test_workers_that_live_at_the_same_time_have_a_file_each(tmp_path: Path) -> None:
    rings = [RejectionRing(tmp_path / "r", lambda count: None) for _ in range(3)]
    for number, ring in enumerate(rings):
        ring.note_events("/v1/events", "demo", [rejection(number)])
    wait_for(lambda: len(read_folder(tmp_path / "r").events) == 3)
    for ring in rings:
        ring.close()
    assert {event.reason for event in read_folder(tmp_path / "r").events} == {"no 0", "no 1", "no 2"}


def test_what_cannot_be_written_is_counted_and_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("no folder")
    lost: list[int] = []
    ring = RejectionRing(tmp_path / "r", lost.append)
    ring.note_events("/v1/events", "demo", [rejection(1), rejection(2)])
    ring.close()
    assert sum(lost) == 2
    broken = RejectionRing(tmp_path / "s", lost.append)
    broken.note_events("/v1/events", "demo", [None])  # type: ignore[list-item]
    assert sum(lost) == 3


def test_noting_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, data: (hangs.wait(2), real(self, data))[1])
    ring = RejectionRing(tmp_path / "r", lambda count: None)
    ring.note_events("/v1/events", "demo", [rejection()])
    time.sleep(0.4)
    began = time.monotonic()
    for number in range(3):
        ring.note_events("/v1/events", "demo", [rejection(number)])
    assert time.monotonic() - began < 1
    hangs.set()
    ring.close()


def test_a_broken_file_of_a_worker_hides_nothing_else(tmp_path: Path) -> None:
    ring = RejectionRing(tmp_path / "r", lambda count: None)
    ring.note_events("/v1/events", "demo", [rejection()])
    ring.close()
    for name, content in {"1": b"{", "2": b"[]", "3": b'{"v":9}', "4": b'{"v":1,"events":[{"x":1}]}'}.items():
        (tmp_path / "r" / f"{name}.json").write_bytes(content)
    assert len(read_folder(tmp_path / "r").events) == 1


def test_a_collector_that_refuses_nothing_has_neither_thread_nor_file(tmp_path: Path) -> None:
    before = threading.active_count()
    RejectionRing(tmp_path / "r", lambda count: None).close()
    assert threading.active_count() == before
    assert not (tmp_path / "r").exists()


def test_answers_are_the_same_where_the_ring_cannot_write(make_app: Callable[..., App], tmp_path: Path) -> None:
    (tmp_path / "rejections").write_text("no folder")
    app = make_app()
    answer = app.post([thumb(), thumb(value="maybe")])
    assert (answer.status_code, answer.json["accepted"], answer.json["rejected"]) == (200, 1, 1)
    assert app.post([], key="tlk_x").status_code == 401

    def lost() -> bool:
        return "thumbline_collector_lost_notes_total 1.0" in app.client.get("/metrics").text

    wait_for(lost, what="counted")


def test_two_workers_of_a_real_collector_are_on_one_page(site: Callable[..., Site]) -> None:
    here = site()
    here.collect(workers=2)
    here.load()
    here.page()
    # Each request is a connection of its own, which the system hands to one of the two.
    for _ in range(60):
        assert here.post([thumb(value="maybe")]).json["rejected"] == 1
    wait_for(lambda: len(list((here.home / "rejections").glob("*.json"))) == 2, what="a file of each worker")
    lines = funnel(here.tables_when(lambda t: "60" in str(funnel(t))))
    assert lines["rejected: value: Input should be 'up', 'down' or 'retracted'"] == ["60", "60"]


def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    ring = RejectionRing(tmp_path / "r", lambda count: None)
    ring.note_events("/v1/events", "demo", [rejection()])
    ring.close()
    assert (tmp_path / "r").stat().st_mode & 0o077 == 0
