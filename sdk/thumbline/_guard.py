"""The promise to the host: no method of the client raises, unless `debug=True`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ._ids import event_id_from, uuid7
from .handles import Answer, Pair, plain_id

if TYPE_CHECKING:
    from .client import Client

P = ParamSpec("P")
R = TypeVar("R")
_Method = Callable[Concatenate["Client", P], R]
_Fallback = Callable[[str, tuple[Any, ...], dict[str, Any]], R]


def guarded(fallback: _Fallback[R]) -> Callable[[_Method[P, R]], _Method[P, R]]:
    """
    Catch whatever a method raises, count the event as dropped and return something harmless instead.

    Args:
        fallback: makes the value to return from a fresh id and the call's arguments.
    """

    def decorate(method: _Method[P, R]) -> _Method[P, R]:
        @functools.wraps(method)
        def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - that is the promise
                # Methods have the names of the kinds.
                event_id = self._failed(error, kwargs.get("event_id"), method.__name__)  # raises with `debug`
                return fallback(event_id, args, kwargs)

        return call

    return decorate


def minting(method: _Method[P, str]) -> _Method[P, str]:
    """The same promise for a method that records nothing: logs what it raises and returns an empty text."""

    @functools.wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - that is the promise
            self._not_minted(error)  # raises with `debug`
            return ""

    return call


def harmless_id(event_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The id that the event would have had."""
    return event_id


def harmless_answer(event_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answer:
    """An answer with the host's id, or a fresh one: votes on it can be recorded all the same."""
    own_id = _plain_id(kwargs.get("completion_id")) or uuid7()
    response = kwargs.get("response")
    text = response if isinstance(response, str) else None
    return Answer(own_id, _plain_id(kwargs.get("conversation_id")), text)


def harmless_pair(event_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pair:
    """A comparison with the answers in the order given, so that the page still has something to show."""
    own_id = _plain_id(kwargs.get("comparison_id")) or uuid7()
    answers = kwargs.get("order") or (args[0] if args else kwargs.get("answers"))
    order: tuple[str, ...] = ()
    if isinstance(answers, list | tuple):
        ids = [a.completion_id if isinstance(a, Answer) else _plain_id(a) for a in answers]
        order = tuple(own for own in ids if own)
    return Pair(own_id, order, None, _plain_id(kwargs.get("conversation_id")))


def own_event_id(value: object, kind: str) -> str:
    """The event id for a host's own key and a kind of event, a fresh one where the key is none."""
    key = _plain_id(value)
    return uuid7() if key is None else event_id_from(key, kind)


def _plain_id(value: object) -> str | None:
    try:
        return plain_id(value, "")
    except Exception:  # noqa: BLE001 - only used when something is wrong already
        return None
