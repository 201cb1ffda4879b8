"""One record of a source, read by the names that its map uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from . import times, values
from .refused import Refused

_PLAIN_NAME: Final = re.compile(r"[\w .:/-]{1,64}")
_MAX_NAMES: Final = 30
_ABSENT: Final = object()


@dataclass(frozen=True)
class Record:
    """
    A record's values under the names of the map.

        Record({"question": "Hi", "meta": {"lang": "en"}}, {"prompt": "question", "language": "meta.lang"})
            .text("prompt")  ->  "Hi"

    Attributes:
        values: what the source holds.
        columns: name in the map -> column, where they differ; a dot leads into an object.
    """

    values: Mapping[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The value; None where it is missing, null or empty in a table."""
        found = _look_up(self.values, self.column(name))
        return None if found is _ABSENT else found

    def need(self, name: str) -> Any:
        """
        The value, which must be there.

        Raises:
            Refused: it is not; with the columns that are.
        """
        found = self.get(name)
        if found is None:
            raise Refused(self.column(name), f"is missing; there are: {listed(self.values)}")
        return found

    def column(self, name: str) -> str:
        """What the source calls it."""
        return self.columns.get(name, name)

    def text(self, name: str) -> str | None:
        """Text, where there is any."""
        found = self.get(name)
        return None if found is None else values.text(found, self.column(name))

    def id(self, name: str) -> str | None:
        """An id; empty ones are none."""
        found = self.get(name)
        return None if found is None or found == "" else values.identifier(found, self.column(name))

    def time(self, name: str) -> str | None:
        """A time as an event carries it."""
        found = self.get(name)
        return None if found is None or found == "" else times.instant(found, self.column(name))

    def dict(self, name: str) -> Mapping[str, Any]:
        """An object; an empty one where there is none."""
        found = self.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise Refused(self.column(name), "must be an object")
        return found

    def inner(self, name: str) -> Record:
        """An object within, as a record with its own names."""
        return Record(self.dict(name))


def listed(names: Iterable[Any]) -> str:
    """
    Names of columns for a sentence; one that is no plain name may hold what somebody wrote.

        ["a", "b"]  ->  "a, b"
    """
    found = [str(name) if _PLAIN_NAME.fullmatch(str(name)) else "?" for name in names]
    more = f" and {len(found) - _MAX_NAMES} more" if len(found) > _MAX_NAMES else ""
    return (", ".join(found[:_MAX_NAMES]) or "none") + more


def _look_up(found: Any, column: str) -> Any:
    if isinstance(found, Mapping) and column in found:
        return found[column]
    head, dot, rest = column.partition(".")
    if not dot or not isinstance(found, Mapping) or head not in found:
        return _ABSENT
    return _look_up(found[head], rest)
