"""Langfuse: scores, and the traces and observations that they are about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from .. import chat, values
from ..drafts import Draft, Drafts, Person
from ..record import Record
from ..refused import Refused
from .base import Answer, OneByOne, person_of, vote_of

_DATA_TYPES: Final = ("BOOLEAN", "NUMERIC", "CATEGORICAL", "CORRECTION")


class Langfuse(OneByOne):
    """
    A score, or the answer that scores are about; in one file or several, in any order.

        {"id": "s1", "traceId": "t1", "name": "user-feedback", "value": 1, "dataType": "BOOLEAN", "source": "API"}
        ->  a thumb up on `t1`
        {"id": "t1", "input": [{"role": "user", "content": "Hi"}], "output": "Hello."}
        ->  a completion `t1`

    BOOLEAN is a thumb, NUMERIC a rating on the stated scale, CATEGORICAL a thumb where its word is a label,
    CORRECTION an edit. Names may be written `traceId` (API, downloads) or `trace_id` (blob storage).
    """

    name: ClassVar[str] = "langfuse"
    required: ClassVar[tuple[str, ...]] = ("id",)
    optional: ClassVar[tuple[str, ...]] = ()

    def split(self, value: Any) -> Iterable[Any]:
        """The rows of a page of the API or of a downloaded trace; anything else is a row."""
        if not isinstance(value, dict):
            return (value,)
        if isinstance(value.get("data"), list):
            return [row for one in value["data"] for row in self.split(one)]
        if isinstance(value.get("trace"), dict):
            return _rows_of({**value["trace"], "observations": value.get("observations")})
        return _rows_of(value)

    def drafts(self, record: Record) -> Drafts:
        """The events of a row."""
        row = _Row(record)
        if row.get("dataType") is not None or (row.get("name") is not None and row.get("value") is not None):
            return Drafts((self._vote(row),), row.id("id"))
        return Drafts(tuple(self._answer(row)), row.id("id"))

    def _vote(self, row: _Row) -> Draft:
        target_id = row.id("observationId") or row.id("traceId")
        session_id = row.id("sessionId")
        if target_id is None and session_id is None:
            raise Refused("traceId", "is missing, as are observationId and sessionId: there is no saying what is meant")
        kind, fields = self._opinion(row, is_answer=target_id is not None)
        comment = row.text("comment")
        if comment:
            fields["comment"] = comment
        if target_id is None:
            fields["target_type"] = "conversation"
        return Draft(
            kind,
            {"target_id": target_id or session_id, **fields},
            row.time("timestamp") or row.time("createdAt"),
            _rater(row),
            conversation_id=session_id,
            properties={"score_name": row.text("name") or ""},
        )

    def _opinion(self, row: _Row, is_answer: bool) -> tuple[str, dict[str, Any]]:
        data_type = row.get("dataType") or "NUMERIC"
        if data_type not in _DATA_TYPES:
            raise Refused("dataType", f"must be one of {', '.join(_DATA_TYPES)}")
        if not is_answer and data_type in ("CATEGORICAL", "CORRECTION"):
            raise Refused("traceId", f"is missing: a {data_type} score of a whole session cannot be taken")
        if data_type == "CORRECTION":
            text = values.text(row.word(), "stringValue")
            return "edit", {"response": {"role": "assistant", "content": text}}
        if data_type == "CATEGORICAL":
            return "thumb", {"value": vote_of(row.word(), "stringValue", self.options.labels)}
        score = row.get("value")
        if data_type == "BOOLEAN" and is_answer:
            return "thumb", {"value": vote_of(score, "value", {})}
        low, high = (0.0, 1.0) if data_type == "BOOLEAN" else self._scale()
        return "rating", {"score": values.number(score, "value"), "scale_min": low, "scale_max": high}

    def _scale(self) -> tuple[float, float]:
        if self.options.scale is None:
            raise Refused("value", "the scale of NUMERIC scores is not stated: give --scale MIN:MAX")
        return self.options.scale

    def _answer(self, row: _Row) -> Iterator[Draft]:
        if row.get("type") not in (None, "GENERATION") or row.get("output") is None:
            # Spans and events are steps on the way to an answer.
            return
        answer_id = row.id("id")
        if answer_id is None:
            raise Refused("id", "is missing")
        prompt = chat.messages(_chat_of(row.get("input"), "input"), "input")
        response = chat.answer(_chat_of(row.get("output"), "output"), prompt, "output")
        model = row.text("model") or row.text("providedModelName") or self.options.model
        at = row.time("startTime") or row.time("timestamp") or row.time("createdAt")
        answer = Answer(prompt, response, model, answer_id, at=at)
        yield answer.draft(row.id("userId"), row.id("sessionId"))


class _Row:
    """A row whose names are written in either way."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def get(self, name: str) -> Any:
        found = self._record.get(name)
        return self._record.get(_snake(name)) if found is None else found

    def id(self, name: str) -> str | None:
        found = self.get(name)
        return None if found in (None, "") else values.identifier(found, name)

    def text(self, name: str) -> str | None:
        found = self.get(name)
        return None if found is None else values.text(found, name)

    def time(self, name: str) -> str | None:
        return self._record.time(name) or self._record.time(_snake(name))

    def word(self) -> Any:
        return self.get("stringValue") if self.get("stringValue") is not None else self.get("value")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _rows_of(trace: dict[str, Any]) -> list[Any]:
    """A trace, and what it holds of observations and scores, as rows that know the trace's user."""
    known = {name: trace[name] for name in ("userId", "sessionId") if trace.get(name)}
    inner = [
        {**known, **row}
        for name in ("observations", "scores")
        if isinstance(trace.get(name), list)
        for row in trace[name]
        if isinstance(row, dict)
    ]
    return [{name: part for name, part in trace.items() if name not in ("observations", "scores")}, *inner]


def _rater(row: _Row) -> Person | None:
    if row.get("source") == "EVAL":
        return Person(row.text("name") or "langfuse-eval", "model")
    return person_of(row.id("authorUserId") or row.id("userId"))


def _chat_of(value: Any, field: str) -> Any:
    """
    Messages out of what an application logged.

        '{"messages": [...]}'                      ->  [...]
        {"choices": [{"message": {"role": ...}}]}  ->  {"role": ...}
    """
    if isinstance(value, str) and value[:1] in ("[", "{", '"'):
        # Blob storage exports hold JSON as text.
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, dict) and "role" not in value and "from" not in value:
        for name in ("messages", "choices", "message", "content"):
            found = value.get(name)
            if name == "choices" and isinstance(found, list) and len(found) == 1:
                return _chat_of(found[0], field)
            if found is not None and name != "choices":
                return found
        raise Refused(field, "must be text, a message or messages")
    return value
