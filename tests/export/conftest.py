"""What tests of exports share."""

from __future__ import annotations

from typing import Any

from tests.warehouse.conftest import land, query, store, url  # noqa: F401 - fixtures
from thumbline_warehouse.export import ExportOptions, Filters, Output, Rules, Split

GROUPS = {"filters": Filters, "rules": Rules, "split": Split, "output": Output}


def options_of(kind: str, **flat: Any) -> ExportOptions:
    """Options from names alone, whatever group they belong to: `options_of("kto", min_votes=3, format="parquet")`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        owner = next((group for group, model in GROUPS.items() if name in model.model_fields and name not in ExportOptions.model_fields), None)
        if owner is None:
            nested[name] = value
        else:
            nested.setdefault(owner, {})[name] = value
    return ExportOptions.model_validate({"kind": kind, **nested})
