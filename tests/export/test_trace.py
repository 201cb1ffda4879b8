"""Where rows come from, what differs between exports and why, and which rows should not be trained on any more."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.events import completion, event, thumb
from tests.export.conftest import answer_of, options_of
from thumbline_warehouse.export import BadOption, ExportOptions, affected, diff, explain, export


def week(land, first: int, last: int, seconds: float = 0) -> None:
    """Answers with thumbs and picks by several raters."""
    land(
        [completion(f"a{i}", f"question {i // 2}", f"answer {i}", author=f"author-{i % 3}") for i in range(first, last)]
    )
    land(
        [
            thumb(f"a{i}", ["up", "down"][i % 2], seconds + n, f"r{n}")
            for i in range(first, last)
            for n in range(1 + i % 2)
        ]
    )
    for i in range(first, last, 2):
        land([event("comparison", comparison_id=f"x{i}", completion_ids=[f"a{i}", f"a{i + 1}"])])
        land([event("pick", seconds, target_id=f"x{i}", outcome="winner", winner_id=f"a{i}")])


@pytest.mark.parametrize("kind", ["kto", "pairs", "reward", "sft"])
def test_every_row_traces_back_to_its_events(land, make, url, query, kind: str) -> None:
    week(land, 0, 8)
    made = make(kind)
    known = {str(row[0]) for row in query("SELECT event_id FROM events")}
    used = set()
    for row in made.rows():
        found = explain(url, made.options, row["example_id"])
        assert found.reason == ""
        assert found.parts
        assert {part.event_id for part in found.parts} <= known
        assert len([part for part in found.parts if not part.reason]) >= row["n_votes"] or row["rule"] == "pick/1"
        assert found.row["n_votes"] == row["n_votes"]
        used |= {part.event_id for part in found.parts if not part.reason}
    assert len(used) == made.funnel.used


def test_what_was_left_out_is_explained_too(land, url) -> None:
    land(
        [
            completion("a"),
            completion("b", text="Lyon."),
            thumb("a", "up"),
            thumb("a", "down", 1, "r2"),
            thumb("b", "up"),
        ]
    )
    options = options_of("kto", allow_one_label=True)
    found = explain(url, options, hashlib.sha256(b"kto\0demo\0a").hexdigest())
    assert found.reason == "no_majority"
    assert [part.says for part in found.parts] == ["up", "down"]
    with pytest.raises(BadOption, match="neither exported nor left out"):
        explain(url, options, "no-such-row")


def test_every_difference_of_a_week_has_its_events(land, make, url) -> None:
    week(land, 0, 20)
    before = make("kto")
    week(land, 20, 30, 1000)
    land([thumb("a0", "down", 500, "r0"), thumb("a2", "retracted", 500, "r0"), thumb("a4", "up", 500, "new")])
    land([event("consent", 600, rater={"id": "author-0"}, training_consent="denied")])
    after = make("kto")

    changes = diff(url, before.folder, after.folder)

    ids = [{row["example_id"] for row in made.rows()} for made in (before, after)]
    assert {c.example_id for c in changes if c.what == "added"} == ids[1] - ids[0]
    assert {c.example_id for c in changes if c.what == "removed"} == ids[0] - ids[1]
    rows = [{row["example_id"]: row for row in made.rows()} for made in (before, after)]
    both = ids[0] & ids[1]
    assert {c.example_id for c in changes if c.what == "changed"} == {
        i
        for i in both
        if {k: rows[0][i][k] for k in ("label", "n_votes")} != {k: rows[1][i][k] for k in ("label", "n_votes")}
    }
    assert all(change.causes for change in changes)
    told = {change.example_id: " ".join(change.causes) for change in changes}
    answers = {row["example_id"]: answer_of(row) for made in (before, after) for row in made.rows()}
    by_answer = {answers[key]: text for key, text in told.items()}
    assert "thumb retracted" in by_answer["answer 2"]
    assert "consent denied" in by_answer["answer 6"]
    assert "completion" in by_answer["answer 22"]
    relabelled = next(c for c in changes if c.what == "changed" and answers[c.example_id] == "answer 4")
    assert relabelled.fields["n_votes"] == (1, 2)


def test_a_difference_by_options_names_them(land, make, url) -> None:
    week(land, 0, 10)
    before = make("kto")
    after = make("kto", min_votes=2, allow_one_label=True)
    changes = diff(url, before.folder, after.folder)
    assert len(changes) == 5
    assert {change.what for change in changes} == {"removed"}
    assert all("filters.min_votes 1 -> 2" in change.causes[0] and "min_votes" in change.causes[0] for change in changes)


def test_events_and_options_are_told_apart(land, make, url) -> None:
    week(land, 0, 10)
    before = make("pairs")
    land([event("pick", 900, target_id="x0", outcome="retracted")])
    after = make("pairs", sources=["pick"], max_per_prompt=1)
    causes = {change.example_id: change.causes for change in diff(url, before.folder, after.folder)}
    texts = [" ".join(found) for found in causes.values()]
    assert any("pick retracted" in text for text in texts)
    assert any("rules.sources" in text and "pick retracted" not in text for text in texts)


def test_rows_of_who_withdraws_are_named(land, make, url) -> None:
    week(land, 0, 10)
    exports = [make("kto"), make("pairs", sources=["pick"]), make("kto", metadata=False, format="parquet")]
    assert not any(affected(url, made.folder) for made in exports)

    land([event("consent", 900, rater={"id": "author-1"}, training_consent="denied")])

    expected = {f"answer {i}" for i in range(10) if i % 3 == 1}
    for made in exports:
        found = affected(url, made.folder)
        rows = list(made.rows())
        named = {answer_of(rows[a.row], "completion" if made.options.kind == "kto" else "chosen") for a in found}
        if made.options.kind == "kto":
            assert named == expected
        else:
            assert {a.row for a in found} == {
                n for n, row in enumerate(rows) if {answer_of(row, "chosen"), answer_of(row, "rejected")} & expected
            }
        assert {a.why for a in found} == {"consent_withdrawn"}
        assert {a.person_id for a in found} == {"author-1"}

    land([event("consent", 950, rater={"id": "author-1"}, training_consent="granted")])
    assert not any(affected(url, made.folder) for made in exports)


def test_a_raters_withdrawal_concerns_the_rows_that_they_voted_for(land, make, url) -> None:
    week(land, 0, 6)
    made = make("kto")
    land([event("consent", 900, rater={"id": "r1"}, training_consent="denied")])
    rows = list(made.rows())
    assert {answer_of(rows[a.row]) for a in affected(url, made.folder)} == {"answer 1", "answer 3", "answer 5"}


def test_erased_events_are_noticed(land, make, url, store) -> None:
    week(land, 0, 6)
    made = make("kto")
    store._db.execute("DELETE FROM events WHERE completion_id = 'a2' OR target_id = 'a2'")
    (found,) = affected(url, made.folder)
    assert (found.why, answer_of(list(made.rows())[found.row])) == ("erased", "answer 2")
    after = make("kto")
    (change,) = diff(url, made.folder, after.folder)
    assert "erased" in change.causes[0]


def test_a_manifest_repeats_its_export(land, make, url, tmp_path) -> None:
    week(land, 0, 20)
    options = {"test": 0.3, "min_votes": 1, "on_policy": [], "format": "parquet", "seed": 4}
    first = make("kto", **options)
    week(land, 20, 30, 100)
    content = json.loads((first.folder / "manifest.json").read_text())
    again = export(url, tmp_path / "again", ExportOptions.model_validate(content["options"]))
    files = [
        {p.relative_to(m.folder): p.read_bytes() for p in m.folder.rglob("*") if p.is_file()} for m in (first, again)
    ]
    assert files[0] == files[1]
