"""A finished export, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from .convert import read_lines
from .errors import ExportError
from .funnel import Funnel
from .options import ExportOptions

if TYPE_CHECKING:
    import datasets

_ROWS_PER_BATCH = 1_000


@dataclass(frozen=True)
class Export:
    """
    A finished export.

        >>> for row in Export(Path("data/kto")).rows():
        ...     row["prompt"], row["completion"], row["label"]

    Attributes:
        folder: where it lies.
    """

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """
        What is in its `manifest.json`.

        Raises:
            ExportError: there is none, or it is of a newer version.
        """
        return read_manifest(self.folder / "manifest.json")

    @property
    def options(self) -> ExportOptions:
        """What it was made with; gives the same export again."""
        return ExportOptions.model_validate(self.manifest["options"])

    @property
    def funnel(self) -> Funnel:
        """What was left out; printed, it has one line a step."""
        return Funnel.from_dict(self.manifest["funnel"])

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have rows, `train` first."""
        return tuple(file["split"] for file in self.manifest["files"])

    def path(self, split: str = "train") -> Path:
        """The file of a split."""
        for file in self.manifest["files"]:
            if file["split"] == split:
                return self.folder / str(file["path"])
        raise ExportError(f"{self.folder} has no split {split}: it has {', '.join(self.splits)}")

    def rows(self, split: str = "train") -> Iterator[dict[str, Any]]:
        """
        The rows of a split as plain dicts, in order, without holding them all.

            {"prompt": [{"role": "user", "content": "Hi"}], "completion": [...], "label": True, ...}
        """
        path = self.path(split)
        if path.suffix == ".jsonl":
            yield from read_lines(path)
        elif path.suffix == ".json":
            yield from json.loads(path.read_text(encoding="utf-8"))
        else:
            for batch in pq.ParquetFile(path).iter_batches(_ROWS_PER_BATCH):
                yield from batch.to_pylist()

    def to_arrow(self, split: str = "train") -> pa.Table:
        """The rows of a split as an Arrow table."""
        path = self.path(split)
        return pq.read_table(path) if path.suffix == ".parquet" else pa.Table.from_pylist(list(self.rows(split)))

    def to_dataset(self, split: str = "train") -> datasets.Dataset:
        """
        The rows of a split as a `datasets.Dataset`.

        Raises:
            ImportError: `datasets` is not installed.
        """
        import datasets

        return datasets.Dataset(self.to_arrow(split))

    def example_ids(self, split: str = "train") -> Iterator[str]:
        """The `example_id` of each row of a split, in order."""
        beside = self.folder / "example_ids" / f"{split}.txt"
        if beside.exists():
            yield from beside.read_text(encoding="ascii").split("\n")[:-1]
        else:
            for row in self.rows(split):
                yield row["example_id"]


def read_manifest(path: Path) -> dict[str, Any]:
    """
    A manifest.

    Raises:
        ExportError: it is not there, or not one that this version knows.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ExportError(f"{path}: schema_version {version} is not {SCHEMA_VERSION}, the one that this version reads")
    return dict(content)


SCHEMA_VERSION = 2
