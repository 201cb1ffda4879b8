"""From a warehouse's URL to where its catalog and its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl


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
            ValueError: another kind of URL, or a catalog that is no file and no `data_path` with it.
        """
        if not url.startswith("ducklake:"):
            raise ValueError(
                "THUMBLINE_WAREHOUSE: a warehouse is ducklake:PATH, e.g. ducklake:warehouse/catalog.sqlite"
            )
        catalog, _, query = url.removeprefix("ducklake:").partition("?")
        options = dict(parse_qsl(query))
        data_path = options.pop("data_path", "")
        if options:
            raise ValueError(f"THUMBLINE_WAREHOUSE: '{next(iter(options))}' is no setting; there is data_path")
        if catalog.startswith("postgres:"):
            if not data_path:
                raise ValueError("THUMBLINE_WAREHOUSE: a PostgreSQL catalog needs ?data_path=FOLDER")
            return cls(catalog, data_path)
        path = Path(catalog.removeprefix("sqlite:")).absolute()
        return cls(f"sqlite:{path}", data_path or str(path.parent / "data"))

    @property
    def catalog_file(self) -> Path | None:
        """The catalog's file, where it is one."""
        return Path(self.catalog.removeprefix("sqlite:")) if self.catalog.startswith("sqlite:") else None
