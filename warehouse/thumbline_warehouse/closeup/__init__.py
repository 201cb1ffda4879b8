"""
A close look at a few events of a warehouse that is being loaded: where they are, and which rows they become.

    >>> with closing(connect(url, read_only=True)) as db:
    ...     seen = Closeup(db).look("answer-1")
    >>> seen.events[0].standing, seen.rows["kto"].rows[0]["label"]
    ('current', True)
"""

from __future__ import annotations

from .look import Closeup, Seen
from .rows import RowsOf
from .standing import LandedEvent

__all__ = ["Closeup", "LandedEvent", "RowsOf", "Seen"]
