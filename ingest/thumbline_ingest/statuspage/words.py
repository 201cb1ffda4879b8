"""Numbers and times as people read them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote


def span(seconds: float) -> str:
    """
    A length of time in one unit.

    0.4 -> "less than a second"; 75 -> "1 min"; 7300 -> "2 h"; 200000 -> "2 days"
    """
    if seconds < 1:
        return "less than a second"
    for size, unit, limit in ((1, "s", 60), (60, "min", 60), (3600, "h", 48)):
        if seconds < size * limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86400):,} days"


def ago(at: datetime, now: datetime) -> str:
    """How long ago something was."""
    seconds = (now - at).total_seconds()
    return "just now" if seconds < 1 else f"{span(seconds)} ago"


def many(count: int, noun: str) -> str:
    """A count with its noun: "1 event", "1,204 events"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def iso(at: datetime) -> str:
    """A time as ISO 8601 in UTC with milliseconds."""
    utc = at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def curve(counts: list[int], height: int = 16) -> str:
    """The path of a bar for each count, one unit wide, for an SVG of that height."""
    top = max([*counts, 1])
    bars = ((place, max(1, round(height * count / top))) for place, count in enumerate(counts) if count)
    return "".join(f"M{place} {height}v-{tall}h.8v{tall}z" for place, tall in bars)


def in_query(text: str) -> str:
    """A text as a part of a URL's query."""
    return quote(text, safe="")


def moment(unix_s: float) -> datetime:
    """A Unix time as a time in UTC."""
    return datetime.fromtimestamp(unix_s, timezone.utc)


def pretty(row: dict[str, Any]) -> str:
    """A row as JSON, a field a line."""
    fields = (f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in row.items())
    return "{\n" + ",\n".join(fields) + "\n}"
