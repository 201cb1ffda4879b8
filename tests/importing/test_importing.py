"""What holds for every map: ids that repeat, nobody's raw id, counts that add up, and no record that ends an import."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.importing.helpers import PSEUDONYM, chat, lines, take
from tests.importing.test_sources import SCORE, battle, conversation, feedback
from thumbline.pseudonym import Pseudonymizer
from thumbline_ingest.cli.import_ import collectors_check
from thumbline_ingest.importing import SOURCES, Importer, InputFile, MapOptions, Refused, Stamp, open_map
from thumbline_ingest.importing.record import Record
from thumbline_ingest.log import LogUnavailable
from thumbline_ingest.log.base import Appended
from thumbline_ingest.log.base import Record as LogRecord

PAIR = {"prompt": "q", "chosen": "a", "rejected": "b"}
VOTE = {"prompt": "q", "answer": "a", "label": 1}
SAMPLES: dict[str, dict[str, Any]] = {
    "pairs": PAIR | {"rater": "user-42", "author": "user-43"},
    "thumbs": VOTE | {"rater": "user-42"},
    "ratings": {"prompt": "q", "answer": "a", "score": 1, "scale_min": 0, "scale_max": 2, "rater": "user-42"},
    "rankings": {"prompt": "q", "answers": ["a", "b"], "ranks": [1, 2], "rater": "user-42"},
    "edits": {"prompt": "q", "answer": "a", "edited": "b", "rater": "user-42"},
    "open-webui": feedback(user_id="user-42"),
    "fastchat": battle(judge="user-42"),
    "langfuse": SCORE | {"dataType": "BOOLEAN", "value": 1, "userId": "user-42"},
    "chat-ui": conversation(userId="user-42"),
}


def test_there_is_a_sample_for_every_map() -> None:
    assert SAMPLES.keys() == SOURCES.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_records_again_are_the_same_events(tmp_path: Path, name: str) -> None:
    """Whatever the file, the batch and the options of the second time."""
    first = take(lines(tmp_path, SAMPLES[name], name="one.jsonl"), name)
    again = take(
        lines(tmp_path, dict(reversed(SAMPLES[name].items())), name="two.jsonl"),
        name,
        batch="b-2",
        cohort="other",
        consent="granted",
        occurred_at="2026-01-01T00:00:00Z",
        rater="somebody",
    )
    assert first.ids == again.ids
    assert len(set(first.ids)) == len(first.ids) > 0


@pytest.mark.parametrize("name", SAMPLES)
def test_raw_ids_of_people_are_never_written(tmp_path: Path, name: str) -> None:
    taken = take(lines(tmp_path, SAMPLES[name]), name)
    written = json.dumps(taken.envelopes)
    assert "user-42" not in written
    assert "user-43" not in written
    assert PSEUDONYM("user-42") in written


@pytest.mark.parametrize("name", SAMPLES)
def test_ids_do_not_betray_people(tmp_path: Path, name: str) -> None:
    """Who knows all of a record but the rater must not find the rater by trying names: ids change with the pepper."""
    kinds = ("completion", "comparison")
    path = lines(tmp_path, SAMPLES[name])
    one, other = (take(path, name, pseudonym=Pseudonymizer(pepper)) for pepper in (b"a", b"b"))
    votes = [[event["event_id"] for event in taken.events if event["kind"] not in kinds] for taken in (one, other)]
    assert not set(votes[0]) & set(votes[1])


@pytest.mark.parametrize("name", SAMPLES)
def test_without_a_pepper_people_are_refused_not_written(tmp_path: Path, name: str) -> None:
    taken = take(lines(tmp_path, SAMPLES[name]), name, pseudonym=None)
    assert (taken.report.refused, taken.events) == (1, [])
    assert "THUMBLINE_PEPPER" in next(iter(taken.reasons))


def test_equal_records_without_ids_are_several_opinions_of_nobody_known(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, VOTE, VOTE, VOTE), "thumbs")
    assert len(taken.of("completion")) == 1
    assert len({thumb["event_id"] for thumb in taken.of("thumb")}) == 3
    assert len({thumb["rater"]["id"] for thumb in taken.of("thumb")}) == 3
    # The file again, in another cut: the first two are known, the next is new.
    more = take([lines(tmp_path, VOTE), lines(tmp_path, VOTE, VOTE, VOTE, name="more.jsonl")], "thumbs")
    assert set(taken.ids) < set(more.ids)
    assert len(more.of("thumb")) == 4


def test_a_record_with_an_id_is_one_opinion_however_often_it_stands_there(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, VOTE | {"id": 1}, VOTE | {"id": 1}, VOTE | {"id": 2}), "thumbs")
    assert (taken.report.taken, len(taken.of("thumb"))) == (3, 2)


def test_an_id_that_two_deliveries_share_hides_neither(tmp_path: Path) -> None:
    """Vendors count from 1: the id alone would let the second delivery vanish."""
    one = take(lines(tmp_path, VOTE | {"id": 1}), "thumbs")
    other = take(lines(tmp_path, {"id": 1, "prompt": "x", "answer": "y", "label": 0}), "thumbs")
    assert not set(one.ids) & set(other.ids)


def test_projects_and_maps_do_not_share_events(tmp_path: Path) -> None:
    path = lines(tmp_path, SAMPLES["thumbs"])
    assert not set(take(path, "thumbs").ids) & set(take(path, "thumbs", project="other").ids)


def test_one_answer_id_for_two_texts_is_refused(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, VOTE | {"answer_id": "x"}, VOTE | {"answer_id": "x", "answer": "b"}), "thumbs")
    assert taken.reasons == {"completion id: another one has it, with other content": 1}
    assert taken.one("completion")["response"]["content"] == "a"


def test_what_a_refused_record_brought_first_is_still_written_by_the_next(tmp_path: Path) -> None:
    bad = PAIR | {"rater": "x" * 300}
    taken = take(lines(tmp_path, bad, PAIR), "pairs", rater_kind="model")
    assert (taken.report.taken, taken.report.refused) == (1, 1)
    assert len(taken.of("completion")) == 2


def test_a_refused_record_leaves_nothing_behind(tmp_path: Path) -> None:
    assert take(lines(tmp_path, PAIR | {"rater": "x" * 300}), "pairs", rater_kind="model").events == []


def test_raters_that_are_models_keep_their_names(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, VOTE | {"rater": "judge@3"}, VOTE), "thumbs", rater_kind="model", rater="judge@4")
    assert [thumb["rater"] for thumb in taken.of("thumb")] == [
        {"id": "judge@3", "kind": "model"},
        {"id": "judge@4", "kind": "model"},
    ]


def test_a_rater_for_all_is_hashed_like_any(tmp_path: Path) -> None:
    assert take(lines(tmp_path, VOTE), "thumbs", rater="user-42").one("thumb")["rater"]["id"] == PSEUDONYM("user-42")


def test_a_later_line_of_one_rater_is_the_later_vote(tmp_path: Path) -> None:
    taken = take(lines(tmp_path, VOTE | {"rater": "u"}, VOTE | {"rater": "u", "label": 0}), "thumbs")
    up, down = taken.of("thumb")
    assert up["occurred_at"] == down["occurred_at"]
    assert up["sequence"] < down["sequence"]


def test_examples_of_a_reason_are_few_and_reasons_bounded(tmp_path: Path) -> None:
    many = [{"prompt": "q", "answer": "a", "label": "?"} for _ in range(10)]
    reason = next(iter(take(lines(tmp_path, *many), "thumbs").report.reasons.values()))
    assert (reason.count, reason.examples) == (10, ["votes.jsonl:1", "votes.jsonl:2", "votes.jsonl:3"])
    different = [{"prompt": "q", "answer": "a", f"c{i}": 1} for i in range(500)]
    assert len(take(lines(tmp_path, *different), "thumbs").report.reasons) <= 201


def test_what_people_wrote_does_not_stand_in_the_report(tmp_path: Path) -> None:
    secret = "my-secret-words"
    records = [
        {"prompt": secret, "answer": [secret], "label": 1},
        {"prompt": "q", "answer": "a", "label": secret},
        {"prompt": [{"role": secret, "content": secret}], "answer": "a", "label": 1},
        {f"{secret}!?": secret},
    ]
    assert secret not in str(take(lines(tmp_path, *records), "thumbs").report)


class _Log:
    """A log that does not take everything at once."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self.answers = list(answers)
        self.records: list[LogRecord] = []

    def append(self, records: Sequence[LogRecord]) -> Appended:
        answer = self.answers.pop(0) if self.answers else Appended()
        if isinstance(answer, Exception):
            raise answer
        lost = {*answer.refused, *answer.failed}
        self.records += [record for index, record in enumerate(records) if index not in lost]
        return answer

    def check(self) -> None: ...

    def close(self) -> None: ...


def _importer(log: _Log) -> Importer:
    return Importer(open_map("thumbs", MapOptions()), Stamp("demo", "thumbs", "b"), collectors_check("demo"), log)


def _import_into(log: _Log, path: Path) -> Importer:
    importer = _importer(log)
    importer.run([InputFile.open(path)])
    return importer


def test_what_the_log_fails_to_take_is_tried_again(tmp_path: Path) -> None:
    log = _Log([LogUnavailable("away", 0.0), Appended(failed={1: "away"})])
    report = _import_into(log, lines(tmp_path, VOTE)).report
    assert (report.taken, len(log.records)) == (1, 2)


def test_what_the_log_refuses_is_not_counted_as_taken(tmp_path: Path) -> None:
    log = _Log([Appended(refused={1: "too large"})])
    report = _import_into(log, lines(tmp_path, VOTE)).report
    assert (report.taken, report.refused, sum(report.events.values())) == (0, 1, 1)
    assert list(report.reasons) == ["thumb refused by the log: too large"]


def test_a_log_that_goes_away_ends_the_import_and_the_report_says_how_far_it_came(tmp_path: Path) -> None:
    path = lines(tmp_path, *(VOTE | {"prompt": f"q{i}"} for i in range(600)))
    log = _Log([Appended(), *[LogUnavailable("away", 0.0)] * 9])
    importer = _importer(log)
    with pytest.raises(LogUnavailable):
        importer.run([InputFile.open(path)])
    assert (importer.report.taken, len(log.records)) == (500, 1_000)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    with path.open("w") as file:
        file.write("[")
        for i in range(20_000):
            file.write(("," if i else "") + json.dumps(VOTE | {"prompt": f"q{i}" + "x" * 1_000}))
        file.write("]")
    log = _Log([])
    log.append = lambda records: Appended()  # type: ignore[method-assign]
    tracemalloc.start()
    try:
        assert _import_into(log, path).report.taken == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 20_000_000
    assert peak < 12_000_000


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "\ud800", "\0", "1", "up", "model_a", "BOOLEAN", "2026-11-24", "user", "assistant"])
)
_KEYS = st.sampled_from(
    ["role", "content", "from", "messages", "rating", "chat", "history", "id", "$oid", "scale_min", "x"]
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8
)


def _mutated(sample: Any) -> st.SearchStrategy[Any]:
    """The sample with anything in any place."""
    if isinstance(sample, dict):
        kept = st.fixed_dictionaries({key: _mutated(value) for key, value in sample.items()})
        dropped = st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in sample.items()})
        return st.one_of(kept, dropped, _VALUES)
    if isinstance(sample, list) and sample:
        return st.one_of(st.tuples(*(_mutated(one) for one in sample)).map(list), _VALUES)
    return st.one_of(st.just(sample), st.just(sample), st.just(sample), _VALUES)


@pytest.mark.parametrize("name", SAMPLES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_no_record_ends_an_import(tmp_path: Path, name: str, data: st.DataObject) -> None:
    source = open_map(name, MapOptions())
    columns = dict.fromkeys((*source.required, *source.optional), None)
    sample = {**columns, **SAMPLES[name]}
    records = data.draw(st.lists(_mutated(sample), min_size=1, max_size=4))
    for one in records:
        for value in source.split(one):
            if isinstance(value, dict):
                with contextlib.suppress(Refused):
                    source.drafts(Record(value))
    path = lines(tmp_path, *records, SAMPLES[name])
    taken = take(path, name)
    assert taken.report.records >= len(records) + 1
    # The good one at the end is taken, unless one before it claims its ids for something else.
    assert taken.report.taken >= 1 or any("id: another" in why for why in taken.reasons)
    # What is taken stands the check of an event once more, and every opinion has its answer's id.
    assert len(set(taken.ids)) == len(taken.ids)


def test_answers_met_in_several_maps_and_files_are_one(tmp_path: Path) -> None:
    pair = take(lines(tmp_path, PAIR), "pairs")
    thumb = take(lines(tmp_path, VOTE), "thumbs")
    rated = take(lines(tmp_path, SAMPLES["ratings"]), "ratings")
    same = thumb.one("completion")["completion_id"]
    assert same == rated.one("completion")["completion_id"]
    assert same in {event["completion_id"] for event in pair.of("completion")}
    assert thumb.one("completion")["event_id"] in {event["event_id"] for event in pair.of("completion")}
    other = take(lines(tmp_path, VOTE | {"prompt": chat("q", "x", "y")}), "thumbs")
    assert other.one("completion")["completion_id"] != same
