"""A project is a world of its own: its ids are its own, and nobody else's event can take their place."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.events import completion, event, records, thumb
from tests.export.conftest import options_of
from tests.warehouse.conftest import LOG
from thumbline._ids import uuid7
from thumbline_warehouse.closeup import Closeup
from thumbline_warehouse.connect import connect
from thumbline_warehouse.errors import WarehouseOutdated
from thumbline_warehouse.export.run import planned_export
from thumbline_warehouse.landing import Counts
from thumbline_warehouse.store import DuckLakeStore

PROJECTS = ("one", "other")


def _chat() -> list[dict[str, Any]]:
    """Two answers, put side by side, with votes of two people; one has changed their mind."""
    return [
        completion("a", author="r1"),
        completion("b", text="Lyon."),
        event("comparison", comparison_id="p", completion_ids=["a", "b"]),
        thumb("a", "down", 1),
        thumb("a", "up", 2),
        thumb("b", "down", 3, rater="r2"),
        event("pick", 4, target_id="p", outcome="winner", winner_id="a"),
    ]


def test_two_projects_with_the_same_ids_have_everything_twice(land, query, url) -> None:
    chat = _chat()
    for project in PROJECTS:
        assert land(chat, project).counts[0] == Counts(len(chat), len(chat), 0, 0)
        assert land(chat, project).counts[0] == Counts(len(chat), 0, len(chat), 0)

    for view, rows in {"completions": 2, "comparisons": 1, "thumbs": 3, "current_votes": 3, "pick_results": 1}.items():
        assert query(f"SELECT project, count(*) FROM {view} GROUP BY ALL ORDER BY ALL") == [
            (project, rows) for project in PROJECTS
        ], view
    assert query("SELECT count(*) FROM orphans") == [(0,)]

    for kind, rows in {"kto": 2, "pairs": 2, "reward": 2, "prompts": 1, "sft": 1}.items():
        alone = []
        for project in PROJECTS:
            with planned_export(url, options_of(kind, project=project)) as (_, planned):
                alone.append(planned.funnel)
        with planned_export(url, options_of(kind)) as (_, planned):
            together = planned.funnel
        assert alone[0] == alone[1]
        assert (alone[0].rows, together.rows) == (rows, 2 * rows), kind
        assert (together.seen, together.used) == (2 * alone[0].seen, 2 * alone[0].used), kind


def test_a_search_finds_the_event_of_each_project(land, url) -> None:
    vote = thumb("a", "up")
    for project in PROJECTS:
        land([completion("a"), vote], project)
    with closing(connect(url, read_only=True)) as db:
        found = Closeup(db).look(vote["event_id"])
    assert sorted((one.project, one.kind, one.standing) for one in found.events) == [
        (project, "thumb", "current") for project in PROJECTS
    ]
    assert len(found.rows["kto"].rows) == 2


def test_ids_that_another_project_has_used_suppress_nothing(land, query) -> None:
    """Who guesses 1,000 ids of another project and sends events under them first takes nothing away."""
    votes = [thumb(f"a{i}", "up") for i in range(1_000)]
    land([thumb("x", "down", event_id=one["event_id"]) for one in votes], "other")
    assert land(votes, "one").counts[0] == Counts(1_000, 1_000, 0, 0)
    assert query("SELECT project, value, count(*) FROM current_votes WHERE project = 'one' GROUP BY ALL") == [
        ("one", "up", 1_000)
    ]


@pytest.mark.parametrize("together", [True, False], ids=["in one load", "in two loads"])
def test_an_id_that_comes_again_with_other_content_is_a_conflict(land, query, together: bool) -> None:
    own = uuid7()
    first, other = thumb("a", "up", event_id=own), thumb("a", "down", 5, event_id=own, comment="changed")
    # Made again by its host, at another time: the same event.
    again = thumb("a", "up", 9, event_id=own, sequence=7, sdk="another/1")
    batches = [[first, other, again]] if together else [[first], [other], [again]]
    counts = [land(batch).counts[0] for batch in batches]

    assert [sum(getattr(c, name) for c in counts) for name in ("records", "landed", "duplicates", "conflicts")] == [
        3, 1, 1, 1
    ]  # fmt: skip
    assert query("SELECT project, event_id::VARCHAR, kind, fields FROM conflicts") == [
        ("demo", own, "thumb", ["value", "comment"])
    ]
    assert query("SELECT value FROM current_votes") == [("up",)]
    assert query("SELECT sum(records), sum(landed), sum(duplicates), sum(conflicts) FROM loads") == [(3, 1, 1, 1)]


def test_another_kind_or_text_under_an_id_is_a_conflict(land, query) -> None:
    own, old = uuid7(), uuid7(now_ms=1_000_000_000_000)
    land([completion("a", event_id=own), completion("b", event_id=old)])
    land([thumb("a", "up", event_id=own), completion("b", text="Lyon.", event_id=old)])
    assert query(
        "SELECT kind, list_contains(fields, 'kind'), list_contains(fields, 'response') FROM conflicts ORDER BY 1"
    ) == [
        ("completion", False, True),
        ("thumb", True, True),
    ]


def test_a_warehouse_of_a_version_without_keys_is_brought_up_to_date_or_refused_with_a_sentence(url) -> None:
    vote = thumb("a", "up")
    with closing(DuckLakeStore(url)) as store:
        store.land(LOG, [records([vote, completion("a")])])
        db = store._db
        # As it was made before: no keys, other views.
        db.execute("UPDATE documentation SET comment = 'old' WHERE object = '(definitions)'")
        for view in [
            name for (name,) in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        ]:
            db.execute(f"DROP VIEW {view}")
        db.execute("ALTER TABLE events DROP COLUMN event_key")
        db.execute("ALTER TABLE loads DROP COLUMN conflicts")
        db.execute("DROP TABLE conflicts")
    with pytest.raises(WarehouseOutdated, match="thumbline load --until-empty"):
        connect(url, read_only=True)
    with closing(DuckLakeStore(url)) as store:
        assert store.land(LOG, [records([vote, thumb("b", "up")], 2)]).counts[0] == Counts(2, 1, 1, 0)
        assert store._db.execute(
            "SELECT count(*), count(event_key), count(DISTINCT event_key) FROM events"
        ).fetchone() == (3, 3, 3)
        assert store._db.execute("SELECT count(*) FROM current_votes").fetchone() == (2,)
