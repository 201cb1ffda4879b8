"""
Is a finished export what its manifest says, and what its reader takes? Needs neither warehouse nor trainer.

Rows are read one after the other, so that memory does not grow with them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from .errors import ExportError
from .exported import Export
from .filters import profile_settings
from .profiles import PROFILES, Row
from .writer import describe

# More of one kind are counted, not told.
_EXAMPLES: Final = 3


@dataclass
class _Seen:
    """What was met in the rows so far, as hashes of eight bytes."""

    examples: Counter[bytes] = field(default_factory=Counter)
    conversations: dict[bytes, set[str]] = field(default_factory=dict)
    prompts: dict[bytes, set[str]] = field(default_factory=dict)
    labels: Counter[bool] = field(default_factory=Counter)
    equal_neighbours: int = 0


def verify(folder: str | Path) -> list[str]:
    """
    Every way in which an export is not what it should be, as sentences; empty when it is fine.

    Args:
        folder: the export.

    Raises:
        ExportError: there is no manifest that this version reads.
    """
    made = Export(Path(folder))
    problems = [*_files(made)]
    if problems:
        return problems
    seen = _Seen()
    counted: Counter[str] = Counter()
    for split in made.splits:
        for problem in _rows(made, split, seen):
            counted[problem] += 1
            if counted[problem] <= _EXAMPLES:
                problems.append(problem)
    return [*problems, *_sets(made, seen), *_card(made)]


def _files(made: Export) -> Iterator[str]:
    listed = {file["path"]: file for file in made.manifest["files"]}
    if not listed:
        yield "files: the manifest lists none"
    for path, file in listed.items():
        full = made.folder / path
        if not full.is_file():
            yield f"{path} is missing"
            continue
        found = describe(full, made.folder, file["split"], file["rows"])
        if found.sha256 != file["sha256"]:
            yield f"{path} has changed: its SHA-256 is {found.sha256}, the manifest says {file['sha256']}"
        if not file["rows"]:
            yield f"{path} has no rows: `datasets` refuses an empty split"
    total = hashlib.sha256("".join(file["sha256"] for file in listed.values()).encode()).hexdigest()
    if total != made.manifest["data_sha256"]:
        yield "data_sha256 does not fit the files"
    for path in sorted((made.folder / "data").glob("*")):
        if str(path.relative_to(made.folder)) not in listed:
            yield f"{path.relative_to(made.folder)} is not in the manifest; a loader of the folder might take it for rows"


def _rows(made: Export, split: str, seen: _Seen) -> Iterator[str]:
    profile = PROFILES[made.manifest["profile"]]
    settings = replace(
        profile_settings(made.options, profile),
        format=made.manifest["format"],
        rich=made.manifest["has_tools_or_images"],
        split=split,
    )
    path = made.path(split).relative_to(made.folder)
    count = 0
    before: bytes | None = None
    try:
        for number, row in enumerate(made.rows(split)):
            count += 1
            for problem in profile.problems(row, settings):
                yield f"{path}, row {number}: {problem}"
            answer = _hash(_answer_of(row))
            seen.equal_neighbours += answer == before
            before = answer
            _note(row, split, seen, _prompt_of(row, made.manifest["kind"]))
    except (ValueError, OSError, ExportError) as error:
        yield f"{path}, row {count}: cannot be read: {error}"
    expected = next(file["rows"] for file in made.manifest["files"] if file["split"] == split)
    if count != expected:
        yield f"{path} has {count} rows, the manifest says {expected}"
    ids = sum(1 for _ in made.example_ids(split)) if (made.folder / "example_ids").exists() else expected
    if ids != expected:
        yield f"example_ids/{split}.txt has {ids} lines for {expected} rows"


def _note(row: Row, split: str, seen: _Seen, prompt: Any) -> None:
    if row.get("example_id"):
        seen.examples[_hash(row["example_id"])] += 1
    if row.get("conversation_id"):
        seen.conversations.setdefault(_hash(row["conversation_id"]), set()).add(split)
    seen.prompts.setdefault(_hash(prompt), set()).add(split)
    if isinstance(row.get("label"), bool):
        seen.labels[row["label"]] += 1


def _sets(made: Export, seen: _Seen) -> Iterator[str]:
    content = made.manifest
    twice = sum(1 for count in seen.examples.values() if count > 1)
    if twice:
        yield f"{twice} example_ids are there more than once"
    if content["split"]["by"] == "conversation":
        for name, found in (("conversations", seen.conversations), ("prompts", seen.prompts)):
            leaks = sum(1 for splits in found.values() if len(splits) > 1)
            if leaks:
                yield f"{leaks} {name} are in more than one split"
    labels = content.get("labels")
    if (
        labels
        and seen.labels
        and (seen.labels[True], seen.labels[False]) != (labels["desirable"], labels["undesirable"])
    ):
        yield f"labels: {seen.labels[True]} desirable and {seen.labels[False]} undesirable, the manifest says {labels}"
    if content["kind"] == "kto" and len(seen.labels) == 1 and not made.options.allow_one_label:
        yield "all rows have the same label"
    known = content["order"].get("equal_completion_neighbours")
    if content["kind"] == "kto" and known is not None and seen.equal_neighbours > known:
        yield f"{seen.equal_neighbours} rows have the completion of the row before; KTO takes that as its mismatch"


def _card(made: Export) -> Iterator[str]:
    text = (made.folder / "README.md").read_text(encoding="utf-8") if (made.folder / "README.md").exists() else ""
    for file in made.manifest["files"]:
        if f"path: {file['path']}\n" not in text:
            yield f"README.md does not list {file['path']}: `datasets` would not find it"


def _answer_of(row: Row) -> Any:
    if "messages" in row:
        return row["messages"][-1:] if isinstance(row["messages"], list) else row["messages"]
    return next(
        (row[name] for name in ("completion", "output", "chosen", "preferred_output", "output_A") if name in row), row
    )


def _prompt_of(row: Row, kind: str) -> Any:
    if "prompt" not in row and isinstance(row.get("messages"), list):
        # Some readers want the answer in one list with the prompt.
        return row["messages"] if kind == "prompts" or "chosen" in row else row["messages"][:-1]
    return next((row[name] for name in ("prompt", "input", "context") if name in row), row)


def _hash(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
