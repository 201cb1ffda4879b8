"""Formats, and what is broken in them: one bad value costs no other."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.importing.helpers import lines, take
from thumbline_ingest.importing import InputFile, NotImportable, Refused, instant, jsontext
from thumbline_ingest.importing.jsontext import read_values

VOTE = {"prompt": "q", "answer": "a", "label": 1}


def values_of(path: Path) -> list[Any]:
    return [row.value if row.problem is None else str(row.problem) for row in InputFile.open(path).rows()]


def places_of(path: Path) -> list[str]:
    return [row.place for row in InputFile.open(path).rows()]


@pytest.mark.parametrize(
    ("name", "content", "values", "places"),
    [
        ("a.jsonl", b'{"a":1}\n\n  \n{"a":2}', [{"a": 1}, {"a": 2}], ["a.jsonl:1", "a.jsonl:4"]),
        ("a.jsonl", b'\xef\xbb\xbf{"a":1}\r\n{"a":2}\r\n', [{"a": 1}, {"a": 2}], ["a.jsonl:1", "a.jsonl:2"]),
        ("a.json", b'{"a":1}\n{"a":2}\n', [{"a": 1}, {"a": 2}], ["a.json:1", "a.json:2"]),
        ("a.json", b'[{"a":1},\n\n{"a":2}]', [{"a": 1}, {"a": 2}], ["a.json:1", "a.json:3"]),
        ("a.json", b"\xef\xbb\xbf [ ]", [], []),
        ("a.json", b'{\n"a":1\n}\n{\n"a":2\n}', [{"a": 1}, {"a": 2}], ["a.json:1", "a.json:4"]),
        ("a.json", b"", [], []),
        ("a.jsonl", b"\xef\xbb\xbf\n\n", [], []),
        ("a.csv", b'a,b\n1,\n\n"x\ny",2\n', [{"a": "1", "b": None}, {"a": "x\ny", "b": "2"}], ["a.csv:2", "a.csv:5"]),
        ("a.csv", b"\xef\xbb\xbfa;b\n1;2\n", [{"a": "1", "b": "2"}], ["a.csv:2"]),
        ("a.tsv", b"a\tb\n1\t2\n", [{"a": "1", "b": "2"}], ["a.tsv:2"]),
        (
            "a.csv",
            b'a\n"[{""role"": ""user"", ""content"": ""q""}]"\n[1]\n',
            [{"a": [{"role": "user", "content": "q"}]}, {"a": "[1]"}],
            ["a.csv:2", "a.csv:3"],
        ),
        ("a.csv", b"", [], []),
        ("a.csv", b"a,b\n", [], []),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_formats(tmp_path: Path, name: str, content: bytes, values: list[Any], places: list[str], packed: bool) -> None:
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    assert values_of(path) == values
    assert places_of(path) == [place.replace(name, path.name) for place in places]


def test_parquet_rows_are_numbered_over_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "votes.parquet"
    rows = [VOTE | {"prompt": f"q{i}"} for i in range(2_500)]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=700)
    assert values_of(path) == rows
    assert places_of(path)[-1] == "votes.parquet row 2500"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b'{"prompt": "q", "answer": ', "record: is not valid JSON"),
        (b'{"prompt": "q\xff", "answer": "a", "label": 1}', "record: is not valid UTF-8"),
        (b'{"prompt": "q", "prompt": "r", "answer": "a", "label": 1}', "record: has a key twice in one object"),
        (b"[1]", "record: must be an object"),
        (b'"text"', "record: must be an object"),
        (b"[" * 100_000 + b"]" * 100_000, "record: is nested too deep"),
        (b'{"prompt": "q", "answer": "a", "label": NaN}', "label: is no label"),
        (b'{"prompt": "q", "answer": "' + b"x" * 1_000_000 + b'", "label": 1}', "completion event: is larger than"),
        (b'{"prompt": "q", "answer": "a", "label": 1, "id": 1' + b"0" * 5_000 + b"}", "record: is not valid JSON"),
    ],
)
@pytest.mark.parametrize("form", ["lines", "array"])
def test_one_bad_record_costs_no_other(tmp_path: Path, bad: bytes, why: str, form: str) -> None:
    good = [json.dumps(VOTE | {"prompt": f"q{i}"}).encode() for i in range(3)]
    if form == "array" and bad.endswith(b": "):
        # In an array the end of a record without its bracket cannot be found: one with its bracket, then.
        bad += b"}"
    path = tmp_path / ("votes.jsonl" if form == "lines" else "votes.json")
    content = b"\n".join([good[0], bad, good[1], good[2]])
    path.write_bytes(content if form == "lines" else b"[" + content.replace(b"\n", b",\n") + b"]")
    taken = take(path, "thumbs")
    assert (taken.report.taken, taken.report.refused) == (3, 1)
    ((found, reason),) = taken.report.reasons.items()
    assert found.startswith(why)
    assert reason.examples == [f"{path.name}:2"]


def test_text_that_no_database_can_hold_costs_no_record(tmp_path: Path) -> None:
    """It is replaced, cut or left out, and the report says in which fields."""
    path = tmp_path / "votes.jsonl"
    path.write_bytes(
        b"\n".join(
            [
                b'{"prompt": "q \\ud800", "answer": "a", "label": 1, "comment": "' + b"x" * 20_000 + b'"}',
                b'{"prompt": "q \\u0000", "answer": "a", "label": 1}',
                b'{"prompt": [{"role": "user", "content": "q", "w": NaN}], "answer": "a", "label": 1}',
            ]
        )
    )
    taken = take(path, "thumbs")
    assert (taken.report.taken, taken.report.refused) == (3, 0)
    assert [one["messages"] for one in taken.of("completion")] == [
        [{"role": "user", "content": text}] for text in ("q \ufffd", "q \ufffd", "q")
    ]
    assert taken.report.changed == {"completion messages": 3, "thumb comment": 1}
    assert "fields were changed so that they could be kept: completion messages 3, thumb comment 1" in str(taken.report)


@pytest.mark.parametrize(
    ("content", "taken", "why"),
    [
        (b'[{"a":1}, {"a":2', 1, "a value has no end"),
        (b'[{"a":1}, {"a":2}', 2, "the array has no end"),
        (b'[{"a":1}, "x', 1, "a value has no end"),
        (b'{"a"\n:1}}\n{"a":2}', 1, "a bracket closes what was never opened"),
    ],
)
def test_an_array_that_is_cut_short_gives_what_came_before(
    tmp_path: Path, content: bytes, taken: int, why: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    found = values_of(path)
    assert len(found) == taken + 1
    assert why in found[-1]


def test_a_gzip_file_that_is_cut_short_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl.gz"
    whole = gzip.compress(
        b"".join(json.dumps(VOTE | {"prompt": f"{i * 7919}"}).encode() + b"\n" for i in range(200_000))
    )
    path.write_bytes(whole[: len(whole) // 2])
    rows = list(InputFile.open(path).rows())
    assert len(rows) > 1_000
    assert [row.problem for row in rows[:-1]] == [None] * (len(rows) - 1)
    assert "cut short" in str(rows[-1].problem)


def test_csv_rows_of_another_width_bad_bytes_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_bytes(b"prompt,answer,label\nq,a,1\nq,a\nq,a,1,2\nq\xff,a,1\nq,b,down\n")
    taken = take(path, "thumbs")
    assert [thumb["value"] for thumb in taken.of("thumb")] == ["up", "up", "down"]
    assert taken.reasons == {
        "record: has 2 cells, but there are 3 columns": 1,
        "record: has 4 cells, but there are 3 columns": 1,
    }
    assert taken.report.changed == {"completion messages": 1}


@pytest.mark.parametrize("name", ["votes.csv", "votes.parquet"])
def test_json_that_somebody_wrote_stays_text_in_a_table(tmp_path: Path, name: str) -> None:
    """Models answer in JSON too; only a list of messages is one."""
    texts = ['{"a": 1}', "[1, 2]", "[]", '[{"a": 1}]', "{not json", '{"role": "x"}']
    path = tmp_path / name
    if name.endswith("csv"):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["prompt", "answer", "label"], *([text, text, 1] for text in texts)])
    else:
        pq.write_table(pa.Table.from_pylist([{"prompt": text, "answer": text, "label": 1} for text in texts]), path)
    answers = take(path, "thumbs").of("completion")
    assert [answer["response"]["content"] for answer in answers] == texts
    assert [answer["messages"][0]["content"] for answer in answers] == texts


def test_lists_of_a_ranking_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "ranks.csv"
    path.write_text('prompt,answers,ranks\nq,"[""a"", ""b""]","[2, 1]"\nq,a,1\n')
    taken = take(path, "rankings")
    assert (len(taken.of("ranking")), taken.reasons) == (1, {"answers: must be a list": 1})


@pytest.mark.parametrize("name", ["votes.csv", "votes.parquet"])
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("question,answer,label\nq,a,1\n")
    else:
        pq.write_table(pa.Table.from_pylist([{"question": "q", "answer": "a", "label": 1}]), path)
    with pytest.raises(NotImportable, match="no column 'prompt' for map 'thumbs'; there are: question, answer, label"):
        take(path, "thumbs")


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", b"hello"), ("a.parquet", b"PAR1 and nothing more"), ("a.gz", b"\x1f\x8bnothing")]
)
def test_a_file_that_is_nothing_known_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotImportable):
        take(path, "thumbs")


def test_types_that_json_has_not_get_their_plain_form_beside_the_text(tmp_path: Path) -> None:
    path = tmp_path / "votes.parquet"
    rows = [{"prompt": b"q", "answer": "a", "label": 1}, {"prompt": b"r", "answer": "a", "label": 1}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert take(path, "thumbs").reasons == {"prompt: must be text or a list of messages": 2}
    messages = [{"role": "user", "content": "q", "image": b"png"}]
    pq.write_table(pa.Table.from_pylist([{"prompt": messages, "answer": "a", "label": 1}]), path)
    [answer] = take(path, "thumbs").of("completion")
    assert answer["messages"] == [{"role": "user", "content": "q", "image": "png"}]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(_JSON, max_size=8), st.sampled_from([None, 1]), st.integers(1, 9), st.booleans())
def test_an_array_is_cut_where_a_json_parser_would(
    elements: list[Any], indent: int | None, chunk: int, ascii_: bool
) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii_).encode()
    whole, jsontext._CHUNK = jsontext._CHUNK, chunk
    try:
        found = [row.value for row in read_values(io.BytesIO(text), "f")]
    finally:
        jsontext._CHUNK = whole
    assert found == elements


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for prefix in (b"[", b"{", b""):
        rows = list(read_values(io.BytesIO(prefix + content), "f"))
        assert all(row.place for row in rows)
    assert all(row.place for row in jsontext.read_lines(io.BytesIO(content), "f"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_764_000_000, "2025-11-24T16:00:00Z"),
        (1_764_000_000.25, "2025-11-24T16:00:00.250000Z"),
        ("1764000000", "2025-11-24T16:00:00Z"),
        (1_764_000_000_123, "2025-11-24T16:00:00.123000Z"),
        (1_764_000_000_123_456, "2025-11-24T16:00:00.123456Z"),
        (1_764_000_000_123_456_789, "2025-11-24T16:00:00.123456Z"),
        ("2025-11-24T16:00:00Z", "2025-11-24T16:00:00Z"),
        ("2025-11-24 17:00:00.5+01:00", "2025-11-24T16:00:00.500000Z"),
        ("2025-11-24 16:00:00.123000", "2025-11-24T16:00:00.123000Z"),
        ("2025-11-24", "2025-11-24T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        ({"$date": {"$numberLong": "1764000000123"}}, "2025-11-24T16:00:00.123000Z"),
    ],
)
def test_times(value: Any, expected: str) -> None:
    assert instant(value, "t") == expected


@pytest.mark.parametrize(
    "value", [-1, True, "", "soon", "2025-13-01", "1969-12-31", float("nan"), 10**30, [], {}, "9" * 400]
)
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(Refused, match="must be a time from 1970 to 2999"):
        instant(value, "t")


def test_a_record_of_any_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "MAX_RECORD_BYTES", 1_000)
    monkeypatch.setattr(jsontext, "_CHUNK", 100)
    huge = json.dumps({"prompt": "x" * 5_000}).encode()
    path = lines(tmp_path, VOTE, huge, VOTE)
    assert take(path, "thumbs").report.taken == 2
    array = tmp_path / "a.json"
    array.write_bytes(b'[{"a":1},' + huge + b"]")
    assert "larger than" in values_of(array)[-1]
