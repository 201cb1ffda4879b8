"""Copies of what the host may change later, made while its call lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .errors import invalid

# limits.MAX_DEPTH, less the event and the field around a snapshot; a test compares them.
_MAX_DEPTH: Final = 62
_OVERHEAD: Final = 64  # bytes that Python takes for a value, roughly
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def snapshot(value: Any, field: str) -> tuple[Any, int]:
    """
    A copy of JSON-like data, and the memory that it takes.

    Lists and dicts are copied, text is shared: it cannot change. Objects with `model_dump`, such as the
    messages of the `openai` package, become dicts.

    Args:
        value: what the host gave.
        field: name for the error.

    Raises:
        InvalidEvent: nested too deeply, or in a circle.
    """
    sizes: list[int] = []
    return _copy(value, field, sizes, _MAX_DEPTH), sum(sizes)


def _copy(value: Any, field: str, sizes: list[int], depth: int) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        sizes.append(_OVERHEAD + len(value) if kind is str else _OVERHEAD)
        return value
    if depth == 0:
        raise invalid(field, "must not be nested this deeply")
    sizes.append(_OVERHEAD)
    if isinstance(value, Mapping):
        return {key: _copy(item, field, sizes, depth - 1) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes | bytearray):
        return [_copy(item, field, sizes, depth - 1) for item in value]
    if hasattr(value, "model_dump"):
        return _copy(value.model_dump(mode="json", exclude_unset=True), field, sizes, depth - 1)
    if isinstance(value, str | bytes):
        sizes.append(len(value))
    return value
