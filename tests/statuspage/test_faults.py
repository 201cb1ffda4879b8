"""What is broken under the page is a sentence on it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.events import records, thumb
from tests.processes import wait_for
from thumbline_ingest.statuspage.places import Places
from thumbline_ingest.statuspage.settings import StatusPageSettings
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl


def test_a_missing_file_and_a_damaged_log_are_sentences(tmp_path: Path) -> None:
    url = f"ducklake:{tmp_path}/warehouse/catalog.sqlite"
    with closing(DuckLakeStore(WarehouseUrl.parse(url))) as store:
        store.land("log", [records([thumb("a", "up")])])
    (file,) = (tmp_path / "warehouse" / "data").rglob("events/*.parquet")
    file.unlink()
    (tmp_path / "log.sqlite").write_bytes(b"this is no database" * 1_000)
    places = Places(StatusPageSettings(tmp_path, f"sqlite:{tmp_path}/log.sqlite", url))

    wait_for(lambda: bool(places.overview().warehouse.error and places.overview().log.error), 30, "both said")

    seen = places.overview()
    assert seen.warehouse.error.startswith(f"the data file {file}")
    assert "restore it from a copy" in seen.warehouse.error
    assert "is damaged, or no log" in seen.log.error
