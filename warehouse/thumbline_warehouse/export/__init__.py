"""
Training data from the warehouse, in the form that trainers load as it is.

    >>> from thumbline_warehouse.export import ExportOptions, export
    >>> export(url, "out/kto", ExportOptions(kind="kto"))
"""

from __future__ import annotations

from .errors import ExportError, NothingToExport, OneLabelOnly
from .options import ExportOptions
from .run import Export, export

__all__ = ["Export", "ExportError", "ExportOptions", "NothingToExport", "OneLabelOnly", "export"]
