"""Several raters: every vote counts, and a majority is more than half of them."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tests.events import completion, event, thumb
from tests.export.conftest import answer_of


def _rating(target: str, score: float, seconds: float, rater: str) -> dict[str, Any]:
    return event("rating", seconds, target_id=target, score=score, rater={"id": rater})


def test_ratings_in_the_middle_are_votes(land, make) -> None:
    """Four threes and a four: most say neither, so there is no row; three fours and two threes: there is."""
    land([completion("a"), *(_rating("a", score, i, f"r{i}") for i, score in enumerate((3, 3, 3, 3, 4)))])
    land([completion("b", text="Lyon."), *(_rating("b", score, i, f"r{i}") for i, score in enumerate((4, 4, 3, 3, 4)))])
    made = make("kto", allow_one_label=True)
    assert [(answer_of(row), row["n_votes"], row["agreement"]) for row in made.rows()] == [("Lyon.", 5, 0.6)]
    assert {name: n for name, n in made.funnel.dropped.items() if n} == {"middle": 6, "no_majority": 1}


@pytest.mark.parametrize("conflicts", ["majority", "drop"])
def test_three_ties_and_one_pick_are_no_preference(land, make, conflicts: str) -> None:
    land(
        [
            completion("a"),
            completion("b", text="Lyon."),
            event("comparison", comparison_id="p", completion_ids=["a", "b"]),
        ]
    )
    land(
        [
            completion("c"),
            completion("d", text="Rome."),
            event("comparison", comparison_id="q", completion_ids=["c", "d"]),
        ]
    )
    outcomes = ("tie", "both_bad", "tie", "winner")
    land(
        [
            event(
                "pick",
                i,
                target_id="p",
                outcome=outcome,
                rater={"id": f"r{i}"},
                **({"winner_id": "a"} if outcome == "winner" else {}),
            )
            for i, outcome in enumerate(outcomes)
        ]
    )
    land([event("pick", i, target_id="q", outcome="winner", winner_id="c", rater={"id": f"r{i}"}) for i in range(2)])
    made = make("pairs", conflicts=conflicts)
    assert [(answer_of(row, "rejected"), row["n_votes"], row["agreement"]) for row in made.rows()] == [
        ("Rome.", 2, 1.0)
    ]
    assert made.funnel.dropped["tie"] == 2
    assert made.funnel.dropped["both_bad"] == 1
    assert made.funnel.dropped["conflict" if conflicts == "drop" else "no_majority"] == 1


def test_ratings_of_several_raters_are_counted_together_with_picks(land, make) -> None:
    """One rates a over b, one picks b, two rate them alike: four votes on the pair, and no majority."""
    land(
        [
            completion("a"),
            completion("b", text="Lyon."),
            event("comparison", comparison_id="p", completion_ids=["a", "b"]),
        ]
    )
    land([completion("c", "Capital of Italy?", "Rome."), completion("d", "Capital of Italy?", "Oslo.")])
    land([_rating("a", 5, 0, "r1"), _rating("b", 1, 1, "r1")])
    land([event("pick", 2, target_id="p", outcome="winner", winner_id="b", rater={"id": "r2"})])
    land([_rating(target, 4, 3, rater) for target in "ab" for rater in ("r3", "r4")])
    land([_rating("c", 5, 4, "r1"), _rating("d", 3, 5, "r1"), _rating("c", 4, 6, "r2"), _rating("d", 2, 7, "r2")])
    made = make("pairs", conflicts="majority")
    assert [(answer_of(row, "chosen"), row["n_votes"], row["agreement"]) for row in made.rows()] == [("Rome.", 2, 1.0)]


@pytest.mark.parametrize("seed", [1, 2])
def test_of_random_votes_a_row_is_where_more_than_half_agree(land, make, seed: int) -> None:
    """Held against a count in Python, for thumbs and ratings of answers, and for picks of pairs."""
    draw = random.Random(seed)
    events: list[dict[str, Any]] = []
    labels: dict[str, list[bool | None]] = {}
    sides: dict[str, list[str | None]] = {}
    for n in range(150):
        text = f"Answer {n}."
        events.append(completion(f"a{n}", f"Question {n}?", text))
        labels[text] = []
        for rater in range(draw.randrange(1, 7)):
            if draw.random() < 0.5:
                up = draw.random() < 0.5
                events.append(thumb(f"a{n}", "up" if up else "down", rater=f"r{rater}"))
                labels[text].append(up)
            else:
                score = draw.randrange(1, 6)
                events.append(_rating(f"a{n}", score, 0, f"r{rater}"))
                labels[text].append(True if score >= 4 else False if score <= 2 else None)
    for n in range(150):
        prompt = f"Pair {n}?"
        events += [completion(f"{side}{n}", prompt, f"{side} of {n}") for side in "xy"]
        events.append(event("comparison", comparison_id=f"p{n}", completion_ids=[f"x{n}", f"y{n}"]))
        sides[prompt] = []
        for rater in range(draw.randrange(1, 7)):
            said = draw.choice(["x", "y", "x", None, "both_bad"])
            winner = {"winner_id": f"{said}{n}"} if said in ("x", "y") else {}
            outcome = "winner" if winner else said or "tie"
            events.append(event("pick", target_id=f"p{n}", outcome=outcome, rater={"id": f"r{rater}"}, **winner))
            sides[prompt].append(said if winner else None)
    draw.shuffle(events)
    land(events)

    def expected(votes: list[Any]) -> tuple[Any, int, float] | None:
        (most, count), *_ = Counter(vote for vote in votes if vote is not None).most_common(1) or [(None, 0)]
        return (most, len(votes), round(count / len(votes), 4)) if 2 * count > len(votes) else None

    made = make("kto", sources=("thumb", "rating"))
    found = {answer_of(row): (row["label"], row["n_votes"], row["agreement"]) for row in made.rows()}
    assert found == {text: row for text, votes in labels.items() if (row := expected(votes))}

    made = make("pairs", sources=("pick",), conflicts="majority")
    found = {
        row["prompt"][0]["content"]: (answer_of(row, "chosen")[0], row["n_votes"], row["agreement"])
        for row in made.rows()
    }
    assert found == {prompt: row for prompt, votes in sides.items() if (row := expected(votes))}
