"""FastChat and what follows its form: battles of two models."""

from __future__ import annotations

from typing import ClassVar, Final

from .. import chat
from ..drafts import Draft, Drafts, comparison
from ..record import Record
from ..refused import Refused
from .base import Answer, OneByOne, person_of

# The winner's side, or the outcome where there is none.
_RESULTS: Final = {
    "model_a": "a",
    "model_b": "b",
    "tie": "tie",
    "tie (bothbad)": "both_bad",
    "bothbad": "both_bad",
    "both_bad": "both_bad",
}


class FastChat(OneByOne):
    """
    A battle.

        {"question_id": "q1", "model_a": "acme-7b", "model_b": "acme-13b", "winner": "model_b", "judge": "arena_user_5",
         "conversation_a": [{"role": "user", ...}, {"role": "assistant", ...}], "conversation_b": [...],
         "tstamp": 1764000000.5}
        ->  2 completions, a comparison in the order shown (a left, b right), and a pick of b

    Where the battle went over several turns, each side keeps its own turns as its prompt.
    """

    name: ClassVar[str] = "fastchat"
    required: ClassVar[tuple[str, ...]] = ("model_a", "model_b", "winner", "conversation_a", "conversation_b")
    optional: ClassVar[tuple[str, ...]] = ()

    def drafts(self, record: Record) -> Drafts:
        """The events of a battle."""
        first, second = self._answer(record, "a"), self._answer(record, "b")
        result = _RESULTS.get(str(record.need("winner")).lower())
        if result is None:
            raise Refused("winner", f"must be one of {', '.join(_RESULTS)}")
        comparison_id, order = comparison(first.completion_id, second.completion_id, is_order_known=True)
        battle, at = record.id("question_id"), record.time("tstamp")
        fields = {"target_id": comparison_id, "outcome": result}
        if result in ("a", "b"):
            winner = first if result == "a" else second
            fields |= {"outcome": "winner", "winner_id": winner.completion_id}
        sides = {"comparison_id": comparison_id, "completion_ids": order}
        return Drafts(
            (
                first.draft(conversation_id=battle),
                second.draft(conversation_id=battle),
                Draft("comparison", sides, at, conversation_id=battle),
                Draft("pick", fields, at, person_of(record.id("judge")), conversation_id=battle),
            ),
            battle,
        )

    def _answer(self, record: Record, side: str) -> Answer:
        column = f"conversation_{side}"
        turns = chat.messages(record.need(column), column)
        if not turns:
            raise Refused(column, "is empty")
        model = record.text(f"model_{side}") or self.options.model
        return Answer(turns[:-1], turns[-1], model, at=record.time("tstamp"))
