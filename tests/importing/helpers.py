"""Imports into a log in memory, with the collector's own check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thumbline.pseudonym import Pseudonymizer
from thumbline_ingest.cli.import_ import collectors_check
from thumbline_ingest.importing import Importer, InputFile, MapOptions, Report, Stamp, check_columns, open_map
from thumbline_ingest.log import MemoryLog

PSEUDONYM = Pseudonymizer(b"test")


class Taken:
    """What an import did: its report and the events in the log."""

    def __init__(self, report: Report, log: MemoryLog) -> None:
        self.report = report
        self.envelopes = [json.loads(record.value) for record in log.records]
        self.events: list[dict[str, Any]] = [envelope["event"] for envelope in self.envelopes]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (event,) = self.of(kind)
        return event

    @property
    def ids(self) -> list[str]:
        return sorted(event["event_id"] for event in self.events)

    @property
    def reasons(self) -> dict[str, int]:
        return {why: reason.count for why, reason in self.report.reasons.items()}


def take(path: Path | Sequence[Path], map_name: str, options: MapOptions | None = None, **stamp: Any) -> Taken:
    """Import files."""
    paths = [path] if isinstance(path, Path) else list(path)
    source = open_map(map_name, options or MapOptions())
    settings = {"project": "demo", "source": source.name, "batch": "b-1", "pseudonym": PSEUDONYM} | stamp
    inputs = [InputFile.open(one) for one in paths]
    for file in inputs:
        check_columns(source, file)
    log = MemoryLog()
    report = Importer(source, Stamp(**settings), collectors_check("demo"), log.writer()).run(inputs)
    assert report.records == report.taken + report.empty + report.refused
    assert sum(reason.count for reason in report.reasons.values()) == report.refused
    assert sum(report.events.values()) == len(log.records)
    return Taken(report, log)


def lines(folder: Path, *records: Any, name: str = "votes.jsonl") -> Path:
    """A file of JSON Lines; bytes stand for themselves."""
    path = folder / name
    raw = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in records]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def chat(*turns: str) -> list[dict[str, str]]:
    """Messages, the user first."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]
