"""Times as sources write them: seconds, milliseconds or microseconds since 1970, or ISO 8601."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

from .refused import Refused

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST: Final = 32_503_680_000  # the year 3000: the contract ends there
_NUMBER: Final = re.compile(r"\d{1,20}(\.\d{1,20})?")
_ISO: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d{1,9}))?)? ?(Z|UTC|[+-]\d{2}:?\d{2})?"
)
_WRONG: Final = "must be a time from 1970 to 2999: Unix seconds or milliseconds, or ISO 8601"


def instant(value: Any, field: str) -> str:
    """
    A time as an event carries it. One without an offset is UTC.

        1764000000            ->  "2025-11-24T16:00:00Z"
        1764000000123         ->  "2025-11-24T16:00:00.123000Z"
        "2025-11-24 17:00:00+01:00"  ->  "2025-11-24T16:00:00Z"
        {"$date": 1764000000123}     ->  as MongoDB writes it, the same

    Raises:
        Refused: it is no time, or outside the years 1970 to 2999.
    """
    if isinstance(value, dict) and len(value) == 1:
        # MongoDB's tools write {"$date": ...}, and {"$numberLong": "..."} within.
        return instant(next(iter(value.values())), field)
    try:
        moment = _moment(value)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not 1970 <= moment.year < 3000:
        raise Refused(field, _WRONG)
    return moment.isoformat().replace("+00:00", "Z")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if isinstance(value, int | float):
        return _since_1970(value)
    if not isinstance(value, str):
        return None
    stripped = value.strip()
    if _NUMBER.fullmatch(stripped):
        return _since_1970(float(stripped) if "." in stripped else int(stripped))
    return _iso(stripped)


def _since_1970(count: float) -> datetime | None:
    if not 0 <= count < _LAST * 1_000_000_000:
        return None
    # Seconds until the year 3000 stay below milliseconds from 1971 on, and so on.
    for per_second in (1, 1_000, 1_000_000, 1_000_000_000):
        if count < _LAST * per_second:
            if isinstance(count, int):
                return _EPOCH + timedelta(microseconds=count * 1_000_000 // per_second)
            return _EPOCH + timedelta(microseconds=round(count * 1_000_000 / per_second))
    return None


def _iso(written: str) -> datetime | None:
    match = _ISO.fullmatch(written)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    if clock is None and offset is not None:
        return None
    clock = clock or "00:00"
    moment = datetime.fromisoformat(f"{day}T{clock if len(clock) > 5 else clock + ':00'}")
    if fraction:
        moment += timedelta(microseconds=int(fraction.ljust(6, "0")[:6]))
    if offset in (None, "Z", "UTC"):
        return moment.replace(tzinfo=timezone.utc)
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return (moment - shift if offset[0] == "+" else moment + shift).replace(tzinfo=timezone.utc)
