"""From a call and what came back to a `completion` event."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .. import limits
from .._log import QuietLog
from .._snapshot import snapshot
from ..handles import Answer, plain_id
from ._fields import check, joined
from ._messages import is_given, sampling_of

if TYPE_CHECKING:
    from ..client import Client
    from ._replies import Answered, Cut, Prompt, Reply

_log = QuietLog("openai")
_MS: Final = 1000


@dataclass(frozen=True)
class Dialect:
    """
    One of OpenAI's two ways to ask for an answer.

    Attributes:
        prompt: the call's arguments -> what the model sees before its answer.
        tools: the call's arguments -> tool definitions.
        whole: an answer in one piece -> what is in it.
        pieces: makes what takes an answer in pieces: `take(piece)` and `reply`.
        read_once: arguments that may be iterators.
    """

    prompt: Callable[[Mapping[str, Any]], Prompt]
    tools: Callable[[Mapping[str, Any]], list[Any] | None]
    whole: Callable[[Any], Reply]
    pieces: Callable[[], Any]
    read_once: tuple[str, ...]


class Recorder:
    """
    Records the answers of one wrapped client.

    Args:
        tl: where to.
        fields: of every answer.
    """

    def __init__(self, tl: Client, fields: Mapping[str, Any]) -> None:
        self.tl = tl
        self.fields = fields

    def also(self, fields: Mapping[str, Any]) -> Recorder:
        """One that says more."""
        return Recorder(self.tl, joined(self.fields, fields))

    def saying(self, said: Any) -> Recorder | None:
        """One that says more, from the argument `thumbline`; None where that is wrong."""
        try:
            fields = dict(said) if said is not None else {}
            check(fields)
            return self.also(fields)
        except Exception as error:  # noqa: BLE001 - that is the promise
            self.failed(error)
            return None

    def begin(self, dialect: Dialect, said: Any, arguments: Mapping[str, Any]) -> Call | None:
        """
        A call that is about to be made; None where it cannot be recorded.

        Args:
            dialect: of the call.
            said: the argument `thumbline`.
            arguments: the others.
        """
        recorder = self.saying(said)
        if recorder is None:
            return None
        try:
            prompt = dialect.prompt(arguments)
            if prompt.unknown is not None:
                _log.warning(prompt.unknown, "an answer is not recorded: %s", prompt.unknown)
                return None
            return Call(recorder, dialect, prompt, arguments)
        except Exception as error:  # noqa: BLE001 - that is the promise
            self.failed(error)
            return None

    def failed(self, error: Exception) -> None:
        """Count an answer that could not be recorded; raises with `debug`."""
        self.tl._failed(error, None, "completion")


class Call:
    """
    One call, from the moment before it is made.

    Args:
        recorder: of the client.
        dialect: of the call.
        prompt: before the answer; copied here, because the host may go on with its list while the answer comes.
        arguments: of the call.
    """

    def __init__(
        self,
        recorder: Recorder,
        dialect: Dialect,
        prompt: Prompt,
        arguments: Mapping[str, Any],
    ) -> None:
        self.recorder = recorder
        self.dialect = dialect
        self.is_streamed = is_given(arguments.get("stream")) and bool(arguments["stream"])
        self._answers: dict[int, Answer] = {}
        model = arguments.get("model")
        self._model = model if isinstance(model, str) else ""
        self._messages, _ = snapshot(prompt.messages)
        self._left_out = prompt.left_out
        self._tools, _ = snapshot(dialect.tools(arguments))
        self._sampling, _ = snapshot(sampling_of(arguments))
        self._fields = recorder.fields
        self._monotonic_s = recorder.tl._clock.monotonic_s
        self._started_s = self._monotonic_s()

    def restart(self) -> None:
        """The call is made now."""
        self._started_s = self._monotonic_s()

    def passed_ms(self) -> float:
        """Since the call was made."""
        return round((self._monotonic_s() - self._started_s) * _MS, 3)

    def take(self, reply: Any) -> None:
        """Record an answer that came in one piece."""
        latency_ms = self.passed_ms()
        try:
            found = self.dialect.whole(reply)
            remember(reply, functools.partial(self.answer, _text(reply.id)))
        except Exception as error:  # noqa: BLE001 - that is the promise
            self.recorder.failed(error)
        else:
            self.record(found, latency_ms, {})

    def take_raw(self, response: Any) -> None:
        """Record the answer in a response of `with_raw_response`, which has been read already."""
        try:
            reply = response.parse()  # kept by the response: the host's own `parse` gets the same
        except Exception:  # noqa: BLE001 - the host will be told when it parses
            return
        self.take(reply)

    def answer(self, own_id: str, index: int) -> Answer:
        """The handle of an answer by the API's id of the reply and the answer's place in it."""
        if index in self._answers:
            return self._answers[index]
        given = self._fields.get("completion_id")
        known = own_id if given is None else plain_id(given, "completion_id")
        conversation = self._fields.get("conversation_id")
        return Answer(
            f"{known}:{index}" if index and known else known,
            None if conversation is None else plain_id(conversation, "conversation_id"),
        )

    def record(self, reply: Reply, latency_ms: float, properties: dict[str, Any], cut: Cut | None = None) -> None:
        """
        Record all answers of a reply.

        Args:
            reply: what came.
            latency_ms: until it was there.
            properties: to go with each.
            cut: why those without a finish reason have none.
        """
        for answered in reply.answers:
            try:
                fields = self._event(reply, answered, latency_ms, properties, cut)
            except Exception as error:  # noqa: BLE001 - that is the promise
                self.recorder.failed(error)
            else:  # which keeps the promise itself
                self._answers[answered.index] = self.recorder.tl.completion(**fields)

    def _event(
        self, reply: Reply, answered: Answered, latency_ms: float, properties: dict[str, Any], cut: Cut | None
    ) -> dict[str, Any]:
        broken_off = (reply.cut or cut) if answered.finish_reason is None else None
        about = {
            "cut": broken_off,
            "refused": answered.is_refused or None,
            "items_left_out": sorted({*self._left_out, *reply.left_out}) or None,
            "system_fingerprint": reply.fingerprint,
            **reply.usage,
            **properties,
        }
        fields = dict(self._fields)
        own = {name: value for name, value in about.items() if value is not None} | dict(fields.get("properties") or {})
        # The host's own come first: where there is no room for ours, they are left out.
        fields["properties"] = own if len(own) <= limits.MAX_PROPERTIES else fields.get("properties")
        fields["completion_id"] = self.answer(_text(reply.id), answered.index).completion_id or None
        if answered.index and fields.get("event_id") is not None:
            fields["event_id"] = f"{plain_id(fields['event_id'], 'event_id')}:{answered.index}"
        fields |= {
            "messages": self._messages,
            "response": answered.message,
            "model": reply.model or self._model,
            "tools": self._tools,
            "sampling": self._sampling,
            "latency_ms": latency_ms,
            "finish_reason": answered.finish_reason or broken_off or None,
        }
        return fields


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# Reply -> what knows its answers by their places. By identity, since replies have no hash, and weakly: a reply is
# kept by its host alone.
_known: dict[int, tuple[weakref.ref[Any], Callable[[int], Answer]]] = {}


def remember(reply: Any, answer: Callable[[int], Answer]) -> None:
    """Know the answers of a reply again in `recall`."""
    key = id(reply)
    try:
        _known[key] = (weakref.ref(reply, lambda _: _known.pop(key, None)), answer)
    except TypeError:  # no object of the package openai: its id is all there is
        return


def recall(reply: Any, index: int) -> Answer:
    """The handle of a reply's answer; where the reply is unknown, one that knows its id only."""
    found = _known.get(id(reply))
    if found is not None and found[0]() is reply:
        return found[1](index)
    own_id = _text(getattr(reply, "id", None))
    return Answer(f"{own_id}:{index}" if index and own_id else own_id)
