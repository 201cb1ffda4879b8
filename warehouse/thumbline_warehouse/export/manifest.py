"""The papers of an export: `manifest.json` and the dataset card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import duckdb

from thumbline._version import __version__

from .funnel import Funnel
from .options import ExportOptions
from .order import Order
from .snapshot import Snapshot
from .writer import File

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class Facts:
    """What is known of an export when its files are written."""

    options: ExportOptions
    snapshot: Snapshot
    funnel: Funnel
    order: Order
    files: Sequence[File]
    columns: dict[str, str]


def manifest(db: duckdb.DuckDBPyConnection, facts: Facts) -> dict[str, Any]:
    """
    What was exported, from what, and what was left out.

    Holds no time of its own: the same snapshot and options give the same manifest, byte for byte.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": facts.options.kind,
        "profile": "trl",
        "format": facts.options.format,
        "tool": {"name": "thumbline", "version": __version__},
        "options": facts.options.model_dump(),
        "snapshot": asdict(facts.snapshot),
        "funnel": facts.funnel.as_dict(),
        "labels": _labels(db, facts.options),
        "order": {
            "equal_completion_neighbours": facts.order.equal_completions,
            "equal_prompt_neighbours": facts.order.equal_prompts,
        },
        "empty_answers": _empty_answers(db, facts.options),
        "models": _models(db, facts.options),
        "features": facts.columns,
        "files": [asdict(file) for file in facts.files],
    }


def to_json(content: dict[str, Any]) -> str:
    """JSON as it is written: indented, UTF-8, with a line break at the end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def card(content: dict[str, Any]) -> str:
    """The dataset card: what `datasets.load_dataset(FOLDER)` reads, and a summary for people."""
    files = "\n".join(f"    path: {file['path']}" for file in content["files"])
    dropped = "\n".join(f"| {name} | {count:,} |" for name, count in content["funnel"]["dropped"].items() if count)
    labels = content["labels"]
    balance = f"\nDesirable {labels['desirable']:,}, undesirable {labels['undesirable']:,}.\n" if labels else ""
    # `datasets` keys its cache by the folder's name and this block: a name of the content keeps it from
    # answering with the rows of an earlier export.
    return f"""---
configs:
- config_name: {content["kind"]}-{content["files"][0]["sha256"][:12]}
  data_files:
  - split: train
{files}
---
# {content["kind"]}: {content["funnel"]["rows"]:,} rows

Exported by thumbline {content["tool"]["version"]} from events up to load {content["snapshot"]["load_id"]}
({content["snapshot"]["first_event"]} to {content["snapshot"]["last_event"]}), in TRL's conversational form.
{balance}
| left out | events |
| --- | ---: |
{dropped or "| nothing | 0 |"}

`manifest.json` holds the options, the whole funnel and the hashes of the files.
"""


def _labels(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> dict[str, Any]:
    if options.kind != "kto":
        return {}
    up, total = db.execute("SELECT count(*) FILTER (label), count(*) FROM plan").fetchone() or (0, 0)
    down = total - up
    return {"desirable": up, "undesirable": down, "majority_share": round(max(up, down) / max(1, total), 4)}


def _empty_answers(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> dict[str, int]:
    if options.kind != "pairs":
        return {}
    chosen, rejected = db.execute(
        "SELECT count(*) FILTER (is_chosen_empty), count(*) FILTER (is_rejected_empty) FROM plan"
    ).fetchone() or (0, 0)
    return {"chosen": chosen, "rejected": rejected}


def _models(db: duckdb.DuckDBPyConnection, options: ExportOptions) -> list[dict[str, Any]]:
    model = "model" if options.kind == "kto" else "chosen.model"
    rows = db.execute(f"SELECT {model} AS name, count(*) FROM plan GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
    return [{"name": name, "rows": count} for name, count in rows]
