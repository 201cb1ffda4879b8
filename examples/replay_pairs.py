"""
Replay human A/B picks from files through the SDK: every answer, comparison and pick of a data set.

    python examples/replay_pairs.py FOLDER --url http://localhost:8400 --key KEY

FOLDER holds `pairs-crowd.jsonl` (comparisons: id, text, model_x, result_x, model_y, result_y),
`crowd-comparisons.csv` (picks: id, worker, winner = left, right or tie; left is model x),
`models.jsonl` (id, api_id) and, if there, `results.jsonl` (model, prompt, duration in ms).

Each event's id is made from the data set's own ids, so a second replay adds nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import thumbline

# The data has no times: answers are dated to one day, picks to the next.
_ANSWERED_AT = datetime(2023, 10, 1, tzinfo=timezone.utc)


def main() -> int:
    """Send everything; the exit status says whether all of it arrived."""
    options = _options()
    votes_shift = timedelta(seconds=options.votes_after_s)
    client = thumbline.Client(
        options.url,
        key=options.key,
        pepper="replay",
        app="replay",
        training_consent="granted",
        max_queue_bytes=256 * 1024 * 1024,
    )
    with client as tl:
        steps: list[Callable[[], None]] = [
            lambda: _send_answers(tl, options.folder),
            lambda: _send_votes(tl, options.folder, votes_shift),
        ]
        for step in reversed(steps) if options.votes_first else steps:
            step()
        arrived = tl.flush(timeout=120)
        stats = tl.stats()
    print(f"{stats.created:,} events: {stats.accepted:,} accepted, {stats.duplicate:,} there already")
    return 0 if arrived and stats.accepted + stats.duplicate == stats.created else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--votes-first", action="store_true", help="send the votes before what they are about")
    parser.add_argument("--votes-after-s", type=float, default=86_400, help="event time between answers and picks")
    return parser.parse_args()


def _send_answers(tl: thumbline.Client, folder: Path) -> None:
    models = {row["id"]: row["api_id"] for row in _lines(folder / "models.jsonl")}
    latencies = _latencies(folder / "results.jsonl")
    for number, (answer_id, row, side) in enumerate(_answers(folder)):
        model = row[f"model_{side}"]
        tl.completion(
            messages=[{"role": "user", "content": row["text"]}],
            response=row[f"result_{side}"],
            model=models[model],
            completion_id=answer_id,
            event_id=f"replay/answer/{answer_id}",
            latency_ms=latencies.get((model, row["prompt"])),
            occurred_at=_ANSWERED_AT + timedelta(milliseconds=number),
        )


def _send_votes(tl: thumbline.Client, folder: Path, shift: timedelta) -> None:
    for row in _lines(folder / "pairs-crowd.jsonl"):
        answers = [_answer_id(row, side) for side in "xy"]
        tl.comparison(
            answers,
            order=answers,
            comparison_id=str(row["id"]),
            event_id=f"replay/comparison/{row['id']}",
            occurred_at=_ANSWERED_AT + shift,
        )
    pairs = {str(row["id"]): row for row in _lines(folder / "pairs-crowd.jsonl")}
    with (folder / "crowd-comparisons.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            winner = {"left": "x", "right": "y"}.get(row["winner"])
            tl.pick(
                row["id"],
                thumbline.Answer(_answer_id(pairs[row["id"]], winner)) if winner else "tie",
                rater=f"worker-{row['worker']}",
                event_id=f"replay/pick/{row['id']}/{row['worker']}",
                occurred_at=_ANSWERED_AT + shift,
            )


def _answers(folder: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each distinct answer once: (id, the comparison that it is read from, its side)."""
    seen: set[str] = set()
    for row in _lines(folder / "pairs-crowd.jsonl"):
        for side in "xy":
            answer_id = _answer_id(row, side)
            if answer_id not in seen:
                seen.add(answer_id)
                yield answer_id, row, side


def _answer_id(row: dict[str, Any], side: str) -> str:
    return f"prompt-{row['prompt']}-model-{row[f'model_{side}']}"


def _latencies(path: Path) -> dict[tuple[int, int], float]:
    return {(row["model"], row["prompt"]): row["duration"] for row in _lines(path)} if path.exists() else {}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
