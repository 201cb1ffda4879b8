"""HuggingFace chat-ui: conversations with a score on messages, from its database or its Parquet export."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from .. import values
from ..chat import ChatMessage
from ..drafts import Draft, Drafts
from ..record import Record
from ..refused import Refused
from .base import Answer, OneByOne, person_of

_VOTES: Final = {1: "up", -1: "down", 0: None}


class ChatUi(OneByOne):
    """
    A conversation, of which some answers were judged.

        {"_id": "k1", "model": "acme-7b", "messages": [{"id": "m1", "from": "user", "content": "Hi"},
         {"id": "m2", "from": "assistant", "content": "Hello.", "score": 1}], "updatedAt": "2026-11-24T10:00:00Z"}
        ->  a completion `m2` and a thumb up

    A score of 0 is a vote taken back: none.
    """

    name: ClassVar[str] = "chat-ui"
    required: ClassVar[tuple[str, ...]] = ("messages",)
    optional: ClassVar[tuple[str, ...]] = ()

    def drafts(self, record: Record) -> Drafts:
        """The events of a conversation."""
        said = _messages(record)
        conversation_id = _object_id(record, "_id") or record.id("id")
        user = _object_id(record, "userId") or record.id("sessionId")
        rater = person_of(user, wrote_prompt=None if user is None else True)
        events: list[Draft] = []
        for place, one in enumerate(said):
            vote = _vote(one, f"messages.{place}.score")
            if vote is None:
                continue
            at = _first_time(one, "updatedAt", "createdAt") or _first_time(
                record, "updatedAt", "updated_at", "createdAt", "created_at"
            )
            answer = self._answer(record, said, place, at)
            thumb = {"target_id": answer.completion_id, "value": vote}
            events += [
                answer.draft(user, conversation_id),
                Draft("thumb", thumb, at, rater, conversation_id=conversation_id),
            ]
        return Drafts(tuple(events), conversation_id)

    def _answer(self, record: Record, said: list[Record], place: int, at: str | None) -> Answer:
        one = said[place]
        prompt = [_message(before) for before in _before(one, said[:place])]
        # A system message without text is how chat-ui begins a tree.
        prompt = [before for before in prompt if before["role"] != "system" or before["content"]]
        preprompt = record.text("preprompt")
        if preprompt and not any(before["role"] == "system" for before in prompt):
            prompt.insert(0, {"role": "system", "content": preprompt})
        return Answer(
            prompt,
            _message(one),
            record.text("model") or self.options.model,
            one.id("id"),
            at=_first_time(one, "createdAt") or at,
        )


def _messages(record: Record) -> list[Record]:
    found = record.need("messages")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Refused("messages", "must be a list of messages")
    return [Record(one) for one in found]


def _message(one: Record) -> ChatMessage:
    return {"role": one.text("from"), "content": one.text("content")}


def _before(one: Record, earlier: list[Record]) -> list[Record]:
    ancestors = one.get("ancestors")
    if not isinstance(ancestors, list):
        return earlier
    # Retries and edits make the conversation a tree: only the branch of this answer counts.
    known = {before.id("id"): before for before in earlier}
    return [known[ancestor] for ancestor in ancestors if isinstance(ancestor, str) and ancestor in known]


def _vote(one: Record, field: str) -> str | None:
    score: Any = one.get("score")
    if score is None:
        return None
    found = values.whole(score, field)
    if found not in _VOTES:
        raise Refused(field, "must be 1, 0 or -1")
    return _VOTES[found]


def _object_id(record: Record, name: str) -> str | None:
    found = record.get(name)
    if isinstance(found, dict) and len(found) == 1:
        # MongoDB's tools write {"$oid": "..."}.
        found = next(iter(found.values()))
    return None if found is None else values.identifier(found, name)


def _first_time(record: Record, *names: str) -> str | None:
    return next((found for name in names if (found := record.time(name)) is not None), None)
