"""`thumbline import` as a person meets it, and the whole way: file, log, loader, warehouse, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.importing.helpers import chat, lines
from tests.processes import Process, ask, landed, run, wait_for, wait_until_ready
from thumbline_ingest.ports import free_port

PAIR = {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "Lyon."}
VOTE = {"prompt": "q", "answer": "a", "label": 1}


@pytest.fixture
def known(home: Path) -> Path:
    """A home whose keys know the project `demo`."""
    run(home, "keys", "create", "--project", "demo")
    return home


def status(home: Path) -> dict[str, Any]:
    return dict(json.loads(run(home, "status", "--format", "json").stdout))


def counts(home: Path) -> dict[str, int]:
    return dict(ask(home, "SELECT kind, count(*) FROM events GROUP BY ALL"))


def test_all_taken_is_0_and_says_how_to_land_it(known: Path, tmp_path: Path) -> None:
    done = run(known, "import", str(lines(tmp_path, PAIR)), "--map", "pairs", "--project", "demo")
    assert "1  records" in done.stdout
    assert "taken: 4 events (completion 2, comparison 1, pick 1)" in done.stdout
    assert "training consent: unknown" in done.stdout
    assert "thumbline load --until-empty" in done.stdout
    run(known, "load", "--until-empty")
    assert counts(known) == {"completion": 2, "comparison": 1, "pick": 1}
    assert ask(known, "SELECT DISTINCT properties->>'batch' FROM events") == [("votes",)]


def test_some_refused_is_6_with_place_and_field(known: Path, tmp_path: Path) -> None:
    file = lines(tmp_path, PAIR, {"prompt": "q"}, b"{", PAIR)
    done = run(known, "import", str(file), "--map", "pairs", "--project", "demo", "--consent", "granted", check=False)
    assert done.returncode == 6
    assert "1  chosen: is missing; there are: prompt  [votes.jsonl:2]" in done.stdout
    assert "[votes.jsonl:3]" in done.stdout
    assert "2  could not be taken" in done.stdout
    assert "training consent" not in done.stdout
    run(known, "load", "--until-empty")
    assert counts(known)["pick"] == 2


def test_a_dry_run_reports_the_same_and_writes_nothing(known: Path, tmp_path: Path) -> None:
    command = ["import", str(lines(tmp_path, PAIR, {})), "--map", "pairs", "--project", "demo"]
    dry = run(known, *command, "--dry-run", check=False)
    assert not (known / "log.sqlite").exists()
    wet = run(known, *command, check=False)
    assert (dry.returncode, wet.returncode) == (6, 6)
    assert dry.stdout.splitlines()[:4] == wet.stdout.splitlines()[:4]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--map", "pears"], "'pears' is no map; there are pairs"),
        (["--map", "pairs", "--project", "other"], "no write key is for 'other' (there are demo)"),
        (["--map", "pairs", "--field", "prompt"], "is not NAME=COLUMN"),
        (["--map", "pairs", "--field", "promt=x"], "has no field 'promt'; there are chosen"),
        (["--map", "fastchat", "--field", "winner=x"], "are fixed"),
        (["--map", "ratings", "--scale", "5:1"], "from the lowest to the highest"),
        (["--map", "ratings", "--scale", "five"], "is not MIN:MAX"),
        (["--map", "pairs", "--occurred-at", "yesterday"], "must be a time"),
        (["--map", "pairs", "--rater", "u1"], "set THUMBLINE_PEPPER"),
        (["--map", "pairs", "--cohort", "x" * 300], "1 to 200 characters"),
        (["--map", "pairs", "--format", "parquet"], "is no Parquet file"),
        (["--map", "pairs", "--consent", "perhaps"], "Invalid value"),
        ([], "Missing option '--map'"),
    ],
)
def test_what_cannot_be_meant_is_2_and_writes_nothing(
    known: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = run(known, "import", str(lines(tmp_path, PAIR)), "--project", "demo", *arguments, check=False)
    assert done.returncode == 2, done
    assert says in " ".join(done.stderr.split())
    assert not (known / "log.sqlite").exists()


def test_a_file_that_is_not_there_or_lacks_a_column_is_2(known: Path, tmp_path: Path) -> None:
    common = ("--map", "thumbs", "--project", "demo")
    assert run(known, "import", str(tmp_path / "gone"), *common, check=False).returncode == 2
    good, table = lines(tmp_path, VOTE), tmp_path / "votes.csv"
    table.write_text("question,answer,label\nq,a,1\n")
    done = run(known, "import", str(good), str(table), *common, check=False)
    assert done.returncode == 2
    assert "no column 'prompt' for map 'thumbs'; there are: question, answer, label" in done.stderr
    assert not (known / "log.sqlite").exists()
    run(known, "import", str(table), *common, "--field", "prompt=question")


def test_revoked_keys_name_no_project(known: Path, tmp_path: Path) -> None:
    key_id = run(known, "keys", "list").stdout.split()[0]
    run(known, "keys", "revoke", key_id)
    done = run(known, "import", str(lines(tmp_path, PAIR)), "--map", "pairs", "--project", "demo", check=False)
    assert done.returncode == 2
    assert "thumbline keys create --project demo" in " ".join(done.stderr.split())


def test_people_are_hashed_with_the_clients_pepper_or_that_of_its_key(home: Path, tmp_path: Path) -> None:
    from thumbline.pseudonym import Pseudonymizer, pepper_from_key

    key = run(home, "keys", "create", "--project", "demo").stdout.strip()
    file = lines(tmp_path, VOTE | {"rater": "user-42"})
    command = ("import", str(file), "--map", "thumbs", "--project", "demo")
    run(home, *command, pepper="secret")
    run(home, *command, key=key)
    run(home, "load", "--until-empty")
    raters = {rater for (rater,) in ask(home, "SELECT rater_id FROM thumbs")}
    assert raters == {Pseudonymizer(b"secret")("user-42"), Pseudonymizer(pepper_from_key(key))("user-42")}


def test_votes_without_a_time_never_replace_one_with_a_time(known: Path, tmp_path: Path) -> None:
    timed = VOTE | {"rater": "u", "occurred_at": "2020-01-01T00:00:00Z", "label": 1}
    untimed = VOTE | {"rater": "u", "label": 0}
    common = ("--map", "thumbs", "--project", "demo", "--pepper", "p")
    run(known, "import", str(lines(tmp_path, timed)), *common)
    run(known, "import", str(lines(tmp_path, untimed)), *common)
    run(known, "load", "--until-empty")
    assert ask(known, "SELECT value FROM current_votes") == [("up",)]
    given = ("--occurred-at", "2026-11-24T10:00:00Z")
    run(known, "import", str(lines(tmp_path, untimed | {"comment": "later"})), *common, *given)
    run(known, "load", "--until-empty")
    assert ask(known, "SELECT value FROM current_votes") == [("down",)]


def _pairs(tmp_path: Path) -> Path:
    pairs = [
        {"prompt": chat(f"Question {i}?"), "chosen": f"Good {i}.", "rejected": f"Bad {i}.", "rater": f"u{i}"}
        for i in range(50)
    ]
    return lines(tmp_path, *pairs, {"prompt": "broken"}, name="delivery.jsonl")


@pytest.mark.slow
def test_the_whole_way_and_once_more(known: Path, tmp_path: Path) -> None:
    """Into a running `thumbline up`, twice, and out again as pairs to train on."""
    port = free_port()
    with Process(known, "up", "--port", str(port)):
        wait_until_ready(f"http://127.0.0.1:{port}")
        wait_for(lambda: any(known.glob("loader-*.lock")), what="the loader")
        command = ["import", str(_pairs(tmp_path)), "--map", "pairs", "--project", "demo"]
        command += ["--pepper", "p", "--consent", "granted", "--cohort", "crowd"]
        first = run(known, *command, check=False)
        assert first.returncode == 6
        assert "a loader is running" in first.stdout
        wait_for(lambda: landed(known) == 200, what="landed")
        again = run(known, *command, "--batch", "another-name", check=False)
        assert again.stdout.splitlines()[:2] == first.stdout.splitlines()[:2]
        wait_for(lambda: status(known)["duplicate"] == 200, what="the second import")
    found = status(known)
    assert (found["landed"], found["quarantined"], found["orphaned"], found["lag"]) == (200, 0, 0, 0)
    assert counts(known) == {"completion": 100, "comparison": 50, "pick": 50}
    assert ask(known, "SELECT DISTINCT properties->>'batch', properties->>'cohort' FROM events") == [
        ("delivery", "crowd")
    ]
    assert not [rater for (rater,) in ask(known, "SELECT rater_id FROM picks") if not rater.startswith("h1:")]

    run(known, "export", "pairs", "--out", str(tmp_path / "pairs"))
    rows = [json.loads(line) for line in (tmp_path / "pairs" / "data" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == 50
    for row in rows:
        number = row["prompt"][0]["content"].removeprefix("Question ").removesuffix("?")
        assert row["prompt"] == chat(f"Question {number}?")
        assert row["chosen"] == [{"role": "assistant", "content": f"Good {number}."}]
        assert row["rejected"] == [{"role": "assistant", "content": f"Bad {number}."}]


def test_what_is_not_granted_stays_out_of_exports(known: Path, tmp_path: Path) -> None:
    run(known, "import", str(lines(tmp_path, PAIR)), "--map", "pairs", "--project", "demo")
    run(known, "load", "--until-empty")
    assert run(known, "export", "pairs", "--out", str(tmp_path / "out"), check=False).returncode == 3


def test_help_names_the_exit_status(home: Path) -> None:
    text = " ".join(run(home, "import", "--help").stdout.split())
    assert "Exit status 6: some records could not be taken; 2:" in text
