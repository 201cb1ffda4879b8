"""Copies of a client whose calls record their answers."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .._log import QuietLog
from ..client import Client
from . import _chat, _messages, _responses
from ._fields import OF_ONE_CALL, Fields, check
from ._record import Call, Dialect, Recorder, recall
from ._streams import Helper, Watched, watched

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..handles import Answer

T = TypeVar("T")

_log = QuietLog("openai")

_DERIVED: Final = ("copy", "with_options")  # methods that make another client of one
_RAW_VIEWS: Final = ("with_raw_response", "with_streaming_response")  # kept by the package; made anew over our methods
_MARK: Final = "_thumbline"  # on a wrapped client: its recorder, and what was there before
_RAW: Final = "X-Stainless-Raw-Response"  # the package's own mark of a call that returns the response as it came
_CHAT: Final = Dialect(_chat.prompt_of, _chat.tools_of, _chat.whole, _chat.Pieces, ("messages", "tools"))
_RESPONSES: Final = Dialect(
    _responses.prompt_of, _responses.tools_of, _responses.whole, _responses.Pieces, ("input", "tools")
)


def wrap(client: T, tl: Client, **fields: Unpack[Fields]) -> T:
    """
    A client whose answers are recorded.

        client = wrap(OpenAI(), tl, policy="acme-7b@step-1200")
        reply = client.chat.completions.create(model=..., messages=..., thumbline={"conversation_id": chat_id})

    Each call takes one more argument, `thumbline`: fields of that answer, which are never sent to the API. Type
    checkers know the client by its own type and not that argument; `with_fields` is the way that they understand.

    Args:
        client: `OpenAI`, `AsyncOpenAI`, or one that has `chat.completions` as they have. It stays as it is.
        tl: where to record.
        fields: of every answer; see `Fields`.

    Returns:
        A copy of the client, of the same type and with the same connections.

    Raises:
        TypeError: no such client, or no such field. Raised with and without `debug`: it happens once, when the host
            starts.
    """
    if not isinstance(tl, Client):
        raise TypeError("wrap(client, tl): tl must be a thumbline.Client")
    check(fields)
    if not OF_ONE_CALL.isdisjoint(fields):
        raise TypeError(f"{', '.join(sorted(OF_ONE_CALL & fields.keys()))}: belongs to one call, not to a client")
    return _wrapped(client, Recorder(tl, fields))


def with_fields(client: T, **fields: Unpack[Fields]) -> T:
    """
    A wrapped client that says more of its answers: for one request, say.

        client = with_fields(client, conversation_id=chat_id, author=user_id)

    Takes some 100 µs. What is said later goes before what was said earlier, and `thumbline=` of a call before both.

    Args:
        client: from `wrap`.
        fields: of every answer; see `Fields`.

    Returns:
        A copy, like that of `wrap`.

    Raises:
        TypeError: the client is not wrapped, or there is no such field.
    """
    check(fields)
    mark = getattr(client, "__dict__", {}).get(_MARK)
    if mark is None:
        raise TypeError("with_fields takes a client from thumbline.openai.wrap")
    return _wrapped(client, mark.recorder.also(fields))


def answer_of(reply: Any, choice: int = 0) -> Answer:
    """
    The handle of an answer, which knows its conversation.

        receipt = tl.receipt(answer_of(reply), rater=user_id)

    Args:
        reply: what a call of a wrapped client returned: a completion, or a stream from its first chunk on.
        choice: which answer, where `n` is more than 1. The first has the reply's id, the next ones that id with
            `:1`, `:2` ... behind it.

    Returns:
        The handle. Of any other object with an `id` one with that id; else one without an id, on which no vote and no
        receipt can be made.
    """
    if isinstance(reply, Watched):
        return reply.known_answer(choice)
    return recall(reply, choice)


@dataclass(frozen=True)
class _Mark:
    recorder: Recorder
    plain: dict[str, Any]  # the resources that ours stand in front of


def _wrapped(client: T, recorder: Recorder) -> T:
    mark = getattr(client, "__dict__", {}).get(_MARK)
    plain = _resources(client) if mark is None else mark.plain  # wrapped twice, an answer is recorded once
    twin: Any = copy.copy(client)
    views = {name: vars(twin).pop(name) for name in (*_RAW_VIEWS, *_DERIVED) if name in vars(twin)}
    chat = _copied(plain["chat"], client, twin)
    chat.completions = _recording(_copied(plain["completions"], client, twin), _CHAT, recorder)
    twin.chat = chat
    if plain["responses"] is not None:
        twin.responses = _recording(_copied(plain["responses"], client, twin), _RESPONSES, recorder)
    for name in _RAW_VIEWS:
        if name in views and not hasattr(type(twin), name):  # older packages make them at once
            setattr(twin, name, type(views[name])(twin))
    for name in _DERIVED:
        if hasattr(twin, name):
            setattr(twin, name, _deriving(getattr(twin, name), recorder))
    setattr(twin, _MARK, _Mark(recorder, plain))
    return cast("T", twin)


def _resources(client: Any) -> dict[str, Any]:
    try:
        completions = client.chat.completions
    except AttributeError:
        raise TypeError("wrap(client, tl): client must have chat.completions, as OpenAI() has") from None
    return {"chat": client.chat, "completions": completions, "responses": getattr(client, "responses", None)}


def _copied(resource: Any, client: Any, twin: Any) -> Any:
    """
    A copy of a resource that belongs to the twin of its client.

    A copy and no new one, so that what others have put in front of its methods stays there.
    """
    copied = copy.copy(resource)
    for name, value in [*vars(copied).items()]:
        if name in _RAW_VIEWS:
            del vars(copied)[name]
        elif value is client:
            setattr(copied, name, twin)
        elif inspect.ismethod(value) and value.__self__ is client:
            setattr(copied, name, value.__func__.__get__(twin))
    return copied


def _deriving(derive: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """`client.with_options(...)` of a client that records gives one that records."""

    @functools.wraps(derive)
    def derived(*args: Any, **kwargs: Any) -> Any:
        return _wrapped(derive(*args, **kwargs), recorder)

    return derived


def _recording(resource: Any, dialect: Dialect, recorder: Recorder, opened: list[Any] | None = None) -> Any:
    """
    The resource, with methods that record.

    `with_raw_response` and the package's own helpers call the methods of the object that they are on, so they come
    through here too.
    """
    original = copy.copy(resource)
    for name in ("create", "parse"):
        if hasattr(resource, name):
            setattr(resource, name, _recorded(getattr(resource, name), dialect, recorder, opened))
    if opened is None and hasattr(type(resource), "stream"):
        resource.stream = _streaming(original, dialect, recorder)
    return resource


def _recorded(
    method: Callable[..., Any], dialect: Dialect, recorder: Recorder, opened: list[Any] | None
) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        said = kwargs.pop("thumbline", None)
        _messages.listed(kwargs, dialect.read_once)
        begun = recorder.begin(dialect, said, kwargs)
        reply = method(*args, **kwargs)
        if begun is None:
            return reply
        is_raw = _is_raw(kwargs)
        if inspect.isawaitable(reply):
            return _awaited(reply, begun, is_raw, opened)
        return _taken(reply, begun, is_raw, opened)

    return call


async def _awaited(reply: Awaitable[Any], call: Call, is_raw: bool, opened: list[Any] | None) -> Any:
    call.restart()
    return _taken(await reply, call, is_raw, opened)


def _taken(reply: Any, call: Call, is_raw: bool, opened: list[Any] | None) -> Any:
    """What the host gets: the reply itself, recorded, or a stream that will record itself."""
    if call.is_streamed:
        stream = watched(reply, call)
        if stream is not None:
            if opened is not None:
                opened.append(stream)
            return stream
    elif is_raw:
        call.take_raw(reply)
        return reply
    elif hasattr(reply, "id"):
        call.take(reply)
        return reply
    _log.warning("raw", "an answer is not recorded: only its host reads it (with_streaming_response)")
    return reply


def _is_raw(kwargs: dict[str, Any]) -> bool:
    headers = kwargs.get("extra_headers")
    return isinstance(headers, Mapping) and headers.get(_RAW) == "true"


def _streaming(resource: Any, dialect: Dialect, recorder: Recorder) -> Callable[..., Any]:
    """`.stream()`: the package's helper over a stream of ours."""
    method = type(resource).stream

    @functools.wraps(method)
    def stream(*args: Any, **kwargs: Any) -> Any:
        said = kwargs.pop("thumbline", None)
        _messages.listed(kwargs, dialect.read_once)
        own_recorder = recorder.saying(said)
        if own_recorder is None:
            return method(resource, *args, **kwargs)
        opened: list[Any] = []
        own = _recording(copy.copy(resource), dialect, own_recorder, opened)
        return Helper(method(own, *args, **kwargs), opened)

    return stream
