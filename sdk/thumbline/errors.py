"""
What the client raises.

    ThumblineError
    ├── InvalidEvent     (also ValueError): an event breaks the contract; raised with `debug=True` only
    └── TransportError   a request got no answer; never leaves the client
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .problems import Problem

__all__ = ["InvalidEvent", "ThumblineError", "TransportError"]


class ThumblineError(Exception):
    """Base of every error of this package."""


class InvalidEvent(ThumblineError, ValueError):
    """
    An event that breaks the contract.

    Attributes:
        problems: what is wrong, each with its field; never the value that was given.
    """

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class TransportError(ThumblineError):
    """A request got no answer: refused, reset or timed out."""


def invalid(field: str, message: str, allowed: list[str] | None = None) -> InvalidEvent:
    """The error for one field at fault."""
    from .problems import Problem  # brings pydantic, which stays out of the import of the package

    return InvalidEvent([Problem(field, message, list(allowed) if allowed else None)])
