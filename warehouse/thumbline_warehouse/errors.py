"""
Errors of the warehouse.

    WarehouseError
    ├── WarehouseBusy      the same call may work later
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
