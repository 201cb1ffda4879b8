"""
Errors of the warehouse.

    WarehouseError
    ├── WarehouseBusy      the same call may work later
    │   └── WarehouseFull  ... when its disk has room again
    ├── WarehouseDamaged   a file of it is missing or damaged; an operator has to act
    ├── WarehouseDenied    a file of it may not be read or written
    ├── MemoryExceeded     DuckDB may use too little memory for this
    ├── Fenced             somebody else has landed these positions
    ├── LogChanged         the log is not the one that was landed before; an operator has to act
    └── WarehouseOutdated  made by an older version, and not brought up to date yet
"""

from __future__ import annotations

from collections.abc import Mapping


class WarehouseError(Exception):
    """Base of the errors that this package raises by itself."""


class WarehouseBusy(WarehouseError):
    """Another process held the catalog for too long; nothing was changed."""


class WarehouseFull(WarehouseBusy):
    """The disk of catalog or files is full; nothing was changed."""


class WarehouseDamaged(WarehouseError):
    """The catalog or a data file is missing or damaged; the message names it and says what to do."""


class WarehouseDenied(WarehouseError):
    """The catalog may not be read or written by this user."""


class MemoryExceeded(WarehouseError):
    """What was asked for does not fit into the memory that DuckDB may use."""


class Fenced(WarehouseError):
    """
    Another loader has moved these partitions on; nothing was changed.

    Attributes:
        positions: where the warehouse stands, by partition.
    """

    def __init__(self, positions: Mapping[int, int]) -> None:
        super().__init__("another loader has landed these positions")
        self.positions = dict(positions)


class WarehouseOutdated(WarehouseError):
    """An older version has made the warehouse; a loader of this version brings it up to date."""


class LogChanged(WarehouseError):
    """The log was recreated, has lost partitions, or has lost records that were not landed."""
