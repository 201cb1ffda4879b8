"""The rows that a search shows are those of the export: of each answer and vote, the same ones or none."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.events import completion, event, records, thumb
from thumbline_warehouse.closeup import Closeup
from thumbline_warehouse.closeup.rows import KINDS
from thumbline_warehouse.connect import ConnectionSettings, connect
from thumbline_warehouse.export.options import ExportOptions, Kind
from thumbline_warehouse.export.planning import lines_of
from thumbline_warehouse.export.run import planned_export
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

RATERS = ("r1", "r2", "r3")


def some_events(draw: random.Random, count: int) -> list[dict[str, Any]]:
    """Answers to few prompts, with twins, repeats and orphans; all kinds of opinions; consents that change."""
    answers = [f"a{n}" for n in range(count)]
    events: list[dict[str, Any]] = []
    for name in answers:
        text = draw.choice(("yes", "no", "perhaps", "it depends"))
        fields = {"author": draw.choice(RATERS), "conversation_id": f"c{draw.randrange(count)}"}
        made = completion(name, prompt=f"prompt {draw.randrange(1 + count // 4)}", text=text, **fields)
        events += [made] if draw.random() < 0.9 else []
        if draw.random() < 0.1:
            events.append(completion(name, prompt="another prompt", text=text))
    for number in range(count // 2):
        shown = draw.sample(answers, draw.choice((2, 2, 3)))
        events.append(event("comparison", comparison_id=f"p{number}", completion_ids=shown))
        for rater in draw.sample(RATERS, draw.randrange(3)):
            outcome = draw.choice(("winner", "winner", "tie", "both_bad", "skip", "retracted"))
            winner = {"winner_id": draw.choice(shown)} if outcome == "winner" else {}
            fields = {"target_id": f"p{number}", "outcome": outcome, "rater": {"id": rater}} | winner
            events.append(event("pick", draw.randrange(99), **fields))
        if draw.random() < 0.3:
            ranks = [[one] for one in shown]
            events.append(event("ranking", target_id=f"p{number}", ranks=ranks, rater={"id": draw.choice(RATERS)}))
    for name in answers:
        for rater in draw.sample(RATERS, draw.randrange(4)):
            value = draw.choice(("up", "up", "down", "retracted"))
            consent = draw.choice(("granted",) * 5 + ("denied",))
            events.append(thumb(name, value, draw.randrange(99), rater, training_consent=consent))
        if draw.random() < 0.4:
            score = draw.choice((1, 2, 3, 4, 5, None))
            events.append(event("rating", 50, target_id=name, score=score, rater={"id": draw.choice(RATERS)}))
        if draw.random() < 0.2:
            better = {"role": "assistant", "content": f"better {name}"}
            events.append(event("edit", 60, target_id=name, response=better, rater={"id": draw.choice(RATERS)}))
        if draw.random() < 0.2:
            events.append(event("signal", 70, target_id=name, name="regenerate", rater={"id": draw.choice(RATERS)}))
    events.append(event("consent", 80, rater={"id": "r3"}, training_consent=draw.choice(("granted", "denied"))))
    draw.shuffle(events)
    return events


@pytest.fixture(params=range(3))
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> WarehouseUrl:
    """A warehouse of two projects in several loads."""
    draw = random.Random(request.param)
    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")
    with closing(DuckLakeStore(url)) as store:
        first = 0
        for load in range(5):
            events = some_events(draw, 12) if load % 2 else some_events(draw, 5)
            store.land("log", [records(events, first, project=("demo", "demo", "other")[load % 3])])
            first += len(events)
    return url


def exported(url: WarehouseUrl, kind: Kind) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Answer's event -> rows, and vote's event -> rows, of a whole export."""
    with planned_export(url, ExportOptions(kind=kind)) as (db, planned):
        lines = dict(db.execute(lines_of(planned, "p.row_key")).fetchall())
        own_id = dict(db.execute("SELECT event_key, event_id::VARCHAR FROM events").fetchall())
        answers: dict[str, list[Any]] = {}
        for key, ids in db.execute(f"SELECT p.row_key, {planned.recipe.answers} FROM plan p").fetchall():
            for one in ids:
                answers.setdefault(own_id[one], []).append(json.loads(lines[key]))
        votes: dict[str, list[Any]] = {}
        rows = db.execute("SELECT DISTINCT event_key, row_key FROM contributions WHERE reason IS NULL").fetchall()
        for one, key in rows:
            if key in lines:
                votes.setdefault(own_id[one], []).append(json.loads(lines[key]))
    return _sorted(answers), _sorted(votes)


def _sorted(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {one: sorted(found, key=lambda row: str(row["example_id"])) for one, found in rows.items()}


@pytest.fixture
def db(lake: WarehouseUrl) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(connect(lake, read_only=True, settings=ConnectionSettings(threads=1, memory_limit="256MB"))) as found:
        yield found


@pytest.mark.parametrize("max_indexed", [100_000, 0], ids=["in memory", "as a view"])
def test_each_answer_and_each_vote_has_the_rows_of_the_whole_export(
    lake: WarehouseUrl, db: duckdb.DuckDBPyConnection, max_indexed: int
) -> None:
    whole = {kind: exported(lake, kind) for kind in KINDS}
    closeup = Closeup(db, max_indexed)
    events = db.execute(
        "SELECT event_id::VARCHAR, kind FROM thumbline.main.events WHERE kind NOT IN ('comparison', 'consent', 'signal')"
    ).fetchall()
    found = 0
    # As many as there is time for, and until some are in rows; others with each seed and way.
    random.Random(max_indexed).shuffle(events)
    for number, (event_id, kind) in enumerate(events):
        if number >= (40 if max_indexed else 12) and found > 5:
            break
        seen = closeup.look(event_id)
        for export in KINDS:
            answers, votes = whole[export]
            if kind == "completion":
                mine = {json.dumps(row) for row in answers.get(event_id, [])}
                # Also rows that votes on it became: of a twin that is told first.
                assert mine <= {json.dumps(row) for row in seen.rows[export].rows}, (event_id, export)
            else:
                assert seen.rows[export].rows == votes.get(event_id, [])[:20], (event_id, kind, export)
            assert bool(seen.rows[export].rows) != bool(seen.rows[export].reasons)
            found += len(seen.rows[export].rows)
    assert found > 5


def test_the_standing_of_each_vote_is_that_of_the_views(lake: WarehouseUrl, db: duckdb.DuckDBPyConnection) -> None:
    current = {str(one) for (one,) in db.execute("SELECT event_id FROM thumbline.main.current_votes").fetchall()}
    orphans = dict(
        db.execute("SELECT event_id::VARCHAR, min(missing) FROM thumbline.main.orphans GROUP BY 1").fetchall()
    )
    votes = db.execute(
        "SELECT event_id::VARCHAR FROM thumbline.main.events WHERE kind IN ('thumb', 'pick', 'rating', 'ranking', 'edit')"
    ).fetchall()
    closeup = Closeup(db)
    for (event_id,) in random.Random(1).sample(votes, 30):
        [seen] = closeup.look(event_id).events
        assert (seen.event_id, seen.is_current) == (event_id, event_id in current)
        assert seen.missing == orphans.get(event_id, "")


def test_a_look_keeps_up_with_loads_and_holds_no_more_than_it_may(tmp_path: Path) -> None:
    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")
    with closing(DuckLakeStore(url)) as store:
        store.land("log", [records([completion("a"), first := thumb("a", "up")])])
        with closing(connect(url, read_only=True, settings=ConnectionSettings(threads=1))) as db:
            closeup = Closeup(db, max_indexed=5)
            assert closeup.look("a").rows["kto"].rows[0]["n_votes"] == 1
            assert closeup.look(first["event_id"]).rows["kto"].rows[0]["n_votes"] == 1
            store.land("log", [records([thumb("a", "up", rater="r2")], first=2)])
            # The vote itself has not changed, but what counts with it has.
            assert closeup.look(first["event_id"]).rows["kto"].rows[0]["n_votes"] == 2
            assert closeup.look("a").rows["kto"].rows[0]["n_votes"] == 2
            # Beyond what may be held: the same answers, from the files.
            store.land("log", [records([thumb("a", "up", rater=f"r{n}") for n in range(3, 9)], first=3)])
            assert closeup.look("a").rows["kto"].rows[0]["n_votes"] == 8
            store.land("log", [records([thumb("a", "retracted", 9, rater="r2")], first=9)])
            store.compact()
            assert closeup.look("a").rows["kto"].rows[0]["n_votes"] == 7
            assert len(closeup.look("a").events) == 10


def test_a_prompt_of_very_many_answers_is_not_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thumbline_warehouse.closeup.look.MAX_EVENTS", 20)
    url = WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")
    with closing(DuckLakeStore(url)) as store:
        store.land("log", [records([*(completion(f"a{n}") for n in range(30)), up := thumb("a1", "up")])])
    with closing(connect(url, read_only=True)) as db:
        seen = Closeup(db).look(up["event_id"])
        assert (seen.is_too_large, seen.rows) == (True, {})
        assert seen.events[0].is_current
