"""
Takes files of others into the log: vendors' batches, public sets, exports of other tools.

    {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "Lyon."}
    ->  readers (`files`)  ->  a map (`maps`)  ->  events with ids that repeat (`events`)
    ->  the contract's check and the log (`run`)  ->  a report (`report`)
"""

from __future__ import annotations

from .events import NO_TIME, Stamp
from .files import InputFile
from .maps import SOURCES, MapOptions, Source, open_map
from .refused import NotImportable, Refused
from .report import Report
from .run import Importer, check_columns
from .times import instant

__all__ = [
    "NO_TIME",
    "SOURCES",
    "Importer",
    "InputFile",
    "MapOptions",
    "NotImportable",
    "Refused",
    "Report",
    "Source",
    "Stamp",
    "check_columns",
    "instant",
    "open_map",
]
