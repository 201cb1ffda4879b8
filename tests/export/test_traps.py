"""What readers of files do silently: none of it can happen to an export."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.json
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.events import completion, event, thumb
from tests.export.conftest import answer_of
from thumbline_warehouse.export import BadOption, verify
from thumbline_warehouse.export.dates import dated_columns

DATES = (
    "2026-11-24",
    "2026-11-24T10:00",
    "2026-11-24 10:00:00",
    "2026-11-24T10:00:00.123Z",
    "2026-11-24T10:00:00+02:00",
)


def rated(land, answers: list[str], **fields) -> None:
    land([completion(f"a{i}", f"question {i}", text, **fields) for i, text in enumerate(answers)])
    land([thumb(f"a{i}", ["up", "down"][i % 2]) for i in range(len(answers))])


@pytest.mark.parametrize("date", DATES)
def test_texts_that_all_look_like_times_are_refused_in_json_lines_and_kept_in_parquet(land, make, date: str) -> None:
    rated(land, [date, date.replace("24", "25")])
    with pytest.raises(BadOption, match="completion.content"):
        make("kto")
    assert {answer_of(row) for row in make("kto", format="parquet").rows()} == {date, date.replace("24", "25")}


def test_one_other_text_is_enough(land, make) -> None:
    rated(land, [*DATES, "not a time"])
    assert make("kto").funnel.rows == len(DATES) + 1


def test_metadata_that_looks_like_times_is_refused_too(land, make) -> None:
    rated(land, ["one", "two"], policy="2026-11-24")
    with pytest.raises(BadOption, match="policy.*--no-metadata"):
        make("kto")
    assert make("kto", metadata=False).funnel.rows == 2


@given(
    blocks=st.lists(
        st.lists(st.sampled_from(["2026-11-24", "2026-11-24T10:00:00Z", "x", ""]), min_size=1, max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_times_are_found_where_arrow_finds_them(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[str]]
) -> None:
    """Against the reader that `datasets` uses, block by block."""
    path: Path = tmp_path_factory.mktemp("dates") / "rows.jsonl"
    lines = [json.dumps({"a": {"b": text}}) for block in blocks for text in block]
    path.write_text("".join(line + "\n" for line in lines))
    inferred = "timestamp" in str(pyarrow.json.read_json(path).schema.field("a").type)
    assert bool(dated_columns(path)) == inferred


def test_every_block_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ["plain"] * 10 + ["2026-11-24"] * 30
    path.write_text("".join(json.dumps({"a": text}) + "\n" for text in texts))
    assert dated_columns(path, block=100) == {"a"}
    assert dated_columns(path) == set()


def test_strange_characters_survive_both_formats(land, make) -> None:
    texts = [
        "nul \0 in it",
        "line\u2028sep\u2029\x85",
        "emoji \U0001f600 \u00e9",
        'quote " back \\ slash \\u0000',
        "tab\tnew\nline",
    ]
    rated(land, texts)
    for format_ in ("jsonl", "parquet"):
        made = make("kto", format=format_)
        assert {answer_of(row) for row in made.rows()} == set(texts)
        assert verify(made.folder) == []


def test_the_card_names_each_file_once_and_types_for_every_column(land, make) -> None:
    rated(land, [f"answer {i}" for i in range(20)])
    made = make("kto", test=0.4)
    card = (made.folder / "README.md").read_text()
    head = card.split("---\n")[1]
    for split in made.splits:
        assert head.count(f"split: {split}\n    path: data/{split}.jsonl") == 1
    assert "num_examples" not in card
    features = json.loads(next(line for line in head.splitlines() if "features:" in line).partition("features: ")[2])
    assert [feature["name"] for feature in features] == list(next(made.rows()))


def test_a_folder_holds_one_format_and_no_empty_file(land, make) -> None:
    rated(land, [f"answer {i}" for i in range(12)])
    for format_ in ("jsonl", "parquet"):
        made = make("kto", format=format_, test=0.4)
        files = list((made.folder / "data").iterdir())
        assert {path.suffix for path in files} == {f".{format_}"}
        assert all(path.stat().st_size for path in files)


def test_tool_calls_survive_with_their_arguments_apart(land, make) -> None:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("weather", "time")
    ]
    for i, arguments in enumerate(['{"city": "Paris"}', '{"zone": "CET"}']):
        call = {"id": f"c{i}", "type": "function", "function": {"name": ["weather", "time"][i], "arguments": arguments}}
        asked = [
            {"role": "user", "content": f"question {i}"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{i}", "content": "21"},
        ]
        land([completion(f"a{i}", text=f"answer {i}", messages=asked, tools=tools)])
        land([completion(f"b{i}", messages=asked[:1], response=asked[1] | {"content": None}, tools=tools)])
        land([thumb(f"a{i}", "up"), thumb(f"b{i}", "down")])
    land([completion("plain", "no tools here", "plain answer"), thumb("plain", "up")])
    for format_ in ("jsonl", "parquet"):
        made = make("kto", format=format_)
        assert verify(made.folder) == []
        rows = list(made.rows())
        assert len(rows) == 5
        called = {
            message["tool_calls"][0]["function"]["arguments"]
            for row in rows for message in [*row["prompt"], *row["completion"]] if message.get("tool_calls")
        }  # fmt: skip
        assert called == {'{"city": "Paris"}', '{"zone": "CET"}'}
        assert {row["tools"] for row in rows} == {"null", json.dumps(tools)}
    assert make("kto", profile="axolotl", allow_one_label=True).funnel.dropped["tools"] == 4


def test_an_answer_that_was_given_tools_does_not_lose_them(land, make) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    land([completion("a", tools=tools), completion("b", text="Lyon."), thumb("a", "up"), thumb("b", "down")])
    assert {row["tools"] for row in make("kto").rows()} == {json.dumps(tools), "null"}


def test_images_are_counted_out_unless_asked_for_and_carried_in_parquet(land, make) -> None:
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    for name, url in (("held", pixel), ("remote", "https://example.com/x.png")):
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        land([completion(name, text=f"{name} image", messages=[{"role": "user", "content": parts}]), thumb(name, "up")])
    land([completion("plain", text="no image"), thumb("plain", "down")])
    assert make("kto", allow_one_label=True).funnel.dropped["images"] == 2
    with pytest.raises(BadOption, match="Parquet"):
        make("kto", images=True)
    made = make("kto", images=True, format="parquet")
    assert made.funnel.dropped["reader"] == 1
    assert verify(made.folder) == []
    assert any("image" in problem for problem in made.manifest["refused_by_reader"])
    rows = {answer_of_parts(row): row for row in made.rows()}
    assert rows["held image"]["images"][0]["bytes"].startswith(b"\x89PNG")
    assert rows["no image"]["images"] == []


def answer_of_parts(row) -> str:
    content = row["completion"][0]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def test_other_parts_are_carried_by_nobody(land, make) -> None:
    parts = [{"type": "input_audio", "input_audio": {"data": "x"}}]
    land([completion("a", messages=[{"role": "user", "content": parts}]), thumb("a", "up")])
    land([completion("b", text="fine"), thumb("b", "down")])
    assert make("kto", allow_one_label=True, profile="trl").funnel.dropped["parts"] == 1


def test_parquet_has_the_types_that_old_readers_know(land, make) -> None:
    rated(land, ["one", "two"])
    schema = str(pq.read_schema(make("kto", format="parquet").path()))
    assert "large" not in schema


def test_an_interrupted_export_leaves_nothing(land, make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thumbline_warehouse.export import run

    def broken(*_args, **_more):
        raise OSError(28, os.strerror(28))

    rated(land, ["one", "two"])
    monkeypatch.setattr(run, "write_ordered", broken)
    with pytest.raises(OSError, match="No space"):
        make("kto")
    assert not [path for path in tmp_path.iterdir() if path.name != "warehouse"]


def test_rules_by_a_pick_with_an_empty_answer_are_left_out(land, make) -> None:
    land([completion("a", text=""), completion("b", text="something"), completion("c", text="better")])
    for name, ids in (("x", ["a", "b"]), ("y", ["b", "c"])):
        land([event("comparison", comparison_id=name, completion_ids=ids)])
        land([event("pick", target_id=name, outcome="winner", winner_id=ids[1])])
    made = make("pairs")
    assert made.funnel.dropped["empty"] == 1
    assert made.funnel.rows == 1
