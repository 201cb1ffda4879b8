"""
Training data from the warehouse, in the form that trainers load as it is.

    >>> from thumbline_warehouse.export import ExportOptions, Filters, export
    >>> made = export(url, "data/kto", ExportOptions(kind="kto", filters=Filters(min_votes=3)))
    >>> next(made.rows())
    {'prompt': [{'role': 'user', 'content': 'Hi'}], 'completion': [...], 'label': True, ...}
"""

from __future__ import annotations

from .diff import Change, diff
from .errors import BadOption, ExportError, NothingToExport, OneLabelOnly, VerifyFailed
from .exported import Export
from .options import ExportOptions, Filters, Output, Rules, Split
from .run import export, preview
from .trace import Affected, Explanation, Part, affected, explain
from .verify import verify

__all__ = [
    "Affected",
    "BadOption",
    "Change",
    "Explanation",
    "Export",
    "ExportError",
    "ExportOptions",
    "Filters",
    "NothingToExport",
    "OneLabelOnly",
    "Output",
    "Part",
    "Rules",
    "Split",
    "VerifyFailed",
    "affected",
    "diff",
    "explain",
    "export",
    "preview",
    "verify",
]
