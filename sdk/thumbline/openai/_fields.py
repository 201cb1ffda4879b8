"""What a host may say of an answer beside the call itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..client import Common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..handles import AnswerLike, PlainId, RaterLike

__all__ = ["Fields"]


class Fields(Common, total=False):
    """
    What can be said of an answer, as in `Client.completion`; `Common` has the rest.

    Attributes:
        policy: the exact checkpoint, e.g. `acme-7b@step-1200`.
        completion_id: the host's own id, in place of the API's.
        turn: the answer's place in the conversation, from 0.
        parent: the answer that this one follows or replaces.
        author: id of the person whose prompt it is; hashed like a rater's.
    """

    policy: str | None
    completion_id: PlainId | None
    turn: int | None
    parent: AnswerLike | None
    author: RaterLike | None


KNOWN: Final = frozenset(Fields.__annotations__)
OF_ONE_CALL: Final = frozenset({"completion_id", "event_id", "occurred_at"})


def check(fields: Mapping[str, Any]) -> None:
    """
    Refuse what is no field.

    Raises:
        TypeError: with the names that there are.
    """
    if not fields.keys() <= KNOWN:
        raise TypeError(f"unknown field for thumbline: there are {', '.join(sorted(KNOWN))}")


def joined(known: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the later one first; `properties` of both."""
    both = {**known, **said}
    if known.get("properties") and said.get("properties"):
        both["properties"] = {**known["properties"], **said["properties"]}
    return both
