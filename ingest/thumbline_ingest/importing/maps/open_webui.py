"""Open WebUI: the export of its feedbacks (Admin panel, Evaluations)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .. import values
from ..chat import ChatMessage
from ..drafts import Draft, Drafts, Person
from ..record import Record
from ..refused import Refused
from .base import Answer, OneByOne, person_of, vote_of


class OpenWebUi(OneByOne):
    """
    A feedback with the snapshot of its chat.

        {"id": "f1", "user_id": "u1", "type": "rating", "updated_at": 1764000000,
         "data": {"rating": 1, "model_id": "acme-7b", "reason": "helpful", "details": {"rating": 8}},
         "meta": {"chat_id": "k1", "message_id": "m2"},
         "snapshot": {"chat": {"chat": {"history": {"messages": {"m1": {...}, "m2": {...}}}}}}}
        ->  a completion `m2`, a thumb up with the tag `helpful`, and a rating 8 of 1 to 10

    The other answers of an arena chat make no pick: a thumb on one of them says nothing of the others.
    """

    name: ClassVar[str] = "open-webui"
    required: ClassVar[tuple[str, ...]] = ("data", "meta")
    optional: ClassVar[tuple[str, ...]] = ()

    def drafts(self, record: Record) -> Drafts:
        """The events of a feedback."""
        data, meta = record.inner("data"), record.inner("meta")
        at = record.time("updated_at") or record.time("created_at")
        chat_id = meta.id("chat_id")
        owner = _chat_owner(record)
        votes = _votes(data)
        if not votes:
            return Drafts((), record.id("id"))
        target_id = meta.id("message_id")
        if target_id is None:
            raise Refused("meta.message_id", "is missing: there is no saying which answer is meant")
        rater = _rater(record.id("user_id"), owner)
        events = [
            Draft(kind, {"target_id": target_id, **fields}, at, rater, conversation_id=chat_id)
            for kind, fields in votes
        ]
        answer = self._answer(record, target_id, data.text("model_id"))
        if answer is not None:
            events.insert(0, answer.draft(owner, chat_id))
        return Drafts(tuple(events), record.id("id"))

    def _answer(self, record: Record, message_id: str, model: str | None) -> Answer | None:
        history = _history(record)
        said = history.get(message_id)
        if said is None:
            # Some exports leave the snapshot out: the vote stays, and joins when its answer comes.
            return None
        prompt = _before(said, history)
        system = _system(record)
        if system and not any(one["role"] == "system" for one in prompt):
            prompt.insert(0, {"role": "system", "content": system})
        return Answer(
            prompt,
            {"role": "assistant", "content": said.text("content")},
            said.text("model") or model or self.options.model,
            message_id,
            at=said.time("timestamp"),
        )


def _votes(data: Record) -> list[tuple[str, dict[str, Any]]]:
    votes: list[tuple[str, dict[str, Any]]] = []
    rating = data.get("rating")
    # 0 and "" are what is left of a vote that was taken back.
    if rating not in (None, 0, "0", ""):
        remark: dict[str, Any] = {}
        comment, reason = data.text("comment"), data.get("reason")
        if comment:
            remark["comment"] = comment
        if reason:
            remark["tags"] = values.tags(reason, "data.reason")
        votes.append(("thumb", {"value": vote_of(rating, "data.rating", {}), **remark}))
    detail = data.inner("details").get("rating")
    if detail is not None:
        score = values.number(detail, "data.details.rating")
        votes.append(("rating", {"score": score, "scale_min": 1.0, "scale_max": 10.0}))
    return votes


def _rater(user_id: str | None, owner: str | None) -> Person | None:
    return person_of(user_id, wrote_prompt=None if user_id is None or owner is None else user_id == owner)


def _snapshot(record: Record) -> list[Record]:
    # The chat as its table has it, and within it the chat as the browser has it.
    snapshot = record.inner("snapshot")
    outer = snapshot.inner("chat")
    return [outer.inner("chat"), outer, snapshot]


def _chat_owner(record: Record) -> str | None:
    return record.inner("snapshot").inner("chat").id("user_id")


def _system(record: Record) -> str | None:
    for place in _snapshot(record):
        found = place.inner("params").text("system") or place.text("system")
        if found:
            return found
    return None


def _history(record: Record) -> dict[str, Record]:
    for place in _snapshot(record):
        found = place.inner("history").get("messages")
        if isinstance(found, Mapping) and found:
            return {str(key): Record(one) for key, one in found.items() if isinstance(one, dict)}
        if isinstance(found, list) and found:
            return {str(one.get("id")): Record(one) for one in found if isinstance(one, dict)}
    return {}


def _before(said: Record, history: Mapping[str, Record]) -> list[ChatMessage]:
    """What came before a message, along its branch."""
    found: list[ChatMessage] = []
    seen: set[str] = set()
    parent = said.id("parentId")
    while parent is not None and parent in history and parent not in seen:
        seen.add(parent)
        one = history[parent]
        found.append({"role": one.text("role"), "content": one.text("content")})
        parent = one.id("parentId")
    return found[::-1]
