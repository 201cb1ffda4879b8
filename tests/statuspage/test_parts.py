"""What is missing, away or broken: the page still answers, and says so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.collector.helpers import thumb
from tests.processes import Process, landed, run, wait_for
from tests.statuspage.site import Site, funnel, request
from thumbline_ingest.ports import free_port
from thumbline_ingest.statuspage.kept import Kept
from thumbline_ingest.statuspage.words import ago, curve, many, span


def headline(site: Site) -> str:
    return site.get().text.partition('aria-hidden="true"></span>')[2].partition("</p>")[0]


def test_in_an_empty_home_it_says_what_to_do_and_makes_nothing(site: Callable[..., Site]) -> None:
    here = site()
    here.page()
    before = {path.name for path in here.home.iterdir() if not path.name.endswith(".log")}
    tables = here.tables()
    assert headline(here) == "Nothing can arrive yet: there is no write key."
    text = here.get().text
    assert "thumbline keys create --project" in text
    assert f"The collector at {here.collector_url} does not answer" in text
    assert "There is no warehouse yet" in text
    assert "There is no log yet" in text
    assert funnel(tables)["landed"] == ["0", "0"]
    assert here.find("anything")["events"] == []
    assert here.find("anything")["unknown"] == []
    assert {path.name for path in here.home.iterdir() if not path.name.endswith(".log")} == before == set()


def test_before_the_first_event_it_says_how_to_send_one(site: Callable[..., Site]) -> None:
    here = site()
    here.collect()
    here.page()
    assert headline(here).startswith("Nothing has arrived yet.")
    assert f"thumbline.Client(&#34;{here.collector_url}&#34;" in here.get().text


def test_without_a_loader_it_says_that_nothing_lands(site: Callable[..., Site]) -> None:
    here = site()
    here.collect()
    here.page()
    vote = thumb(target_id="a")
    here.post([vote])
    assert here.find(vote["event_id"])["events"][0]["state"] == "in_log"
    wait_for(lambda: "1 event in the last hour, 0 landed and 1 on the way." in headline(here), what="on the way")
    wait_for(lambda: "no loader lands them" in headline(here), 40, "late")
    assert "thumbline load" in here.get().text
    here.load()
    # The page meets a warehouse that was made after it had started.
    wait_for(lambda: "Votes arrive. 1 event in the last hour, all landed." in headline(here), what="landed")
    assert here.find(vote["event_id"])["events"][0]["state"] == "landed"


def test_a_collector_that_has_ended_is_missed(site: Callable[..., Site]) -> None:
    here = site()
    here.collect()
    here.load()
    here.page()
    here.post([thumb()])
    wait_for(lambda: headline(here).startswith("Votes arrive."), what="arrived")
    here.processes["collect"].kill()
    wait_for(lambda: "does not answer: no event is taken on this machine." in headline(here), what="missed")
    assert "1 event in the last hour, all landed." in headline(here)


def test_with_an_unreachable_kafka_the_page_answers_and_says_so(site: Callable[..., Site]) -> None:
    here = site(log=f"kafka://127.0.0.1:{free_port()}/thumbline")
    here.page()
    began = time.monotonic()
    assert here.get().status == 200
    assert time.monotonic() - began < 8
    assert "does not answer: what waits in it is not known." in here.get().text
    assert funnel(here.tables())["waiting in the log"] == ["not known: the log does not answer"]
    assert here.find("anything")["unknown"][0].startswith("log: ")


def test_a_server_that_hangs_in_place_of_the_collector_keeps_nobody_waiting(site: Callable[..., Site]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        here = site(port=silent.getsockname()[1])
        here.page()
        began = time.monotonic()
        assert here.get().status == 200
        assert time.monotonic() - began < 6
        wait_for(lambda: "does not answer: no event is taken" in here.get().text, what="said")


def test_a_warehouse_that_cannot_be_read_is_said_and_found_again(site: Callable[..., Site]) -> None:
    here = site()
    here.collect()
    (here.home / "warehouse").mkdir()
    catalog = here.home / "warehouse" / "catalog.sqlite"
    catalog.write_bytes(b"this is no database" * 100)
    here.page()
    assert here.get().status == 200
    assert "The warehouse cannot be read" in here.get().text
    assert here.find("anything")["unknown"] == ["warehouse: CatalogException"] or here.find("anything")["unknown"]
    catalog.unlink()
    here.load()
    here.post([thumb()])
    wait_for(lambda: headline(here).startswith("Votes arrive."), what="found again")


def test_a_warehouse_that_was_made_anew_is_the_one_that_is_read(site: Callable[..., Site]) -> None:
    import shutil

    here = site()
    here.collect()
    here.load()
    here.page()
    here.post([thumb(target_id="old")])
    wait_for(lambda: bool(here.find("old")["events"]), what="old")
    for role in ("collect", "load"):
        here.processes[role].__exit__()
    shutil.rmtree(here.home / "warehouse")
    for path in here.home.glob("log.sqlite*"):
        path.unlink()
    here.collect()
    here.load()
    new = thumb(target_id="new")
    here.post([new])
    here.find_when(new["event_id"], "landed")
    assert here.find("old")["events"] == []


def test_the_loader_goes_on_while_the_page_is_asked_without_end(site: Callable[..., Site]) -> None:
    here = site()
    here.collect()
    here.load()
    here.page()
    sent = 0
    for number in range(15):
        sent += here.post([thumb(target_id=f"t{number}-{n}") for n in range(40)]).json["accepted"]
        here.get()
        here.find(f"t{number}-0")
    wait_for(lambda: landed(here.home) == sent, what="all landed")
    assert here.processes["load"].popen.poll() is None
    assert here.processes["load"].output() == ""


def test_up_starts_the_page_and_ends_it(home: Path) -> None:
    port = free_port()
    with Process(home, "up", port=free_port(), status_port=port) as up:
        wait_for(lambda: _is_alive(port), what="page")
        assert f"status page at http://127.0.0.1:{port}" in up.output()
    wait_for(lambda: not _is_alive(port), 10, "ended")


def test_up_goes_on_where_the_port_of_the_page_is_taken(home: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with Process(home, "up", port=free_port(), status_port=port) as up:
            wait_for(lambda: "status page at http://127.0.0.1:" in up.output(), what="another port")
            assert f"port {port} is taken: the status page gets another one" in up.output()
            other = int(up.output().partition("status page at http://127.0.0.1:")[2].split()[0])
            assert other != port
            wait_for(lambda: _is_alive(other), what="page")
            assert up.popen.poll() is None


@pytest.mark.parametrize("settings", [{"status_port": 0}, {"status_host": "0.0.0.0"}])
def test_up_goes_on_without_a_page(home: Path, settings: dict[str, object]) -> None:
    port = free_port()
    with Process(home, "up", port=port, **({"status_port": free_port()} | settings)) as up:
        wait_for(lambda: _is_alive(port), what="collector")
        said = "going on without a status page: the status page does not listen on 0.0.0.0 without a token"
        assert (said in up.output()) == ("status_host" in settings)
        assert "status page at" not in up.output()
        assert up.popen.poll() is None


def test_a_second_page_on_a_port_is_refused(site: Callable[..., Site], home: Path) -> None:
    here = site()
    here.page()
    failed = run(home, "status-page", "--port", here.url.rpartition(":")[2], check=False)
    assert failed.returncode == 1
    assert "Address already in use" in failed.stderr


def test_looks_are_shared_one_at_a_time_and_rare_where_they_take_long() -> None:
    looks: list[float] = []
    under_way = 0
    most = 0

    def look() -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        looks.append(time.monotonic())
        worked_s = time.thread_time()
        while time.thread_time() - worked_s < 0.05:
            pass
        under_way -= 1
        return len(looks)

    import threading

    kept = Kept(look, least_s=0.0, share=10)
    ends = time.monotonic() + 1.3
    threads = [
        threading.Thread(target=lambda: [kept.get(0.2) for _ in iter(lambda: time.monotonic() < ends, False)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert 2 <= len(looks) <= 4


def test_a_look_that_hangs_or_fails_keeps_the_last_one() -> None:
    answers: list[object] = [1, OSError("away"), 0.5]

    def look() -> int:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        if isinstance(answer, float):
            time.sleep(answer)
        return 1

    kept = Kept(look, least_s=0.0, share=0.0)
    assert kept.get(1).value == 1
    failed = kept.get(1)
    assert (failed.value, failed.error) == (1, "OSError: away")
    began = time.monotonic()
    assert kept.get(0.05).is_waiting
    assert time.monotonic() - began < 0.4


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "less than a second"), (59.9, "59 s"), (75, "1 min"), (7300, "2 h"), (172_799, "47 h"), (172_800, "2 days")],
)
def test_lengths_of_time_in_words(seconds: float, words: str) -> None:
    from datetime import datetime, timedelta, timezone

    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert span(seconds) == words
    assert ago(now - timedelta(seconds=seconds), now) == ("just now" if seconds < 1 else f"{words} ago")
    assert (many(1, "event"), many(1204, "event")) == ("1 event", "1,204 events")
    assert curve([0, 2, 4], 16) == "M1 16v-8h.8v8zM2 16v-16h.8v16z"


def _is_alive(port: int) -> bool:
    try:
        return request(f"http://127.0.0.1:{port}", "/livez").status == 200
    except OSError:
        return False


def test_an_id_that_came_again_with_other_content_is_said_counted_and_found(site: Callable[..., Site]) -> None:
    here = site()
    here.collect()
    here.load()
    here.page()
    first = thumb()
    here.post([first])
    here.find_when(first["event_id"], "landed")
    here.post([first | {"value": "down"}])

    def states() -> dict[str, str]:
        return {event["state"]: event["why"] for event in here.find(first["event_id"])["events"]}

    wait_for(lambda: "conflict" in states(), what="found")
    assert "this one says otherwise: value" in states()["conflict"]
    wait_for(lambda: "came under an id that another event has" in headline(here), what="said")
    assert funnel(here.tables())["conflict: another event has its id"] == ["1", "1"]
