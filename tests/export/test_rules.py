"""Each rule from feedback to rows, by the literal rows that it makes, and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.events import completion, event, thumb
from tests.export.conftest import answer_of
from thumbline_warehouse.export import BadOption, NothingToExport


def rating(target: str, score: float | None, rater: str = "r1", **fields: Any) -> dict[str, Any]:
    return event("rating", target_id=target, score=score, rater={"id": rater}, **fields)


def pick(comparison: str, winner: str | None, rater: str = "r1", outcome: str = "winner", **fields: Any):
    given = {"winner_id": winner} if winner else {}
    return event("pick", target_id=comparison, outcome=outcome, rater={"id": rater}, **given, **fields)


def compare(name: str, *answers: str) -> dict[str, Any]:
    return event("comparison", comparison_id=name, completion_ids=list(answers))


def answers(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [completion(name, text=f"answer {name}", **fields) for name in names]


def labels(export) -> dict[str, bool]:
    return {answer_of(row): row["label"] for row in export.rows()}


def pairs(export) -> set[tuple[str, str]]:
    return {(answer_of(row, "chosen"), answer_of(row, "rejected")) for row in export.rows()}


def dropped(export) -> dict[str, int]:
    return {name: count for name, count in export.funnel.dropped.items() if count}


def test_ratings_are_desirable_or_not_by_threshold_on_any_scale(land, make) -> None:
    land(answers(*"abcdef"))
    land([rating("a", 5), rating("b", 4), rating("c", 3), rating("d", 2), rating("e", 1)])
    land([rating("f", 9, scale_min=0, scale_max=10)])
    made = make("kto")
    assert labels(made) == {"answer a": True, "answer b": True, "answer d": False, "answer e": False, "answer f": True}
    assert dropped(made) == {"middle": 1}
    assert {row["rule"] for row in made.rows()} == {"rating/1"}
    assert labels(make("kto", rating_up=5, rating_down=1)) == {"answer a": True, "answer e": False}


def test_a_rating_of_a_conversation_or_taken_back_is_no_row(land, make) -> None:
    land(answers("a", "b", "c"))
    land([rating("a", 5), rating("b", 1), rating("c", 5), rating("c", None, occurred_at="2026-11-24T13:00:00Z")])
    land([rating("some-conversation", 5, target_type="conversation")])
    made = make("kto")
    assert len(labels(made)) == 2
    assert dropped(made) == {"superseded": 1, "retracted": 1, "conversation": 1}


def test_of_both_bad_no_answer_is_desirable_and_a_tie_says_nothing_unless_asked(land, make) -> None:
    land([*answers(*"abcdef"), compare("x", "a", "b"), compare("y", "c", "d"), compare("z", "e", "f")])
    land([pick("x", None, outcome="both_bad"), pick("y", None, outcome="tie"), pick("z", "e")])
    made = make("kto", allow_one_label=True)
    assert labels(made) == {"answer a": False, "answer b": False}
    assert dropped(made) == {"tie": 1, "relative": 1}
    assert made.funnel.used == 1
    assert made.funnel.rows == 2
    assert labels(make("kto", ties="keep-kto")) == labels(made) | {"answer c": True, "answer d": True}


def test_picks_are_taken_apart_only_when_asked(land, make) -> None:
    land([*answers(*"abc"), compare("x", "a", "b", "c"), pick("x", "b"), pick("x", None, "r2", outcome="skip")])
    with pytest.raises(NothingToExport, match="relative"):
        make("kto")
    made = make("kto", unpair_picks=True)
    assert labels(made) == {"answer a": False, "answer b": True, "answer c": False}
    assert {row["rule"] for row in made.rows()} == {"unpair/1"}
    assert dropped(made) == {"skip": 1}


def test_a_thumb_and_a_rating_by_one_rater_are_one_opinion(land, make) -> None:
    land(answers("a", "b"))
    land([thumb("a", "up", 1), rating("a", 1, occurred_at="2026-11-24T12:00:09Z"), thumb("b", "up", rater="r2")])
    made = make("kto")
    assert labels(made) == {"answer a": False, "answer b": True}
    assert dropped(made) == {"same_rater": 1}


def test_votes_on_the_same_words_count_together(land, make) -> None:
    same = [completion(name, text="Paris.") for name in "abc"]
    land([*same, completion("d", text="Lyon.")])
    land(
        [thumb("a", "up", rater="r1"), thumb("b", "up", rater="r2"), thumb("c", "down", rater="r3"), thumb("d", "down")]
    )
    made = make("kto")
    assert labels(made) == {"Paris.": True, "Lyon.": False}
    assert next(row for row in made.rows() if row["label"])["n_votes"] == 3
    assert made.funnel.used == 4
    assert len(labels(make("kto", dedupe="none"))) == 2
    assert make("kto", dedupe="none").funnel.rows == 4


@pytest.mark.parametrize(("conflicts", "rows"), [("majority", 1), ("drop", 0), ("keep", 3)])
def test_where_raters_disagree(land, make, conflicts: str, rows: int) -> None:
    land(answers("a", "other", "third"))
    land([thumb("a", "up", rater="r1"), thumb("a", "up", rater="r2"), thumb("a", "down", rater="r3")])
    land([thumb("other", "up"), thumb("third", "down")])
    found = [row for row in make("kto", conflicts=conflicts).rows() if answer_of(row) == "answer a"]
    assert len(found) == rows
    if conflicts == "keep":
        assert sorted(row["label"] for row in found) == [False, True, True]
        assert {row["n_votes"] for row in found} == {3}
        assert len({row["example_id"] for row in found}) == 3


def test_of_many_answers_every_better_one_meets_every_worse_up_to_a_cap(land, make) -> None:
    land([*answers(*"abcdefgh"), compare("x", *"abcdefgh"), pick("x", "a")])
    every = make("pairs", nway="all", max_pairs=20)
    assert pairs(every) == {("answer a", f"answer {other}") for other in "bcdefgh"}
    assert every.funnel.used == 1
    assert make("pairs", nway="all").funnel.rows == 5
    assert make("pairs").funnel.rows == 1


def test_a_ranking_gives_pairs_of_different_ranks(land, make) -> None:
    land([*answers(*"abcd"), compare("x", *"abcd"), compare("y", *"ab"), compare("z", *"cd")])
    land([event("ranking", target_id="x", ranks=[["a"], ["b", "c"], ["d"]])])
    land([event("ranking", target_id="y", ranks=[["a", "b"]]), event("ranking", target_id="z", ranks=[])])
    made = make("reward", nway="all", max_pairs=20)
    margins = {(answer_of(row, "chosen")[-1], answer_of(row, "rejected")[-1]): row["margin"] for row in made.rows()}
    assert margins == {("a", "b"): 1, ("a", "c"): 1, ("a", "d"): 2, ("b", "d"): 1, ("c", "d"): 1}
    assert dropped(made) == {"tie": 1, "retracted": 1}
    (row,) = make("pairs").rows()
    assert answer_of(row, "chosen") == "answer a"


@pytest.mark.parametrize(
    ("scale", "strength", "margin"), [(5, 4, 1.0), (5, 5, 2.0), (8, 5, 1.0), (8, 6, 2.0), (8, 7, 3.0), (8, 8, 4.0)]
)
def test_strength_is_the_margin_and_no_step_of_a_finer_scale_is_cut(land, make, scale, strength, margin) -> None:
    land([*answers("a", "b"), compare("x", "a", "b"), pick("x", "b", strength=strength, scale=scale)])
    (row,) = make("reward").rows()
    assert (row["margin"], row["strength"], row["scale"]) == (margin, strength, scale)
    (without,) = make("reward", margin="none").rows()
    assert without["margin"] == 0.0


def test_a_pick_without_strength_has_a_margin_of_zero_never_null(land, make) -> None:
    land(
        [
            *answers("a", "b", "c"),
            compare("x", "a", "b"),
            compare("y", "b", "c"),
            pick("x", "a"),
            pick("y", "b", strength=5, scale=5),
        ]
    )
    assert sorted(row["margin"] for row in make("reward").rows()) == [0.0, 2.0]


def test_ratings_of_one_rater_make_a_pair_when_they_differ_enough(land, make) -> None:
    land(answers("a", "b", "c", "d"))
    land([rating("a", 5), rating("b", 2), rating("c", 4.5, "r2"), rating("d", 4, "r2"), rating("d", 1, "r3")])
    made = make("reward")
    (row,) = made.rows()
    assert (answer_of(row, "chosen"), answer_of(row, "rejected"), row["margin"], row["rule"]) == (
        "answer a", "answer b", 3.0, "rating_pair/1",
    )  # fmt: skip
    assert dropped(made) == {"no_counterpart": 3}
    assert make("reward", rating_difference=0.5).funnel.rows == 2


def test_an_edit_is_preferred_to_its_original_unless_only_space_changed(land, make) -> None:
    land(answers("a", "b"))
    land([event("edit", target_id="a", response={"role": "assistant", "content": "better"}, rater={"id": "r1"})])
    land([event("edit", target_id="b", response={"role": "assistant", "content": " answer b\n"}, rater={"id": "r1"})])
    made = make("pairs")
    (row,) = made.rows()
    assert (answer_of(row, "chosen"), answer_of(row, "rejected"), row["source"], row["rule"]) == (
        "better", "answer a", "edit", "edit/1",
    )  # fmt: skip
    assert (row["chosen_model"], row["rejected_model"]) == ("", "acme-7b")
    assert dropped(made) == {"identical": 1}


def test_thumbs_up_and_down_on_siblings_make_a_pair(land, make) -> None:
    land(answers("a", "b", "c"))
    land([completion("elsewhere", "Another question?", "answer elsewhere")])
    land([thumb("a", "up"), thumb("b", "down", rater="r2"), thumb("b", "down", rater="r3"), thumb("elsewhere", "down")])
    made = make("pairs")
    (row,) = made.rows()
    assert (answer_of(row, "chosen"), answer_of(row, "rejected"), row["rule"], row["n_votes"]) == (
        "answer a", "answer b", "sibling/1", 3,
    )  # fmt: skip
    assert dropped(made) == {"no_sibling": 1}


def test_a_regenerated_answer_wins_only_with_evidence(land, make) -> None:
    for name, prompt in (("seen", "q1"), ("silent", "q2"), ("liked", "q3"), ("alone", "q4")):
        land([completion(f"{name}-1", prompt, f"{name} first", occurred_at="2026-11-24T10:00:00Z")])
        if name != "alone":
            land(
                [
                    completion(
                        f"{name}-2", prompt, f"{name} second", parent_id=f"{name}-1", occurred_at="2026-11-24T10:01:00Z"
                    )
                ]
            )
        land([event("signal", target_id=f"{name}-1", name="regenerate", rater={"id": "r1"})])
    land([thumb("seen-2", "up"), thumb("liked-1", "up", rater="r2")])
    made = make("pairs")
    (row,) = made.rows()
    assert (answer_of(row, "chosen"), answer_of(row, "rejected"), row["rule"]) == (
        "seen second",
        "seen first",
        "regenerate/1",
    )
    assert dropped(made) == {"no_evidence": 1, "contradicted": 1, "not_regenerated": 1, "no_sibling": 1}
    assert pairs(make("pairs", implicit_regenerate=True)) == {
        ("seen second", "seen first"),
        ("silent second", "silent first"),
    }


def test_a_pair_found_by_two_rules_is_one_row(land, make) -> None:
    land([completion("a", text="first", occurred_at="2026-11-24T10:00:00Z")])
    land([completion("b", text="second", parent_id="a", occurred_at="2026-11-24T10:01:00Z")])
    land([event("signal", target_id="a", name="regenerate", rater={"id": "r1"}), thumb("a", "down"), thumb("b", "up")])
    made = make("pairs")
    assert pairs(made) == {("second", "first")}
    assert made.funnel.rows == 1


def test_votes_on_one_pair_become_one_row_on_request(land, make) -> None:
    land([*answers("a", "b"), compare("x", "a", "b"), compare("y", "b", "a")])
    land([pick("x", "a", f"r{i}") for i in range(4)] + [pick("y", "b", "r9"), pick("y", None, "r8", outcome="tie")])
    made = make("pairs", conflicts="majority")
    (row,) = made.rows()
    assert (answer_of(row, "chosen"), row["n_votes"], row["agreement"]) == ("answer a", 6, 0.6667)
    assert made.funnel.used == 5
    assert dropped(made) == {"tie": 1}
    assert make("pairs").funnel.rows == 5
    assert make("pairs", min_agreement=0.6).funnel.rows == 4
    with pytest.raises(NothingToExport, match="conflict"):
        make("pairs", conflicts="drop")
    with pytest.raises(NothingToExport, match="min_votes"):
        make("pairs", min_votes=7)


def test_a_split_vote_on_a_pair_is_left_out(land, make) -> None:
    land([*answers("a", "b"), compare("x", "a", "b"), pick("x", "a", "r1"), pick("x", "b", "r2")])
    with pytest.raises(NothingToExport, match="no_majority"):
        make("pairs", conflicts="majority")


def test_sft_rows_are_edits_and_answers_that_people_liked(land, make) -> None:
    land(answers("a", "b", "c"))
    land([thumb("a", "up"), thumb("b", "down"), rating("c", 5)])
    land([event("edit", target_id="b", response={"role": "assistant", "content": "better"}, rater={"id": "r1"})])
    made = make("sft")
    assert {(answer_of(row), row["source"]) for row in made.rows()} == {
        ("answer a", "thumb"), ("better", "edit"), ("answer c", "rating"),
    }  # fmt: skip
    assert {tuple(row)[:2] for row in made.rows()} == {("prompt", "completion")}
    assert dropped(made) == {"not_liked": 1}
    with pytest.raises(BadOption, match="keep"):
        make("sft", conflicts="keep")


def test_prompts_are_those_that_people_sent_each_once(land, make) -> None:
    land([*answers("a", "b"), completion("c", "Another?"), completion("d", "Private?", training_consent="denied")])
    made = make("prompts")
    found = {row["prompt"][0]["content"]: row["n_answers"] for row in made.rows()}
    assert found == {"Another?": 1, "Capital of France?": 2}
    assert dropped(made) == {"answer_consent": 1}
    assert made.funnel.seen == 4


def test_kinds_of_rater_are_never_mixed_silently(land, make) -> None:
    land(answers("a", "b", "c"))
    land([thumb("a", "up"), thumb("b", "down") | {"rater": {"id": "j", "kind": "model"}}])
    land([thumb("c", "down") | {"rater": {"id": "k", "kind": "rule"}}])
    human = make("kto", allow_one_label=True)
    assert dropped(human) == {"raters": 2}
    mixed = make("kto", raters=["human", "model"])
    assert mixed.manifest["raters"]["kinds"] == {"human": 1, "model": 1}
    assert {row["raters"] for row in mixed.rows()} == {"human", "model"}


def test_for_preferences_made_by_a_rule_the_constraint_stays_in_the_prompt_of_both(land, make) -> None:
    constraint = [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "Capital?"}]
    land(
        [completion("a", text="Paris", messages=constraint), completion("b", text="It is Paris.", messages=constraint)]
    )
    land([completion("c", "Capital?", "Paris!"), compare("x", "a", "b"), compare("y", "c", "b")])
    land(
        [
            pick(name, winner) | {"rater": {"id": "one-word", "kind": "rule"}}
            for name, winner in (("x", "a"), ("y", "c"))
        ]
    )
    made = make("pairs", raters=["rule"])
    (row,) = made.rows()
    assert row["prompt"] == constraint
    assert dropped(made) == {"different_prompts": 1}


def test_the_prompt_is_the_branch_that_was_seen_and_later_turns_are_left_out(land, make) -> None:
    first = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    second = [*first, {"role": "assistant", "content": "chosen hello"}, {"role": "user", "content": "And now?"}]
    land([completion("t1", text="chosen hello", messages=first, conversation_id="k", turn=0)])
    land([completion("t1b", text="other hello", messages=first, conversation_id="k", turn=0)])
    land([completion("t2", text="now this", messages=second, conversation_id="k", turn=1, parent_id="t1")])
    land([thumb("t1", "up"), thumb("t2", "down")])
    rows = {answer_of(row): row for row in make("kto").rows()}
    assert rows["chosen hello"]["prompt"] == first
    assert rows["now this"]["prompt"] == second
    assert len(rows) == 2
