"""Splits never leak, whatever is connected with what, and stay as they are while data grows."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.events import completion, records, thumb
from tests.export.conftest import options_of
from tests.warehouse.conftest import LOG
from thumbline_warehouse.export import ExportError, export, splits
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

# (conversation, prompt, rater, label) of an answer and its thumb.
rows = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 6), st.booleans()), min_size=6, max_size=40
)


def events_of(drawn: list[tuple[int, int, int, bool]]) -> list[dict]:
    events = []
    for number, (conversation, prompt, rater, label) in enumerate(drawn):
        events.append(
            completion(f"a{number}", f"prompt {prompt}", f"answer {number}", conversation_id=f"c{conversation}",
                       occurred_at=f"2026-11-24T{number // 60:02}:{number % 60:02}:00Z")
        )  # fmt: skip
        events.append(thumb(f"a{number}", "up" if label else "down", number, f"r{rater}"))
    return events


def by_split(made) -> dict[str, list[dict]]:
    return {split: list(made.rows(split)) for split in made.splits}


@given(drawn=rows, fraction=st.sampled_from([0.1, 0.3, 0.5]), by=st.sampled_from(["conversation", "rater"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_group_is_in_two_splits(tmp_path_factory, drawn, fraction: float, by: str) -> None:
    folder = tmp_path_factory.mktemp("split")
    url = WarehouseUrl.parse(f"ducklake:{folder}/warehouse/catalog.sqlite")
    store = DuckLakeStore(url)
    store.land(LOG, [records(events_of(drawn))])
    store.close()
    options = options_of("kto", test=fraction, validation=0.2, by=by, allow_one_label=True, dedupe="none")
    made = export(url, folder / "out", options)
    rater_of = {f"answer {number}": rater for number, (_, _, rater, _) in enumerate(drawn)}
    keys = {
        "conversation": lambda row: {("c", row["conversation_id"]), ("p", row["prompt"][0]["content"])},
        "rater": lambda row: {rater_of[row["completion"][0]["content"]]},
    }[by]
    groups = {split: set().union(*(keys(row) for row in found)) for split, found in by_split(made).items()}
    for one, other in combinations(groups.values(), 2):
        assert not one & other


@given(pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_connected_things_are_found(pairs: list[tuple[int, int]]) -> None:
    nodes = np.array([node for node, _ in pairs], dtype=np.int64)
    links = np.array([link for _, link in pairs], dtype=np.int64)
    labels = splits.components(nodes, links)
    groups: list[set[tuple[str, int]]] = []
    for node, link in pairs:
        mine = [group for group in groups if ("n", node) in group or ("l", link) in group]
        groups = [group for group in groups if group not in mine]
        groups.append(set().union(*mine, {("n", node), ("l", link)}))
    for node in set(nodes.tolist()):
        group = next(group for group in groups if ("n", node) in group)
        assert labels[node] == min(n for what, n in group if what == "n")


def test_rows_keep_their_split_while_data_grows(land, make) -> None:
    land(events_of([(i, i, i % 5, i % 2 == 0) for i in range(60)]))
    before = {row["example_id"]: split for split, found in by_split(make("kto", test=0.3)).items() for row in found}
    # More turns in the same conversations, and more conversations.
    for i in range(60):
        land([completion(f"b{i}", f"more {i}", f"second {i}", conversation_id=f"c{i}"), thumb(f"b{i}", "up", 90)])
        land([completion(f"n{i}", f"new {i}", f"new {i}", conversation_id=f"new{i}"), thumb(f"n{i}", "down", 90)])
    after = {row["example_id"]: split for split, found in by_split(make("kto", test=0.3)).items() for row in found}
    assert {key: after[key] for key in before} == before
    assert len(after) == 180
    assert set(before.values()) == {"train", "test"}


def test_kinds_of_export_hold_out_the_same_conversations(land, make) -> None:
    land(events_of([(i, i, i % 5, i % 2 == 0) for i in range(40)]))
    held = [
        {row["conversation_id"] for row in made.rows("test")}
        for made in (make("kto", test=0.4), make("prompts", test=0.4))
    ]
    assert held[0] == held[1]


def test_by_time_the_newest_are_held_out(land, make) -> None:
    land(events_of([(i, i, 0, i % 2 == 0) for i in range(40)]))
    made = make("kto", test=0.25, by="time")
    times = {split: [row["feedback_ts_ms"] for row in found] for split, found in by_split(made).items()}
    assert max(times["train"]) < min(times["test"])
    assert len(times["test"]) == 10
    assert made.manifest["split"]["shared"] == {"conversations": 0, "prompts": 0, "raters": 1, "exchanges": 0}


def test_a_split_without_rows_has_no_file(land, make) -> None:
    land(events_of([(0, 0, 0, True), (0, 1, 0, False)]))
    made = make("kto", test=0.0001, salt="x")
    assert made.splits == ("train",)
    assert [path.name for path in (made.folder / "data").iterdir()] == ["train.jsonl"]


def test_a_leak_would_be_noticed(land, make, monkeypatch: pytest.MonkeyPatch) -> None:
    land(events_of([(i % 3, i, 0, i % 2 == 0) for i in range(40)]))

    def leaky(db, split, recipe) -> None:
        db.execute("UPDATE plan SET split = CASE WHEN row % 2 = 0 THEN 2 ELSE 0 END")

    monkeypatch.setattr(splits, "_by_group", leaky)
    with pytest.raises(ExportError, match="share"):
        make("kto", test=0.5)


# A turn continues one of those before it, or begins anew: conversations branch, and share what they begin with.
turns = st.lists(st.tuples(st.integers(-1, 30), st.integers(0, 3), st.booleans()), min_size=8, max_size=30)


def branching(drawn: list[tuple[int, int, bool]]) -> list[dict]:
    """Answers and thumbs: each answer's prompt is that of the turn that it continues, with its answer and a question."""
    events: list[dict] = []
    prompts: list[list[dict]] = []
    for number, (parent, question, label) in enumerate(drawn):
        before = []
        if 0 <= parent < number:
            before = [*prompts[parent], {"role": "assistant", "content": f"answer {parent}"}]
        prompts.append([*before, {"role": "user", "content": f"question {question}"}])
        # Each under a conversation of its own: a client that branches, or forgets the id.
        events.append(
            completion(f"a{number}", messages=prompts[-1], response={"role": "assistant", "content": f" answer {number}\n"},
                       conversation_id=f"c{number}", occurred_at=f"2026-11-24T00:{number:02}:00Z")
        )  # fmt: skip
        events.append(thumb(f"a{number}", "up" if label else "down", number))
    return events


def exchange(row: dict) -> list[tuple[str, str]]:
    return [(m["role"], m["content"].strip()) for m in [*row["prompt"], *row["completion"]]]


@given(drawn=turns, fraction=st.sampled_from([0.2, 0.5]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_prompt_begins_with_a_rated_exchange_of_another_split(tmp_path_factory, drawn, fraction: float) -> None:
    folder = tmp_path_factory.mktemp("split")
    url = WarehouseUrl.parse(f"ducklake:{folder}/warehouse/catalog.sqlite")
    store = DuckLakeStore(url)
    store.land(LOG, [records(branching(drawn))])
    store.close()
    for kind in ("kto", "sft") if any(label for *_, label in drawn) else ("kto",):
        options = options_of(
            kind, test=fraction, **({"allow_one_label": True, "dedupe": "none"} if kind == "kto" else {})
        )
        made = export(url, folder / kind, options)
        assert made.manifest["split"]["shared"]["exchanges"] == 0
        for (_, held), (_, other) in permutations(by_split(made).items(), 2):
            rated = [exchange(row) for row in other]
            for row in held:
                prompt = exchange(row)[:-1]
                assert not [one for one in rated if prompt[: len(one)] == one]


def test_rows_that_continue_a_conversation_go_where_it_is_and_stay_there(land, make) -> None:
    """As data grows: later turns join the split of the first one, whatever their own id would draw."""
    land(branching([(-1, n % 4, n % 2 == 0) for n in range(30)]))
    before = {
        row["example_id"]: split
        for split, found in by_split(make("kto", test=0.4, dedupe="none")).items()
        for row in found
    }
    land(branching([(-1, n % 4, n % 2 == 0) for n in range(30)] + [(n, 1, n % 3 == 0) for n in range(30)])[60:])
    after = {
        row["example_id"]: split
        for split, found in by_split(make("kto", test=0.4, dedupe="none")).items()
        for row in found
    }
    assert {key: after[key] for key in before} == before
    assert len(after) == 60


def test_what_other_ways_to_split_still_share_is_counted(land, make) -> None:
    land(branching([(n - 1, 0, n % 2 == 0) for n in range(20)]))
    assert make("kto", test=0.5, by="time").manifest["split"]["shared"]["exchanges"] == 10
