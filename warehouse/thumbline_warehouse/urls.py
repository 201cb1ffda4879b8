"""From a warehouse's URL to where its catalog and its files are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

_FORMS: Final = "ducklake:PATH, ducklake:sqlite:PATH or ducklake:postgres:CONNECTION?data_path=FOLDER"
# What begins like this names a kind of catalog; a path that does is written with a slash: ./a:b.sqlite.
_KIND: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True)
class WarehouseUrl:
    """
    Where a DuckLake is.

    Attributes:
        catalog: what follows `ducklake:` in DuckDB's ATTACH, e.g. `sqlite:/srv/warehouse/catalog.sqlite`.
        data_path: the folder of the Parquet files.
    """

    catalog: str
    data_path: str

    @classmethod
    def parse(cls, url: str) -> WarehouseUrl:
        """
        Read `ducklake:[sqlite:]PATH[?data_path=FOLDER]`.

            ducklake:warehouse/catalog.sqlite  ->  sqlite:<absolute>/warehouse/catalog.sqlite, files beside it
            ducklake:postgres:dbname=lake?data_path=/srv/files

        Raises:
            ValueError: another kind of URL, of catalog or of setting; or a PostgreSQL catalog without `data_path`.
        """
        if not url.startswith("ducklake:"):
            raise ValueError(f"THUMBLINE_WAREHOUSE: a warehouse is {_FORMS}")
        catalog, _, query = url.removeprefix("ducklake:").partition("?")
        data_path = _data_path(query)
        kind = _KIND.match(catalog)
        if kind is not None and kind[1] == "postgres":
            if not data_path:
                raise ValueError("THUMBLINE_WAREHOUSE: a PostgreSQL catalog needs ?data_path=FOLDER")
            return cls(catalog, data_path)
        if kind is not None and kind[1] != "sqlite":
            raise ValueError(f"THUMBLINE_WAREHOUSE: '{kind[1]}:' is no catalog of a warehouse; there are {_FORMS}")
        name = catalog.removeprefix("sqlite:")
        if not name:
            raise ValueError(f"THUMBLINE_WAREHOUSE: the catalog has no path; there are {_FORMS}")
        # Links and `..` are followed once, here: SQLite's lock files and the data must be of the same folder.
        path = Path(name).resolve()
        return cls(f"sqlite:{path}", str(Path(data_path).resolve()) if data_path else str(path.parent / "data"))

    @property
    def catalog_file(self) -> Path | None:
        """The catalog's file, where it is one."""
        return Path(self.catalog.removeprefix("sqlite:")) if self.catalog.startswith("sqlite:") else None


def _data_path(query: str) -> str:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError(f"THUMBLINE_WAREHOUSE: what follows '?' is no setting; there are {_FORMS}") from None
    for name, value in options.items():
        if name != "data_path":
            raise ValueError(f"THUMBLINE_WAREHOUSE: '{name}' is no setting; there is data_path")
        if not value:
            raise ValueError("THUMBLINE_WAREHOUSE: data_path is empty; it is the folder of the Parquet files")
        kind = _KIND.match(value)
        if kind is not None:
            raise ValueError(f"THUMBLINE_WAREHOUSE: data_path '{kind[1]}:' is no folder of this machine")
    return options.get("data_path", "")
