"""Times: a clock that is ahead wins nothing, and the machine's own zone changes no result."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.events import NOON, completion, event, records, thumb, value_of
from tests.warehouse.conftest import LOG
from thumbline_warehouse.connect import attach_statements, connect
from thumbline_warehouse.copy import copy_to_file

_MS = int(NOON.timestamp() * 1000)


def _received(seconds: float, one: dict[str, Any]) -> bytes:
    return value_of(one, received_at_ms=_MS + int(seconds * 1000))


def test_a_vote_dated_ahead_does_not_win_over_a_later_one(land, query) -> None:
    land(
        [
            _received(1, thumb("a", "down", occurred_at="2099-01-01T00:00:00Z")),
            _received(5, thumb("a", "up", 4)),
            _received(9, thumb("b", "up", 8)),
        ]
    )
    assert query("SELECT target_id, value FROM current_votes ORDER BY 1") == [("a", "up"), ("b", "up")]
    # What the clock said is kept, and counted.
    assert query("SELECT occurred_at::VARCHAR, claimed_at::VARCHAR FROM thumbs WHERE claimed_at IS NOT NULL") == [
        ("2026-11-24 12:00:01", "2099-01-01 00:00:00")
    ]
    assert query("SELECT problem, events FROM data_quality") == [("dated_ahead", 1)]


def test_consents_dated_ahead_do_not_win_either(land, query) -> None:
    land(
        [
            _received(1, event("consent", occurred_at="2099-01-01T00:00:00Z", training_consent="granted")),
            _received(5, event("consent", 4, training_consent="denied")),
        ]
    )
    assert query("SELECT training_consent FROM current_consents") == [("denied",)]


def test_votes_of_one_request_keep_their_order_though_both_are_dated_ahead(land, query) -> None:
    land([_received(1, thumb("a", value, 60, sequence=n)) for n, value in enumerate(("up", "down", "retracted", "up"))])
    assert query("SELECT value FROM current_votes") == [("up",)]


def test_a_time_within_the_millisecond_of_its_receipt_is_as_it_was(land, query) -> None:
    land([value_of(thumb("a", "up", occurred_at="2026-11-24T12:00:00.123456Z"), received_at_ms=_MS + 123)])
    assert query("SELECT occurred_at::VARCHAR, claimed_at FROM thumbs") == [("2026-11-24 12:00:00.123456", None)]


_QUESTIONS = (
    "SELECT target_id FROM thumbs WHERE occurred_at > now() - INTERVAL 1 HOUR",
    "SELECT target_id FROM thumbs WHERE occurred_at > current_timestamp - INTERVAL 1 HOUR",
    "SELECT target_id FROM thumbs WHERE occurred_at BETWEEN now() - INTERVAL 30 HOUR AND now() - INTERVAL 20 HOUR",
    "SELECT target_id, occurred_at::DATE = current_date OR occurred_at::DATE = today() FROM thumbs",
    "SELECT target_id, date_trunc('day', occurred_at)::VARCHAR, occurred_at::VARCHAR FROM thumbs",
    "SELECT target_id FROM thumbs WHERE occurred_at >= '2026-11-24' AND occurred_at < '2026-11-25'",
    "SELECT day::VARCHAR, votes FROM thumb_rates",
    "SELECT target_id, age_s < 120 FROM orphans",
)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_the_same_question_has_the_same_answer_in_every_zone_and_every_way(
    store, url, tmp_path: Path, zone: str
) -> None:
    now = datetime.now(timezone.utc)
    hours = (0.01, 0.9, 3, 8, 15, 25, 40)
    votes = [thumb(f"{h}h ago", "up", occurred_at=(now - timedelta(hours=h)).isoformat()) for h in hours]
    answers = [completion(vote["target_id"], occurred_at=vote["occurred_at"]) for vote in votes[1:]]
    values = [value_of(one, received_at_ms=int(now.timestamp() * 1000)) for one in [*votes, *answers]]
    store.land(LOG, [records(values)])

    def ask(db: duckdb.DuckDBPyConnection) -> str:
        return json.dumps([sorted(db.execute(sql).fetchall()) for sql in _QUESTIONS])

    with closing(connect(url, read_only=True)) as db:
        through_query = ask(db)
        another = db.cursor()
        another.execute("USE thumbline")
        assert ask(another) == through_query
        copy_to_file(db, tmp_path / "votes.duckdb")
    with closing(duckdb.connect()) as db:
        db.execute(f"SET TimeZone = '{zone}'")
        for statement in attach_statements(url):
            db.execute(statement)
        through_attach = ask(db)
    with closing(duckdb.connect(tmp_path / "votes.duckdb", read_only=True)) as db:
        db.execute(f"SET TimeZone = '{zone}'")
        assert db.execute("SELECT current_setting('TimeZone')").fetchone() == (zone,)
        through_snapshot = ask(db)
    assert json.loads(through_query)[0] == [["0.01h ago"], ["0.9h ago"]]
    assert json.loads(through_query)[2] == [["25h ago"]]
    assert through_attach == through_query
    assert through_snapshot == through_query
