"""The maps for tables of any origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.importing.helpers import PSEUDONYM, chat, lines, take
from thumbline_ingest.importing import MapOptions, NotImportable, open_map

PAIR = {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "Lyon."}
RATED = {"prompt": "Capital of France?", "answer": "Paris."}


def answers_of(taken: Any) -> dict[str, str]:
    return {event["completion_id"]: event["response"]["content"] for event in taken.of("completion")}


def test_a_pair_is_two_answers_a_comparison_and_a_pick(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, PAIR), "pairs", cohort="crowd", consent="granted")
    assert [event["kind"] for event in taken.events] == ["completion", "completion", "comparison", "pick"]
    pick, comparison = taken.one("pick"), taken.one("comparison")
    assert answers_of(taken)[pick["winner_id"]] == "Paris."
    assert sorted(comparison["completion_ids"]) == sorted(answers_of(taken))
    assert pick["target_id"] == comparison["comparison_id"]
    assert "probability" not in comparison
    for event in taken.events:
        assert event["properties"] == {"batch": "b-1", "source": "pairs", "cohort": "crowd"}
        assert event["training_consent"] == "granted"
        assert event["occurred_at"] == "1970-01-01T00:00:00Z"
    assert taken.of("completion")[0]["messages"] == chat("Capital of France?")
    assert {envelope["project"] for envelope in taken.envelopes} == {"demo"}


def test_the_winner_does_not_always_stand_first(tmp_path: Path) -> None:
    """Who was shown where is unknown: an order that followed the outcome would look like a bias of the raters."""
    pairs = [{"prompt": f"q{i}", "chosen": "good", "rejected": "bad"} for i in range(200)]
    taken = take(lines(tmp_path, *pairs), "pairs")
    winners = {pick["target_id"]: pick["winner_id"] for pick in taken.of("pick")}
    first = sum(one["completion_ids"][0] == winners[one["comparison_id"]] for one in taken.of("comparison"))
    assert 70 < first < 130


@pytest.mark.parametrize(
    ("record", "prompt"),
    [
        (PAIR, chat("Capital of France?")),
        (PAIR | {"system": "Be brief."}, [{"role": "system", "content": "Be brief."}, *chat("Capital of France?")]),
        (PAIR | {"prompt": chat("Hi", "Hello.", "Capital?")}, chat("Hi", "Hello.", "Capital?")),
        ({"chosen": chat("q", "Paris."), "rejected": chat("q", "Lyon.")}, chat("q")),
        ({"chosen": chat("a", "b", "c", "Paris."), "rejected": chat("a", "b", "c", "Lyon.")}, chat("a", "b", "c")),
        ({"prompt": "q", "chosen": chat("q", "Paris."), "rejected": chat("q", "Lyon.")}, chat("q")),
        (
            {"prompt": chat("q"), "chosen": [chat("q", "Paris.")[1]], "rejected": [chat("q", "Lyon.")[1]]},
            chat("q"),
        ),
        (
            {
                "chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: Paris.",
                "rejected": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: Lyon.",
            },
            chat("q", "a", "r"),
        ),
        (
            {
                "chosen": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "Paris."}],
                "rejected": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "Lyon."}],
            },
            chat("q"),
        ),
    ],
)
def test_forms_of_a_pair(tmp_path: Path, record: dict[str, Any], prompt: list[dict[str, str]]) -> None:
    taken = take(lines(tmp_path, record), "pairs")
    assert all(event["messages"] == prompt for event in taken.of("completion"))
    assert sorted(answers_of(taken).values()) == ["Lyon.", "Paris."]
    assert answers_of(taken)[taken.one("pick")["winner_id"]] == "Paris."


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"prompt": "q", "chosen": "a"}, "rejected: is missing; there are: prompt, chosen"),
        (
            {"chosen": "a", "rejected": "b"},
            "chosen: has no prompt: name a column for it, or give whole conversations",
        ),
        (
            {"chosen": chat("a", "b", "c", "d"), "rejected": chat("a", "x", "c", "d")},
            "rejected: differs from chosen before the last message, so they answer different prompts",
        ),
        (PAIR | {"rejected": "Paris."}, "comparison completion_ids: must not name an answer twice"),
        (
            PAIR | {"outcome": "best"},
            "outcome: must be one of winner, tie, both_bad, skip; the winner is the chosen one",
        ),
        (PAIR | {"chosen": [1]}, "chosen.*: must be a message: role and content"),
        (PAIR | {"prompt": chat("a")[0] | {"role": "robot"}}, None),
        (PAIR | {"occurred_at": "yesterday"}, None),
    ],
)
def test_a_pair_that_cannot_be_taken_says_why(tmp_path: Path, record: dict[str, Any], why: str | None) -> None:
    taken = take(lines(tmp_path, record, PAIR), "pairs")
    assert (taken.report.taken, taken.report.refused) == (1, 1)
    if why is not None:
        assert taken.reasons == {why: 1}
    assert next(iter(taken.report.reasons.values())).examples == ["votes.jsonl:1"]


def test_a_strength_without_its_scale_costs_no_pick(tmp_path: Path) -> None:
    """It says nothing and is left out, which the report says."""
    taken = take(lines(tmp_path, PAIR | {"strength": 5}), "pairs")
    assert "strength" not in taken.one("pick")
    assert taken.report.changed == {"pick strength": 1}


def test_ties_strengths_margins_models_raters_and_times_are_kept(tmp_path: Path) -> None:
    taken = take(
        lines(
            tmp_path,
            PAIR | {"tie": True},
            PAIR | {"outcome": "both_bad"},
            PAIR | {"strength": "4", "scale": 5, "margin": 1.5, "chosen_model": "m1", "rejected_model": "m2"},
            PAIR | {"rater": 7, "occurred_at": 1_764_000_000, "comment": "clear", "tags": ["right"], "author": "u1"},
        ),
        "pairs",
        MapOptions(model="acme-7b"),
    )
    tie, both_bad, strong, named = taken.of("pick")
    assert (tie["outcome"], both_bad["outcome"]) == ("tie", "both_bad")
    assert "winner_id" not in tie
    assert (strong["strength"], strong["scale"], strong["properties"]["margin"]) == (4, 5, 1.5)
    assert {event["model"] for event in taken.of("completion")} == {"acme-7b", "m1", "m2"}
    assert named["rater"] == {"id": PSEUDONYM("7"), "kind": "human"}
    assert (named["occurred_at"], named["comment"], named["tags"]) == ("2025-11-24T16:00:00Z", "clear", ["right"])


@pytest.mark.parametrize(
    ("label", "value"),
    [
        *((label, "up") for label in (True, 1, "1", "Good", "👍", 1.0)),
        *((label, "down") for label in (False, 0, -1, "thumbs down", "false")),
    ],
)
def test_labels(tmp_path: Path, label: Any, value: str) -> None:
    taken = take(lines(tmp_path, RATED | {"label": label}), "thumbs")
    thumb = taken.one("thumb")
    assert thumb["value"] == value
    assert thumb["target_id"] == taken.one("completion")["completion_id"]


def test_a_label_that_is_none_is_refused_and_a_map_file_can_teach_it(tmp_path: Path) -> None:
    file = lines(tmp_path, {"question": "q", "answer": "a", "label": "Correct"})
    adapted = tmp_path / "vendor.toml"
    adapted.write_text('base = "thumbs"\nmodel = "m"\n[fields]\nprompt = "question"\n[labels]\nup = ["correct"]\n')
    taken = take(file, str(adapted))
    assert (taken.one("thumb")["value"], taken.one("completion")["model"]) == ("up", "m")
    refused = take(file, "thumbs", MapOptions(columns={"prompt": "question"}))
    assert list(refused.reasons) == [
        "label: is no label: true or false, 1 or 0, up or down, or a word that the map file lists under [labels]"
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("base = 'nothing'", "there are pairs, ratings"),
        ("fields = 1", "base is missing"),
        ("base = 'thumbs'\nfoo = 1", "'foo' is no key"),
        ("base = 'thumbs'\n[fields]\nnope = 'x'", "has no field 'nope'"),
        ("base = 'fastchat'\n[fields]\nwinner = 'x'", "are fixed"),
        ("base = 'ratings'\nscale = [5, 1]", r"must be \[lowest, highest\]"),
        ("base = 'thumbs'\n[labels]\nmaybe = ['x']", "up and down"),
        ("base = ", "Invalid value"),
    ],
)
def test_a_map_file_that_cannot_be_meant_says_what_there_is(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(NotImportable, match=says):
        open_map(str(path), MapOptions())


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotImportable, match="there are pairs"):
        open_map("pears", MapOptions())
    with pytest.raises(NotImportable, match="no map file"):
        open_map(str(tmp_path / "gone.toml"), MapOptions())


def test_a_rating_needs_a_stated_scale(tmp_path: Path) -> None:
    file = lines(
        tmp_path,
        RATED | {"score": 7},
        RATED | {"score": "2", "scale_min": 0, "scale_max": 3},
        RATED | {"score": 9, "scale_min": 0, "scale_max": 3},
        RATED | {"score": "NaN", "scale_min": 0, "scale_max": 3},
    )
    taken = take(file, "ratings")
    (rating,) = taken.of("rating")
    assert (rating["score"], rating["scale_min"], rating["scale_max"]) == (2, 0, 3)
    assert set(taken.reasons) == {
        "scale_min: the scale is not stated: give --scale MIN:MAX, or columns for both ends",
        "rating score: must be between scale_min 0 and scale_max 3",
        "score: must be a finite number",
    }
    stated = take(file, "ratings", MapOptions(scale=(1, 10)))
    assert stated.of("rating")[0]["scale_max"] == 10


def test_rankings_and_edits(tmp_path: Path) -> None:
    taken = take(
        lines(tmp_path, {"prompt": "q", "answers": ["a", "b", "c"], "ranks": [2, 1, 2], "models": ["x", "y", "z"]}),
        "rankings",
    )
    texts = answers_of(taken)
    assert [[texts[one] for one in group] for group in taken.one("ranking")["ranks"]] == [["b"], ["a", "c"]]
    assert [event["model"] for event in taken.of("completion")] == ["x", "y", "z"]

    edited = take(lines(tmp_path, RATED | {"edited": "It is Paris."}), "edits")
    assert edited.one("edit")["response"] == {"role": "assistant", "content": "It is Paris."}
    assert edited.one("edit")["target_id"] == edited.one("completion")["completion_id"]


def test_an_answer_that_is_logged_already_needs_only_its_id(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, {"answer_id": 17, "label": 1}), "thumbs")
    assert [(event["kind"], event["target_id"]) for event in taken.events] == [("thumb", "17")]


def test_columns_may_lie_in_objects(tmp_path: Path) -> None:
    record = {"data": {"question": "q"}, "answer": "a", "label": 1}
    taken = take(lines(tmp_path, record), "thumbs", MapOptions(columns={"prompt": "data.question"}))
    assert taken.one("completion")["messages"] == chat("q")
