"""Each filter leaves out what it says, under its own name in the funnel, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.events import completion, event, thumb
from tests.export.conftest import answer_of, options_of
from thumbline_warehouse.export import BadOption, NothingToExport

NOON_PLUS_5 = "2026-11-24T12:00:05Z"


def left(export) -> set[str]:
    return {answer_of(row) for row in export.rows()}


def some(land, second: dict[str, Any]) -> None:
    """Two answers with a thumb each; what is given makes the second one different."""
    land([completion("a", text="first"), completion("b", **({"text": "second"} | second))])
    land([thumb("a", "up"), thumb("b", "down")])


@pytest.mark.parametrize(
    ("step", "options", "answer", "vote"),
    [
        ("since", {"until": None, "since": NOON_PLUS_5}, {}, {"occurred_at": "2026-11-24T11:00:00Z"}),
        ("until", {"until": "2026-11-24T14:00:00+02:00"}, {}, {"occurred_at": "2026-11-24T12:00:01Z"}),
        ("app", {"app": ["mine"]}, {"app": "other"}, {}),
        ("app", {"app": ["mine"]}, {"app": "mine"}, {"app": "other"}),
        ("surface", {"surface": ["web"]}, {"surface": "ios"}, {}),
        ("model", {"model": ["acme-7b"]}, {"model": "beta"}, {}),
        ("policy", {"on_policy": ["p1"]}, {"policy": "p0"}, {}),
        ("policy", {"on_policy": ["p1"]}, {}, {}),
        ("language", {"language": ["en", "de"]}, {"properties": {"language": "fr"}}, {}),
        ("batch", {"batch": ["b1"]}, {}, {"properties": {"batch": "b2"}}),
        ("exclude_batch", {"exclude_batch": ["b2"]}, {}, {"properties": {"batch": "b2"}}),
        ("cohort", {"cohort": ["c1"]}, {}, {"properties": {"cohort": "c2"}}),
        ("exclude_cohort", {"exclude_cohort": ["calibration"]}, {}, {"properties": {"cohort": "calibration"}}),
        ("own_prompt", {"own_prompt": "drop"}, {}, {"rater": {"id": "r1", "wrote_prompt": True}}),
        ("own_prompt", {"own_prompt": "only"}, {}, {"rater": {"id": "r2", "wrote_prompt": False}}),
        ("vote_consent", {}, {}, {"training_consent": "unknown"}),
        ("answer_consent", {}, {"training_consent": "denied"}, {}),
        ("prompt_length", {"max_prompt_chars": 60}, {"messages": [{"role": "user", "content": "x" * 80}]}, {}),
        ("completion_short", {"min_completion_chars": 5}, {"text": "abcd"}, {}),
        ("completion_length", {"max_completion_chars": 5}, {"text": "abcdef"}, {}),
        ("where", {"where": "answer.latency_ms < 100 OR vote.tags = ['keep']"}, {"latency_ms": 500.0}, {}),
        (
            "turns",
            {"alternating": True},
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
            {},
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_filter_leaves_the_second_answer_out(land, make, step, options, answer, vote) -> None:
    good = {"app": "mine", "surface": "web", "policy": "p1", "properties": {"language": "en"}, "latency_ms": 50.0}
    voted = {"properties": {"batch": "b1", "cohort": "c1"}, "rater": {"id": "r1"}}
    own = {"rater": {"id": "r1", "wrote_prompt": True}} if options.get("own_prompt") == "only" else {}
    later = {"occurred_at": "2026-11-24T12:00:09Z"} if step == "since" else {}
    earlier = {"occurred_at": "2026-11-24T11:00:00Z"} if step == "until" else {}
    land([completion("a", text="first", **good), completion("b", **({"text": "second"} | answer))])
    land([thumb("a", "up") | voted | own | later | earlier, thumb("b", "down") | vote])
    made = make("kto", allow_one_label=True, **options)
    assert left(made) == {"first"}
    assert made.funnel.dropped[step] == 1


def test_the_last_checkpoints_are_those_that_appeared_last(land, make) -> None:
    for hour, policy in enumerate(["step-1", "step-2", "step-3"]):
        land(
            [
                completion(policy, text=f"answer {policy}", policy=policy, occurred_at=f"2026-11-24T1{hour}:00:00Z"),
                thumb(policy, "up"),
            ]
        )
    # An old checkpoint that still answers is no new one.
    land([completion("late", text="late", policy="step-1", occurred_at="2026-11-24T18:00:00Z"), thumb("late", "up")])
    made = make("kto", on_policy=["last:2"], allow_one_label=True)
    assert left(made) == {"answer step-2", "answer step-3"}
    assert made.manifest["resolved"] == {"policies": ["step-3", "step-2"]}
    with pytest.raises(BadOption, match="last:N"):
        make("kto", on_policy=["last:0"])


def test_of_a_pair_both_answers_must_fit(land, make) -> None:
    land([completion("a", text="one", model="m1", policy="p1"), completion("b", text="two", model="m2", policy="p1")])
    land([event("comparison", comparison_id="x", completion_ids=["a", "b"])])
    land([event("pick", target_id="x", outcome="winner", winner_id="a")])
    assert make("pairs", on_policy=["p1"]).funnel.rows == 1
    assert make("pairs", model=["m1", "m2"], where="chosen.model = 'm1' AND rejected.model = 'm2'").funnel.rows == 1
    with pytest.raises(NothingToExport, match="model"):
        make("pairs", model=["m1"])


def test_an_edit_is_by_no_checkpoint(land, make) -> None:
    land([completion("a", text="one", policy="p1")])
    land([event("edit", target_id="a", response={"role": "assistant", "content": "better"})])
    assert make("pairs").funnel.rows == 1
    with pytest.raises(NothingToExport, match="policy"):
        make("pairs", on_policy=["p1"])


def test_caps_keep_what_the_seed_draws(land, make) -> None:
    land([completion(f"a{i}", f"question {i % 3}", f"answer {i}", conversation_id=f"c{i % 4}") for i in range(24)])
    land([thumb(f"a{i}", ["up", "down"][i % 2], rater=f"r{i % 5}") for i in range(24)])
    by_rater = make("kto", max_per_rater=2)
    assert by_rater.funnel.dropped["rater_cap"] == 14
    assert by_rater.funnel.rows == 10
    assert make("kto", max_per_conversation=2).funnel.rows == 8
    assert make("kto", max_per_prompt=3).funnel.rows == 9
    assert left(make("kto", max_per_prompt=3)) == left(make("kto", max_per_prompt=3))
    assert left(make("kto", max_per_prompt=3)) != left(make("kto", max_per_prompt=3, seed=1))


def test_balance_leaves_out_rows_of_the_more_frequent_label(land, make) -> None:
    land([completion(f"a{i}", f"question {i}", f"answer {i}") for i in range(40)])
    land([thumb(f"a{i}", "down" if i < 4 else "up") for i in range(40)])
    made = make("kto", balance=2)
    assert made.manifest["labels"]["desirable"] == 8
    assert made.manifest["labels"]["undesirable"] == 4
    assert made.funnel.dropped["balance"] == 28


def test_votes_and_agreement_of_an_answer(land, make) -> None:
    land(
        [
            completion("a", text="agreed"),
            completion("b", text="disputed"),
            completion("c", text="lonely"),
            completion("d", text="bad"),
        ]
    )
    land([thumb("a", "up", rater=f"r{i}") for i in range(4)])
    land([thumb("b", "up" if i else "down", rater=f"r{i}") for i in range(3)])
    land([thumb("c", "up"), *(thumb("d", "down", rater=f"r{i}") for i in range(3))])
    made = make("kto", min_votes=3, min_agreement=0.8)
    assert left(made) == {"agreed", "bad"}
    assert {k: v for k, v in made.funnel.dropped.items() if v} == {"min_votes": 1, "min_agreement": 3}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nonsense(", "where"),
        ("true; DROP TABLE events", "where"),
        ("true, false", "where"),
        ("random() < 0.5", "random"),
        ("vote.occurred_at > now()", "now"),
        ("vote.occurred_at > current_date", "current_date"),
        ("vote.no_such_column = 1", "no_such_column"),
    ],
)
def test_a_condition_that_is_none_or_changes_is_refused(land, make, where: str, message: str) -> None:
    some(land, {})
    with pytest.raises(BadOption, match=message):
        make("kto", where=where)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "kto", "sources": ["ranking"]}, "thumb, rating, pick"),
        ({"kind": "kto", "since": "2026-01-01T00:00:00"}, "offset"),
        ({"kind": "kto", "test": 0.6, "validation": 0.5}, "below 1"),
        ({"kind": "kto", "rating_up": 2, "rating_down": 3}, "rating_down"),
        ({"kind": "kto", "min_votes": 0}, "min_votes"),
        ({"kind": "dpo"}, "kind"),
        ({"kind": "kto", "no_such": 1}, "no_such"),
    ],
)
def test_options_that_do_not_fit_name_the_field(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options_of(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pairs", "balance": 2}, "balance"),
        ({"kind": "prompts", "min_votes": 2}, "min_votes"),
        ({"kind": "kto", "profile": "openrlhf"}, "openrlhf"),
        ({"kind": "kto", "format": "json"}, "json"),
        ({"kind": "kto", "order": "none", "metadata": False}, "metadata"),
    ],
)
def test_options_that_do_not_go_together_are_refused(land, make, options: dict[str, Any], message: str) -> None:
    some(land, {})
    with pytest.raises(BadOption, match=message):
        make(**options)


def test_consecutive_messages_of_the_user_are_joined_on_request(land, make) -> None:
    land(
        [
            completion("a", messages=[{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]),
            thumb("a", "up"),
        ]
    )
    (row,) = make("kto", alternating=True, merge_consecutive_user=True, allow_one_label=True).rows()
    assert row["prompt"] == [{"role": "user", "content": "one\n\ntwo"}]


def test_a_condition_holds_for_pairs_of_every_rule(land, make) -> None:
    for prompt, app in (("q1", "mine"), ("q2", "other")):
        land([completion(f"{prompt}-{n}", prompt, f"{prompt} answer {n}", app=app) for n in "ab"])
        land([thumb(f"{prompt}-a", "up"), thumb(f"{prompt}-b", "down", rater="r2")])
    made = make("pairs", where="chosen.app = 'mine' AND rejected.app = 'mine'")
    assert [answer_of(row, "chosen") for row in made.rows()] == ["q1 answer a"]
    assert made.funnel.dropped["where"] == 2
