"""Real human picks through the whole pipeline, counted at the end against the source."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.conftest import Start, Up
from tests.processes import run, wait_for

REPLAY = Path(__file__).parent.parent.parent / "examples" / "replay_pairs.py"


# Exports of the same votes; of each, the funnel adds up.
VARIANTS = (
    ("kto", "--unpair-picks"),
    ("kto", "--unpair-picks", "--min-votes", "3", "--min-agreement", "0.8", "--split", "test=0.1"),
    ("kto", "--unpair-picks", "--max-per-rater", "20", "--balance", "1"),
    ("pairs", "--min-votes", "3", "--min-agreement", "0.8"),
    ("pairs", "--conflicts", "majority", "--min-votes", "3", "--min-agreement", "0.8"),
    ("pairs", "--max-per-rater", "20", "--max-per-prompt", "50"),
    ("reward", "--split", "test=0.1", "--split-by", "rater"),
)


def replay(up: Up, votes: Path, *options: str) -> None:
    command = [sys.executable, str(REPLAY), str(votes), "--url", up.url, "--key", up.key, *options]
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    wait_for(lambda: up.status()["lag"] == 0, 60, "all landed")


def counts(up: Up) -> tuple[int, ...]:
    results = dict(up.ask("SELECT result, count(*) FROM pick_results GROUP BY ALL"))
    ((raters, models, comparisons),) = up.ask(
        "SELECT (SELECT count(DISTINCT rater_id) FROM picks), (SELECT count(DISTINCT model) FROM completions), "
        "(SELECT count(*) FROM comparisons)"
    )
    return results["first"], results["second"], results["tie"], raters, models, comparisons


def test_every_answer_comparison_and_pick_arrives_once(
    start: Start, log_settings, real_votes: Path, tmp_path: Path
) -> None:
    up = start(**log_settings)
    expected = (2_911, 2_549, 3_471, 124, 59, 2_139)

    replay(up, real_votes)
    assert counts(up) == expected
    landed = up.status()
    assert (landed["landed"], landed["orphaned"], landed["quarantined"], landed["duplicate"]) == (11_820, 0, 0, 0)

    replay(up, real_votes)
    assert counts(up) == expected
    again = up.status()
    assert (again["landed"], again["conflict"]) == (11_820, 0)
    assert again["duplicate"] == again["sent"] - 11_820

    # The same votes, under the same ids, into another project: another world.
    other = replace(up, key=run(up.home, "keys", "create", "--project", "other").stdout.strip())
    replay(other, real_votes)
    assert up.ask("SELECT project, count(*) FROM picks GROUP BY ALL ORDER BY ALL") == [
        ("demo", 8_931),
        ("other", 8_931),
    ]
    assert up.ask("SELECT project, count(*) FROM pick_results GROUP BY ALL ORDER BY ALL") == [
        ("demo", 8_931),
        ("other", 8_931),
    ]
    assert (up.status()["landed"], up.status()["conflict"]) == (2 * 11_820, 0)
    for project in ("demo", "other"):
        run(up.home, "export", "pairs", "--project", project, "--out", str(tmp_path / project), **up.settings)
    assert texts_of_export(tmp_path / "demo" / "data" / "train.jsonl") == texts_of_export(
        tmp_path / "other" / "data" / "train.jsonl"
    )

    run(up.home, "export", "pairs", "--project", "demo", "--out", str(tmp_path / "pairs"), **up.settings)
    manifest = json.loads((tmp_path / "pairs" / "manifest.json").read_text())
    source = texts_of_source(real_votes)
    with_empty = sum(count for (_, *answers), count in source.items() if not all(text.strip() for text in answers))
    dropped = {name: count for name, count in manifest["funnel"]["dropped"].items() if count}
    assert dropped == {"tie": 3_471, "empty": with_empty}
    assert manifest["funnel"]["events_seen"] == 8_931
    # 5,460 decided picks before filters; a trainer would learn nothing from an empty answer but to stop.
    assert manifest["funnel"]["rows"] + with_empty == 5_460
    exported = texts_of_export(tmp_path / "pairs" / "data" / "train.jsonl")
    assert exported == Counter({k: n for k, n in source.items() if all(text.strip() for text in k[1:])})
    assert manifest["raters"]["distinct"] == 124
    assert 0.4 < manifest["wins"]["first_shown"]["rate"] < 0.65
    for number, flags in enumerate(VARIANTS):
        run(up.home, "export", *flags, "--project", "demo", "--out", str(tmp_path / str(number)), **up.settings)
        funnel = json.loads((tmp_path / str(number) / "manifest.json").read_text())["funnel"]
        assert funnel["events_seen"] == 8_931 == funnel["events_used"] + sum(funnel["dropped"].values())
        assert funnel["rows"] > 0
        run(up.home, "export", "verify", str(tmp_path / str(number)))


def test_votes_may_come_before_their_answers_and_long_after(start: Start, real_votes: Path) -> None:
    up = start()
    replay(up, real_votes, "--votes-first", "--votes-after-s", "3600")
    assert counts(up)[:3] == (2_911, 2_549, 3_471)
    assert up.ask("SELECT count(*) FROM orphans") == [(0,)]
    ((between,),) = up.ask(
        "SELECT min(date_diff('minute', c.occurred_at, p.occurred_at)) FROM pick_results p "
        "JOIN completions c ON c.completion_id = p.first_id"
    )
    assert between >= 59


def texts_of_export(path: Path) -> Counter[tuple[str, str, str]]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        rows = [json.loads(line) for line in lines]
    return Counter((r["prompt"][0]["content"], r["chosen"][0]["content"], r["rejected"][0]["content"]) for r in rows)


def texts_of_source(folder: Path) -> Counter[tuple[str, str, str]]:
    with (folder / "pairs-crowd.jsonl").open(encoding="utf-8", newline="\n") as lines:
        pairs = {str(row["id"]): row for row in map(json.loads, lines)}
    texts: Counter[tuple[str, str, str]] = Counter()
    with (folder / "crowd-comparisons.csv").open(newline="", encoding="utf-8") as file:
        for vote in csv.DictReader(file):
            pair = pairs[vote["id"]]
            sides = {"left": ("result_x", "result_y"), "right": ("result_y", "result_x")}.get(vote["winner"])
            if sides:
                texts[pair["text"], pair[sides[0]], pair[sides[1]]] += 1
    assert texts.total() == 5_460
    return texts


@pytest.mark.parametrize("kind", ["kto", "pairs"])
def test_the_sample_of_the_demo_exports_both_kinds(start: Start, tmp_path: Path, kind: str) -> None:
    up = start()
    run(up.home, "sample", "--url", up.url, "--key", up.key)
    wait_for(lambda: up.status()["sent"] > 0 and up.status()["lag"] == 0, what="all landed")
    run(up.home, "export", kind, "--out", str(tmp_path / kind), "--format", "parquet")
    manifest = json.loads((tmp_path / kind / "manifest.json").read_text())
    assert manifest["funnel"]["rows"] > 20
