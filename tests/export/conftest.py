"""What tests of exports share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.conftest import land, query, store, url  # noqa: F401 - fixtures
from thumbline_warehouse.export import Export, ExportOptions, Filters, Output, Rules, Split, export
from thumbline_warehouse.urls import WarehouseUrl

GROUPS = {"filters": Filters, "rules": Rules, "split": Split, "output": Output}


def options_of(kind: str, **flat: Any) -> ExportOptions:
    """Options from names alone, whatever group they belong to: `options_of("kto", min_votes=3, format="parquet")`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        owner = next(
            (
                group
                for group, model in GROUPS.items()
                if name in model.model_fields and name not in ExportOptions.model_fields
            ),
            None,
        )
        if owner is None:
            nested[name] = value
        else:
            nested.setdefault(owner, {})[name] = value
    return ExportOptions.model_validate({"kind": kind, **nested})


@pytest.fixture
def make(url: WarehouseUrl, tmp_path: Path) -> Callable[..., Export]:  # noqa: F811
    """Export with flat options into a new folder; every export's funnel adds up."""
    made: list[Export] = []

    def make_export(kind: str, **options: Any) -> Export:
        one = export(url, tmp_path / f"{kind}-{len(made)}", options_of(kind, **options))
        made.append(one)
        funnel = one.funnel
        assert funnel.seen == funnel.used + sum(funnel.dropped.values())
        assert funnel.rows == sum(file["rows"] for file in one.manifest["files"])
        return one

    return make_export


def answer_of(row: dict[str, Any], side: str = "completion") -> str:
    """The text of a row's answer."""
    return str(row[side][0]["content"])
