"""A fresh warehouse and a way to land events in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.events import records
from thumbline_warehouse.store import DuckLakeStore, Landed
from thumbline_warehouse.urls import WarehouseUrl

LOG = "log-1"
Land = Callable[[Sequence[dict[str, Any] | bytes]], Landed]


@pytest.fixture
def url(tmp_path: Path) -> WarehouseUrl:
    return WarehouseUrl.parse(f"ducklake:{tmp_path}/warehouse/catalog.sqlite")


@pytest.fixture
def store(url: WarehouseUrl) -> Iterator[DuckLakeStore]:
    made = DuckLakeStore(url)
    yield made
    made.close()


@pytest.fixture
def land(store: DuckLakeStore) -> Land:
    """Land events one load after the other, from one partition."""

    def land_next(events: Sequence[dict[str, Any] | bytes], project: str = "demo") -> Landed:
        first = store.positions(LOG).get(0, 0)
        return store.land(LOG, [records(events, first, project=project)])

    return land_next


@pytest.fixture
def query(store: DuckLakeStore) -> Callable[[str], list[tuple[Any, ...]]]:
    return lambda sql: store._db.execute(sql).fetchall()
