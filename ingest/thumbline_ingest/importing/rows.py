"""What the readers hand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .refused import Refused


@dataclass(frozen=True)
class Row:
    """
    One value of a file, or why it could not be read.

    Attributes:
        place: where it stands: `votes.jsonl:17` (a line) or `votes.parquet row 17`.
        value: what stands there.
        problem: why it could not be read; None where it could.
    """

    place: str
    value: Any = None
    problem: Refused | None = None
