"""
Errors of an export, each with the exit status of the command.

    ExportError          1
    ├── BadOption        2
    ├── NothingToExport  3
    ├── OneLabelOnly     4
    └── VerifyFailed     5
"""

from __future__ import annotations

from typing import ClassVar

from ..errors import WarehouseError


class ExportError(WarehouseError):
    """The export could not be made; nothing was left in the folder."""

    exit_code: ClassVar[int] = 1


class BadOption(ExportError):
    """An option that does not fit; the message names it and what is allowed."""

    exit_code: ClassVar[int] = 2


class NothingToExport(ExportError):
    """No row is left; the message is the funnel, which says where they went."""

    exit_code: ClassVar[int] = 3


class OneLabelOnly(ExportError):
    """All rows have one label: a trainer takes that silently and learns to like, or dislike, everything."""

    exit_code: ClassVar[int] = 4


class VerifyFailed(ExportError):
    """A finished export is not what its manifest says, or holds rows that its reader would mangle."""

    exit_code: ClassVar[int] = 5
