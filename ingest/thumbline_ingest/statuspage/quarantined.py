"""What may be shown of a record in quarantine: ids where they are ids, reasons where they quote nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from thumbline.events import KINDS, UUID_PATTERN
from thumbline_warehouse.landing import REASONS

from .shapes import Quarantined, utc
from .tail import parsed

_UUID: Final = re.compile(UUID_PATTERN)
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HIDDEN: Final = "could not be landed; the reason quotes the record, so it is only in the table `quarantine`"


def quarantined(row: Sequence[Any]) -> Quarantined:
    """A row (quarantined_at, partition, position, reason, record) without what may be a text."""
    at, partition, position, reason, record = row
    project, kind, event_id = ids_in(bytes(record))
    return Quarantined(utc(at), partition, position, plain_reason(reason), project, kind, event_id)


def ids_in(record: bytes) -> tuple[str, str, str]:
    """Project, kind and event id of a record, each only where it is a well-formed one."""
    found = parsed(record)
    if found is not None:
        project, kind, event_id = found.project, found.kind, found.event_id
    else:
        project, kind, event_id = _loosely(record)
    return (
        project if _PROJECT.fullmatch(project) else "",
        kind if kind in KINDS else "",
        event_id if _UUID.fullmatch(event_id) else "",
    )


def _loosely(record: bytes) -> tuple[str, str, str]:
    try:
        envelope = json.loads(record)
        event = envelope.get("event") or {}
        return str(envelope.get("project", "")), str(event.get("kind", "")), str(event.get("event_id", ""))
    except (ValueError, AttributeError, RecursionError):
        return "", "", ""


def plain_reason(reason: str) -> str:
    """A reason for quarantine where it is one of the loader's own sentences: DuckDB's quote what was sent."""
    return reason if reason in REASONS else _HIDDEN
