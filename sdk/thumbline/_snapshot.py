"""Copies of what the host may change later, made while its call lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ._plain import LEFT_OUT, MAX_INT, MIN_INT, Plain, Plainer

# limits.MAX_DEPTH, less the event and the field around a snapshot; a test compares them.
_MAX_DEPTH: Final = 62
# Above what fits into an event; what refers to itself ends here.
_MAX_VALUES: Final = 500_000
_OVERHEAD: Final = 64  # bytes that Python takes for a value, roughly


def snapshot(value: Any) -> tuple[Any, int]:
    """
    A copy of JSON-like data, and the memory that it takes.

    Lists and dicts are copied, text is shared: it cannot change. Objects with `model_dump`, such as the
    messages of the `openai` package, become dicts. Whatever else may change becomes plain at once; what has
    no plain form, or is nested too deeply, becomes a mark that is left out later, and counted.

    Args:
        value: what the host gave.
    """
    copier = _Copier()
    return copier.copy(value, _MAX_DEPTH), sum(copier.sizes)


def listed(value: Any) -> Any:
    """What can be read only once, as a list; anything else as it is."""
    return list(value) if isinstance(value, Iterator) else value


class _Copier:
    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._inside: set[int] = set()  # what is being copied: meeting it again is a circle

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            self.sizes.append(_OVERHEAD + len(value))
            return value
        self.sizes.append(_OVERHEAD)
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if MIN_INT <= value <= MAX_INT else self._plain(value, depth)
        if kind is float:
            return value if math.isfinite(value) else LEFT_OUT
        me = id(value)
        if depth == 0 or me in self._inside or len(self.sizes) > _MAX_VALUES:
            return LEFT_OUT
        self._inside.add(me)
        try:
            return self._container(value, depth)
        except Exception:  # noqa: BLE001 - an object of the host's, or one that changes this very moment
            return LEFT_OUT
        finally:
            self._inside.discard(me)

    def _container(self, value: Any, depth: int) -> Any:
        copy = self.copy
        if isinstance(value, Mapping):
            return {key: copy(item, depth - 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [copy(item, depth - 1) for item in value]
        if hasattr(value, "model_dump") and not isinstance(value, type):
            return copy(value.model_dump(mode="json", exclude_unset=True), depth - 1)
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
            return [copy(item, depth - 1) for item in value]
        return self._plain(value, depth)

    def _plain(self, value: Any, depth: int) -> Any:
        made = Plainer()(value, depth)
        if made is LEFT_OUT:
            return LEFT_OUT
        if isinstance(made, str):
            self.sizes.append(len(made))
        elif isinstance(made, dict | list):
            self.copy(made, depth)
        return Plain(made)
