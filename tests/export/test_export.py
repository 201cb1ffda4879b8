"""Exports: whole rows, what is left out and why, and the same bytes for the same snapshot."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.events import completion, event, records, thumb
from tests.export.conftest import options_of
from tests.warehouse.conftest import LOG
from thumbline_warehouse.export import ExportError, NothingToExport, OneLabelOnly, export
from thumbline_warehouse.store import DuckLakeStore, StoreSettings
from thumbline_warehouse.urls import WarehouseUrl


def U(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def A(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.fixture
def run(url: WarehouseUrl, tmp_path: Path):
    """Export and read the rows back."""

    def run_export(kind: str, name: str = "out", **options: Any):
        made = export(url, tmp_path / name, options_of(kind, **options))
        (file,) = made.manifest["files"]
        path = made.folder / file["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        rows = (
            pq.read_table(path).to_pylist()
            if path.suffix == ".parquet"
            else [json.loads(x) for x in path.read_text().split("\n")[:-1]]
        )
        assert len(rows) == file["rows"] == made.funnel.rows
        return made, rows

    return run_export


def test_a_rated_answer_becomes_a_kto_row(land, run) -> None:
    prompt = [{"role": "system", "content": "Be brief."}, U("Hi"), A("Hello."), U("Capital of France?")]
    land([completion("a", messages=prompt, policy="acme@1"), completion("b", "Capital of Spain?", "Rome.")])
    land([thumb("a", "up", 5, "r1"), thumb("a", "up", 9, "r2"), thumb("a", "down", 7, "r3"), thumb("b", "down")])

    made, rows = run("kto")

    row = next(row for row in rows if row["label"])
    assert list(row)[:3] == ["prompt", "completion", "label"]
    assert row == {
        "prompt": prompt,
        "completion": [A("Paris.")],
        "label": True,
        "example_id": hashlib.sha256(b"kto\0demo\0a").hexdigest(),
        "conversation_id": "conversation-of-a",
        "source": "thumb",
        "rule": "thumb/1",
        "raters": "human",
        "model": "acme-7b",
        "policy": "acme@1",
        "n_votes": 3,
        "agreement": 0.6667,
        "feedback_ts_ms": 1_795_521_609_000,
    }
    assert made.manifest["labels"] == {
        "desirable": 1,
        "undesirable": 1,
        "majority_share": 0.5,
        "splits": {"train": {"desirable": 1, "undesirable": 1}},
    }
    assert made.manifest["funnel"] == {
        "events_seen": 4,
        "dropped": dict.fromkeys(made.funnel.dropped, 0),
        "events_used": 4,
        "by_source": {"thumb": {"seen": 4, "used": 4}},
        "rows": 2,
    }


def test_a_decided_pick_becomes_a_pair(land, run) -> None:
    land([completion("a", text="Paris.", model="m1"), completion("b", text="Lyon.", model="m2")])
    land([event("comparison", comparison_id="x", completion_ids=["b", "a"], conversation_id="k")])
    land([event("pick", 3, target_id="x", outcome="winner", winner_id="a", strength=4, scale=5)])

    made, (row,) = run("pairs")

    assert row == {
        "prompt": [U("Capital of France?")],
        "chosen": [A("Paris.")],
        "rejected": [A("Lyon.")],
        "example_id": hashlib.sha256(b"pairs\0demo\0pick/1\0x\0r1").hexdigest(),
        "conversation_id": "k",
        "source": "pick",
        "rule": "pick/1",
        "raters": "human",
        "chosen_model": "m1",
        "rejected_model": "m2",
        "chosen_policy": "",
        "rejected_policy": "",
        "n_votes": 1,
        "agreement": 1.0,
        "chosen_position": 2,
        "shown_answers": 2,
        "strength": 4,
        "scale": 5,
        "feedback_ts_ms": 1_795_521_603_000,
    }
    assert made.manifest["wins"]["first_shown"] == {"rate": 0.0, "of": 1}


def test_every_reason_to_leave_a_thumb_out_is_counted_once(land, run) -> None:
    answers = [
        "kept",
        "kept2",
        "split",
        "superseded",
        "retracted",
        "model",
        "withdrawn",
        "greeting",
        "empty",
        "image",
        "denied",
        "private",
    ]
    special = {
        "greeting": {"messages": [{"role": "system", "content": "x"}]},
        "empty": {"response": A(" \n ")},
        "image": {
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]
        },
        "private": {"author": "someone"},
    }
    land([completion(name, text=f"answer {name}", **special.get(name, {})) for name in answers])
    land([thumb("kept", "up"), thumb("kept2", "down"), thumb("split", "up"), thumb("split", "down", rater="r2")])
    land(
        [
            thumb("superseded", "up"),
            thumb("superseded", "retracted", 5),
            thumb("retracted", "down"),
            thumb("retracted", "retracted", 1),
        ]
    )
    land([thumb("model", "up", rater="x") | {"rater": {"id": "judge", "kind": "model"}}, thumb("nowhere", "up")])
    land([thumb(name, "up") for name in ("greeting", "empty", "image", "private")])
    land([thumb("denied", "up", training_consent="denied"), thumb("withdrawn", "up", rater="leaver")])
    land([event("consent", 9, rater={"id": "leaver"}, training_consent="denied")])
    land([event("consent", 9, rater={"id": "someone"}, training_consent="denied")])

    made, rows = run("kto")

    assert {name: count for name, count in made.funnel.dropped.items() if count} == {
        "superseded": 2,
        "retracted": 2,
        "orphan": 1,
        "raters": 1,
        "vote_consent": 2,
        "answer_consent": 1,
        "images": 1,
        "prompt_end": 1,
        "empty": 1,
        "no_majority": 2,
    }
    assert made.funnel.seen == sum(made.funnel.dropped.values()) + made.funnel.used
    assert sorted(row["completion"][0]["content"] for row in rows) == ["answer kept", "answer kept2"]

    everyone, _ = run("kto", "any", consent="any")
    assert everyone.funnel.rows == 5


def test_every_reason_to_leave_a_pick_out_is_counted_once(land, run) -> None:
    land(
        [completion(name, text=f"answer {name}") for name in "abc"]
        + [completion("same", text="answer a"), completion("other", "Another?")]
    )
    pairs = {
        "ok": ["a", "b"],
        "tie": ["a", "b"],
        "bad": ["a", "b"],
        "skip": ["a", "b"],
        "same": ["a", "same"],
        "other": ["a", "other"],
        "half": ["a", "not-come"],
        "foreign": ["b", "c"],
    }
    land([event("comparison", comparison_id=name, completion_ids=ids) for name, ids in pairs.items()])
    outcomes = {"tie": "tie", "bad": "both_bad", "skip": "skip"}
    land(
        [
            event("pick", target_id=n, outcome=outcomes.get(n, "winner"), winner_id=None if n in outcomes else "a")
            for n in pairs
        ]
    )
    land([event("pick", target_id="never-come", outcome="winner", winner_id="a")])

    made, rows = run("pairs")

    assert {k: v for k, v in made.funnel.dropped.items() if v} == {
        "tie": 1,
        "both_bad": 1,
        "skip": 1,
        "orphan": 2,
        "not_shown": 1,
        "different_prompts": 1,
        "identical": 1,
    }
    assert made.funnel.seen == 9
    assert len(rows) == 1


def test_of_many_answers_the_winner_meets_one_other_that_the_seed_draws(land, run) -> None:
    land([completion(f"a{i}", text=f"answer {i}") for i in range(5)])
    land([event("comparison", comparison_id=f"x{n}", completion_ids=[f"a{i}" for i in range(5)]) for n in range(40)])
    land([event("pick", target_id=f"x{n}", outcome="winner", winner_id="a0") for n in range(40)])
    _, rows = run("pairs")
    _, again = run("pairs", "again")
    _, other = run("pairs", "other", seed=1)
    drawn = [row["rejected"][0]["content"] for row in rows]
    assert set(drawn) == {f"answer {i}" for i in range(1, 5)}
    assert rows == again
    assert {r["example_id"]: r["rejected"] for r in rows} != {r["example_id"]: r["rejected"] for r in other}


def test_text_parts_are_joined_and_the_developer_is_the_system(land, run) -> None:
    messages = [
        {"content": "Be brief.", "role": "developer"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}], "name": "x"},
    ]
    land(
        [
            completion("a", messages=messages, response={"role": "assistant", "content": "Yo", "refusal": None}),
            thumb("a", "up"),
        ]
    )
    _, (row,) = run("kto", allow_one_label=True)
    assert row["prompt"] == [{"role": "system", "content": "Be brief."}, U("Hi!")]
    assert row["completion"] == [A("Yo")]


def test_json_lines_and_parquet_hold_equal_rows(land, run) -> None:
    some_events(land)
    _, lines = run("kto", "lines")
    _, table = run("kto", "table", format="parquet")
    assert lines == table


def test_the_same_snapshot_gives_the_same_bytes_whatever_happened_since(url, tmp_path: Path) -> None:
    """After a restart, a compaction, expired snapshots, new events, and another order of landing."""
    draw = _events(60) + _more_events(60)
    hashes = []
    for name, events in (("one", draw), ("two", draw[::-1])):
        where = WarehouseUrl.parse(f"ducklake:{tmp_path}/{name}/catalog.sqlite")
        store = DuckLakeStore(where, StoreSettings(keep_files_s=0))
        step = max(1, len(events) // 7)
        for start in range(0, len(events), step):
            store.land(LOG, [records(events[start : start + step], start)])
        load = store._db.execute("SELECT load_id FROM head").fetchone()[0]
        hashes.append(_hash(where, tmp_path / f"{name}-before", load))
        store.compact()
        store.land(LOG, [records([thumb("a0", "down", 99, "late")], len(events))])
        store.compact()
        store.close()
        hashes.append(_hash(where, tmp_path / f"{name}-after", load))
        assert _hash(where, tmp_path / f"{name}-other", load + 1) != hashes[-1]
    assert len(set(hashes)) == 1


def test_the_whole_folder_is_repeatable(land, run) -> None:
    some_events(land)
    folders = [run("pairs", name)[0].folder for name in ("one", "two")]
    contents = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders]
    assert contents[0] == contents[1]
    papers = {"README.md", "manifest.json", "data/train.jsonl", "recipes/trl_dpo.py"}
    assert {str(p) for p in contents[0]} == papers


def test_asking_for_the_last_snapshot_by_its_number_gives_the_same_folder(land, run) -> None:
    some_events(land)
    one, _ = run("kto", "one")
    two, _ = run("kto", "two", snapshot=one.manifest["snapshot"]["load_id"])
    assert (one.folder / "manifest.json").read_bytes() == (two.folder / "manifest.json").read_bytes()
    assert (one.folder / "README.md").read_bytes() == (two.folder / "README.md").read_bytes()


def test_neighbours_share_neither_prompt_nor_completion(land, run) -> None:
    land([completion(f"a{i}", prompt=f"question {i % 4}", text=f"answer {i % 3}") for i in range(60)])
    land([thumb(f"a{i}", ["up", "down"][i % 2]) for i in range(60)])
    made, rows = run("kto")
    for one, other in pairwise(rows):
        assert one["completion"] != other["completion"]
        assert one["prompt"] != other["prompt"]
    assert made.manifest["order"] == {
        "by": "shuffled",
        "equal_completion_neighbours": 0,
        "equal_prompt_neighbours": 0,
    }


def test_one_label_is_refused_unless_allowed(land, run) -> None:
    land([completion("a"), thumb("a", "up")])
    with pytest.raises(OneLabelOnly, match="--allow-one-label"):
        run("kto")
    assert run("kto", allow_one_label=True)[0].funnel.rows == 1


def test_nothing_to_export_shows_the_funnel_and_leaves_nothing_behind(land, run, tmp_path: Path) -> None:
    land([completion("a"), thumb("a", "up", training_consent="unknown")])
    with pytest.raises(NothingToExport, match="vote_consent"):
        run("kto")
    assert not [p for p in tmp_path.iterdir() if p.name != "warehouse"]


def test_a_folder_that_is_there_is_not_overwritten(land, run, tmp_path: Path) -> None:
    some_events(land)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ExportError, match="there already"):
        run("kto")


def test_without_metadata_only_the_trainers_columns_are_written(land, run) -> None:
    some_events(land)
    _, rows = run("pairs", metadata=False)
    assert {tuple(row) for row in rows} == {("prompt", "chosen", "rejected")}


def _events(count: int) -> list[dict[str, Any]]:
    events = [completion(f"a{i}", prompt=f"question {i // 2}", text=f"answer {i}") for i in range(count)]
    events += [thumb(f"a{i}", ["up", "down"][i // 3 % 2], i % 5, f"r{n}") for i in range(count) for n in range(i % 3)]
    events += [
        event("comparison", comparison_id=f"x{i}", completion_ids=[f"a{i}", f"a{i + 1}"]) for i in range(0, count, 2)
    ]
    events += [
        event("pick", target_id=f"x{i}", outcome="winner", winner_id=f"a{i + i // 2 % 2}") for i in range(0, count, 2)
    ]
    return events


def _more_events(count: int) -> list[dict[str, Any]]:
    """What else rows can be made of."""
    own = {"role": "assistant", "content": "my own words"}
    events = [event("edit", target_id=f"a{i}", response=own, rater={"id": f"e{i}"}) for i in range(0, count, 9)]
    events += [event("signal", target_id=f"a{i}", name="regenerate", rater={"id": "s"}) for i in range(0, count, 5)]
    for i in range(0, count, 2):
        events += [event("rating", target_id=f"a{i + n}", score=1 + 4 * n, rater={"id": "rates"}) for n in range(2)]
        ranks = [[f"a{i}"], [f"a{i + 1}"]]
        events.append(event("ranking", target_id=f"x{i}", ranks=ranks, rater={"id": "ranks"}))
    return events


def some_events(land) -> None:
    land(_events(30))


def _hash(url: WarehouseUrl, folder: Path, snapshot: int) -> str:
    kinds = {
        "kto": {"test": 0.3},
        "pairs": {"nway": "all", "format": "parquet"},
        "reward": {"test": 0.2, "by": "rater"},
        "sft": {"profile": "llamafactory"},
        "prompts": {"max_per_conversation": 1},
    }
    made = [export(url, folder / kind, options_of(kind, snapshot=snapshot, **more)) for kind, more in kinds.items()]
    return "/".join(m.manifest["data_sha256"] + str(m.manifest["funnel"]) for m in made)
