"""The rules of the views: which vote counts, what a rate is, what is an orphan."""

from __future__ import annotations

from math import isclose

from tests.events import completion, event, thumb
from thumbline_warehouse.schema import TABLES
from thumbline_warehouse.views import VIEWS


def current(query) -> list[tuple[object, ...]]:
    return query("SELECT rater_id, value, tags, comment FROM current_votes ORDER BY rater_id")


def test_change_retract_and_vote_again_leave_one_vote_with_its_own_words(land, query) -> None:
    steps = [
        (0, {"value": "down", "tags": ["wrong"], "comment": "no"}, [("r1", "down", ["wrong"], "no")]),
        (1, {"value": "up"}, [("r1", "up", None, None)]),
        (2, {"value": "retracted"}, []),
        (3, {"value": "down", "tags": ["rude"]}, [("r1", "down", ["rude"], None)]),
    ]
    for seconds, fields, expected in steps:
        land([thumb("a", seconds=seconds, **fields)])
        assert current(query) == expected


def test_the_order_of_arrival_does_not_matter(land, query) -> None:
    land([thumb("a", "retracted", 2)])
    land([thumb("a", "down", 1, comment="late")])
    assert current(query) == []
    land([thumb("a", "up", 3)])
    assert current(query) == [("r1", "up", None, None)]


def test_votes_of_one_time_are_ordered_by_the_clients_counter(land, query) -> None:
    land([thumb("a", "down", sequence=7), thumb("a", "up", sequence=8), thumb("a", "retracted", sequence=3)])
    assert current(query) == [("r1", "up", None, None)]


def test_raters_targets_kinds_and_projects_are_kept_apart(land, query) -> None:
    land([thumb("a", "up", rater="r1"), thumb("a", "down", rater="r2"), thumb("b", "down", rater="r1")])
    land([event("rating", target_id="a", score=4)])
    land([thumb("a", "down", rater="r1", seconds=9)], project="other")
    assert query("SELECT count(*) FROM current_votes") == [(5,)]
    assert query(
        "SELECT value FROM current_votes WHERE project = 'demo' AND target_id = 'a' AND rater_id = 'r1' AND kind = 'thumb'"
    ) == [("up",)]


def test_rates_keep_response_and_approval_apart(land, query) -> None:
    land([completion(f"c{i}", policy="p@1") for i in range(10)])
    land([event("exposure", target_id=f"c{i}", state=state) for i in range(10) for state in ("shown", "seen")])
    # One vote a day later counts for the day of the answer.
    land(
        [
            thumb("c0", "up"),
            thumb("c1", "up"),
            thumb("c2", "down"),
            thumb("c3", "up", 86_400),
            thumb("c4", "up", rater="unexposed"),
        ]
    )

    ((day, exposures, exposed, votes, ups, response, approval, low, high),) = query(
        "SELECT day::VARCHAR, exposures, exposed_votes, votes, ups, response_rate, approval_rate, approval_rate_low, "
        "approval_rate_high FROM thumb_rates"
    )

    assert (day, exposures, exposed, votes, ups) == ("2026-11-24", 10, 4, 5, 4)
    assert (response, approval) == (0.4, 0.8)
    # Wilson's interval of 4 of 5, as in any table of it.
    assert isclose(low, 0.3755, abs_tol=1e-4)
    assert isclose(high, 0.9638, abs_tol=1e-4)


def test_without_exposures_the_response_rate_is_unknown_not_zero(land, query) -> None:
    land([completion("c"), thumb("c", "up")])
    assert query("SELECT exposures, votes, response_rate, response_rate_low, response_rate_high FROM thumb_rates") == [
        (0, 1, None, None, None)
    ]


def test_pick_results_say_where_the_winner_stood(land, query) -> None:
    land([completion(name, model=f"m-{name}") for name in "abc"])
    land([event("comparison", comparison_id="x", completion_ids=["b", "a"], probability=0.5)])
    picks = [
        ("r1", "winner", "a"),
        ("r2", "winner", "b"),
        ("r3", "tie", None),
        ("r4", "both_bad", None),
        ("r5", "skip", None),
    ]
    land([event("pick", target_id="x", outcome=o, winner_id=w, rater={"id": r}) for r, o, w in picks])

    assert query("SELECT rater_id, result, winner_position, winner_model FROM pick_results ORDER BY 1") == [
        ("r1", "second", 2, "m-a"),
        ("r2", "first", 1, "m-b"),
        ("r3", "tie", None, None),
        ("r4", "both_bad", None, None),
        ("r5", "skip", None, None),
    ]
    assert query("SELECT model, picks, wins, losses, ties, both_bad, skips, win_rate FROM pick_rates ORDER BY 1") == [
        ("m-a", 5, 1, 1, 1, 1, 1, 0.5),
        ("m-b", 5, 1, 1, 1, 1, 1, 0.5),
    ]


def test_orphans_wait_and_join_by_themselves(land, query) -> None:
    land(
        [
            thumb("late", "up"),
            event("pick", target_id="x", outcome="tie"),
            event("rating", target_type="conversation", target_id="k", score=3),
        ]
    )
    assert query("SELECT kind, missing, age_s > 0 FROM orphans ORDER BY 1") == [
        ("pick", "comparison", True),
        ("thumb", "completion", True),
    ]
    land([event("comparison", comparison_id="x", completion_ids=["late", "later"])])
    assert query("SELECT kind, missing FROM orphans ORDER BY 1") == [("pick", "completion"), ("thumb", "completion")]
    land([completion("late", seconds=-3_600)])
    assert query("SELECT kind, missing FROM orphans ORDER BY 1") == [("pick", "completion")]
    land([completion("later")])
    assert query("SELECT * FROM orphans") == []


def test_an_answer_of_another_project_does_not_adopt_an_orphan(land, query) -> None:
    land([thumb("a", "up")])
    land([completion("a")], project="other")
    assert query("SELECT project, kind FROM orphans") == [("demo", "thumb")]


def test_an_answer_logged_twice_is_one_answer(land, query) -> None:
    land([completion("a", text="first"), completion("a", text="second", occurred_at="2026-11-24T13:00:00Z")])
    assert query("SELECT response->>'content' FROM completions") == [("first",)]


def test_every_view_and_column_carries_a_comment(store, query) -> None:
    documented = {
        (o, c) for o, c, comment in query("SELECT object, column_name, comment FROM documentation") if comment
    }
    for name in [view.name for view in VIEWS] + [table.name for table in TABLES]:
        assert (name, "") in documented
        for row in query(f"DESCRIBE SELECT * FROM {name}"):
            assert (name, row[0]) in documented, (name, row[0])
    assert all(comment for (comment,) in query("SELECT comment FROM duckdb_views() WHERE database_name = 'thumbline'"))
    assert all(comment for (comment,) in query("SELECT comment FROM duckdb_tables() WHERE database_name = 'thumbline'"))


def test_two_checkpoints_of_one_model_are_two_sides_and_one_against_itself_is_none(land, query) -> None:
    land([completion("a", policy="m@1"), completion("b", policy="m@2"), completion("c", policy="m@1")])
    land(
        [
            event("comparison", comparison_id=x, completion_ids=ids)
            for x, ids in (("x", ["a", "b"]), ("same", ["a", "c"]))
        ]
    )
    land([event("pick", target_id=x, outcome="winner", winner_id="a") for x in ("x", "same")])
    assert query("SELECT policy, opponent_policy, picks, wins, losses FROM pick_rates ORDER BY 1") == [
        ("m@1", "m@2", 1, 1, 0),
        ("m@2", "m@1", 1, 0, 1),
    ]


def test_a_rater_exposed_as_two_kinds_does_not_count_twice(land, query) -> None:
    land([completion("a"), thumb("a", "up", rater="r")])
    land([event("exposure", target_id="a", rater={"id": "r", "kind": kind}) for kind in ("human", "model")])
    assert query("SELECT rater_kind, exposures, exposed_votes, votes, ups FROM thumb_rates ORDER BY 1") == [
        ("human", 1, 1, 1, 1),
        ("model", 1, 0, 0, 0),
    ]


def test_a_winner_that_was_not_shown_is_unknown_and_in_no_rate(land, query) -> None:
    """What was shown says nothing of it: the totals of the rates add up without it, and it is counted where one looks."""
    land([completion("a"), completion("b", text="Lyon.", model="acme-8b"), completion("c", text="Rome.")])
    land([event("comparison", comparison_id="p", completion_ids=["a", "b"])])
    outcomes = [("winner", "a"), ("winner", "c"), ("tie", None), ("both_bad", None), ("skip", None), ("winner", "b")]
    land(
        [
            event(
                "pick",
                n,
                target_id="p",
                outcome=outcome,
                rater={"id": f"r{n}"},
                **({"winner_id": winner} if winner else {}),
            )
            for n, (outcome, winner) in enumerate(outcomes)
        ]
    )
    land([event("ranking", 9, target_id="p", ranks=[["c"], ["a"]])])
    assert query("SELECT result, winner_position FROM pick_results ORDER BY occurred_at") == [
        ("first", 1), ("unknown", None), ("tie", None), ("both_bad", None), ("skip", None), ("second", 2)
    ]  # fmt: skip
    assert query("SELECT picks, wins + losses + ties + both_bad + skips FROM pick_rates") == [(5, 5), (5, 5)]
    assert query("SELECT problem, events FROM data_quality ORDER BY 1") == [
        ("ranked_not_shown", 1),
        ("winner_not_shown", 1),
    ]
