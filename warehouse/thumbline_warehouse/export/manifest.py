"""The papers of an export: `manifest.json`, the dataset card and what the profile's reader needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from thumbline._version import __version__

from . import profiles
from .contributions import RULES
from .exported import SCHEMA_VERSION
from .filters import policies
from .order import Order
from .planning import Planned
from .writer import File


@dataclass(frozen=True)
class Facts:
    """What is known of an export when its files are written."""

    planned: Planned
    orders: Mapping[str, Order]
    files: Sequence[File]
    columns: dict[str, str]
    statistics: dict[str, Any]


def manifest(db: duckdb.DuckDBPyConnection, facts: Facts) -> dict[str, Any]:
    """
    What was exported, from what, and what was left out.

    Holds no time of its own: the same snapshot and options give the same manifest, byte for byte.
    """
    planned = facts.planned
    options = planned.options
    found = facts.statistics
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": options.kind,
        "profile": planned.profile.name,
        "format": planned.settings.format,
        "tool": {"name": "thumbline", "version": __version__},
        "options": options.as_dict(),
        "resolved": {"policies": policies(db, options.filters)} if options.filters.on_policy else {},
        "snapshot": asdict(planned.snapshot),
        "funnel": planned.funnel.as_dict(),
        "steps": {step.name: step.why for step in planned.steps},
        "rules_known": {rule.name: rule.says for rule in RULES if rule.name in _names(found["rules"])},
        "refused_by_reader": planned.refused,
        "has_tools_or_images": planned.settings.rich,
        **found,
        "order": _order(options.output.order, facts.orders),
        "split": {**options.split.model_dump(mode="json"), "rows": _rows(facts), "shared": planned.shared},
        "privacy": {"consent": options.filters.consent, "raters": "pseudonymous ids only; none is on a row"},
        "features": facts.columns,
        "files": [asdict(file) for file in facts.files],
        "data_sha256": hashlib.sha256("".join(file.sha256 for file in facts.files).encode()).hexdigest(),
    }


def to_json(content: dict[str, Any]) -> str:
    """JSON as it is written: indented, UTF-8, with a line break at the end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def papers_of(planned: Planned, content: dict[str, Any]) -> dict[str, str]:
    """Path inside the export -> text of what the profile's reader needs beside the data."""
    labels = content.get("labels")
    suggested = content.get("suggested", {})
    facts = profiles.Facts(
        kind=planned.options.kind,
        format=planned.settings.format,
        files=tuple((file["split"], file["path"]) for file in content["files"]),
        rows=content["split"]["rows"],
        settings=planned.settings,
        labels={name: labels[name] for name in ("desirable", "undesirable")} if labels else None,
        desirable_weight=suggested.get("desirable_weight", 1.0),
        undesirable_weight=suggested.get("undesirable_weight", 1.0),
    )
    return planned.profile.papers(facts)


def card(content: dict[str, Any]) -> str:
    """The dataset card: what `datasets.load_dataset(FOLDER)` reads, and a summary for people."""
    files = "\n".join(f"  - split: {file['split']}\n    path: {file['path']}" for file in content["files"])
    funnel = content["funnel"]
    dropped = "\n".join(
        f"| {name}: {content['steps'].get(name, '')} | {count:,} |"
        for name, count in funnel["dropped"].items()
        if count
    )
    features = profiles.features_of_types(content["features"])
    # Told, not guessed: what is absent from the first 10 MB of JSON Lines could not come later. JSON is YAML.
    told = (
        f"dataset_info:\n- config_name: {content['kind']}-{content['data_sha256'][:12]}\n  features: {json.dumps(features)}\n"
        if features
        else ""
    )
    # `datasets` keys its cache by the folder's name and this block: a name of the content keeps it from
    # answering with the rows of an earlier export.
    return f"""---
configs:
- config_name: {content["kind"]}-{content["data_sha256"][:12]}
  data_files:
{files}
{told}---
# {content["kind"]}: {funnel["rows"]:,} rows

Exported by thumbline {content["tool"]["version"]} from events up to load {content["snapshot"]["load_id"]}
({content["snapshot"]["first_event"]} to {content["snapshot"]["last_event"]}), for {content["profile"]}.
{_balance(content)}
{", ".join(f"{split} {rows:,}" for split, rows in content["split"]["rows"].items())} rows; {funnel["events_used"]:,} of {funnel["events_seen"]:,} events used.

| left out | events |
| --- | ---: |
{dropped or "| nothing | 0 |"}

`manifest.json` holds the options, the whole funnel, figures on balance, raters, models, position and length,
and the hashes of the files.
"""


def _balance(content: dict[str, Any]) -> str:
    if "labels" not in content:
        return ""
    labels, suggested = content["labels"], content["suggested"]
    return (
        f"\nDesirable {labels['desirable']:,}, undesirable {labels['undesirable']:,}; suggested weights "
        f"{suggested['desirable_weight']} and {suggested['undesirable_weight']}.\n"
    )


def _rows(facts: Facts) -> dict[str, int]:
    return {split: len(order.rows) for split, order in facts.orders.items()}


def _order(name: str, orders: Mapping[str, Order]) -> dict[str, Any]:
    if name == "none":
        return {"by": "none"}
    return {
        "by": "shuffled",
        "equal_completion_neighbours": sum(order.equal_completions or 0 for order in orders.values()),
        "equal_prompt_neighbours": sum(order.equal_prompts or 0 for order in orders.values()),
    }


def _names(rules: Mapping[str, int]) -> set[str]:
    return {name for joined in rules for name in joined.split("+")}
