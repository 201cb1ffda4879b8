"""What to export and how."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["kto", "pairs"]
Format = Literal["jsonl", "parquet"]


class ExportOptions(BaseModel):
    """
    Options of one export; the manifest holds them verbatim.

        ExportOptions(kind="kto", format="parquet", seed=7)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Kind
    """`kto`: one row a rated answer. `pairs`: one row a decided pick."""
    format: Format = "jsonl"
    """`jsonl` or `parquet`; a folder holds one."""
    seed: int = Field(default=0, ge=0)
    """Draws the order of the rows, and the opponent where more than two answers were shown."""
    project: str | None = None
    """Only this project's events."""
    consent: Literal["granted", "any"] = "granted"
    """`granted`: only what raters and authors gave for training. `any`: all of it; the manifest says so."""
    snapshot: int | None = Field(default=None, ge=0)
    """Only events up to this load; the last one when left out."""
    metadata: bool = True
    """Whether rows carry flat columns beside what the trainer reads."""
    allow_one_label: bool = False
    """`kto`: export although all rows have the same label."""
