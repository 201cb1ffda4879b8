"""What was said so far: each answer with the messages before it, so that a conversation can go on from any of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from .policies import Policy

_KEPT: Final = 10_000


@dataclass(frozen=True)
class Turn:
    """
    One answer.

    Attributes:
        answer_id: its id.
        owner: the person who asked.
        conversation_id: the conversation.
        messages: all before the answer, as the model saw it.
        text: the answer.
        policy: who wrote it.
    """

    answer_id: str
    owner: str
    conversation_id: str
    messages: tuple[dict[str, Any], ...]
    text: str
    policy: Policy

    def going_on(self, question: str) -> tuple[dict[str, Any], ...]:
        """The messages of the next turn."""
        return (*self.messages, {"role": "assistant", "content": self.text}, {"role": "user", "content": question})


class Turns:
    """The last turns of all people, in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: OrderedDict[str, Turn] = OrderedDict()

    def put(self, turn: Turn) -> None:
        """Keep a turn."""
        with self._lock:
            self._turns[turn.answer_id] = turn
            while len(self._turns) > _KEPT:
                self._turns.popitem(last=False)

    def get(self, answer_id: str, owner: str) -> Turn | None:
        """A person's own turn; None where there is none of this id."""
        with self._lock:
            turn = self._turns.get(answer_id)
        return turn if turn is not None and turn.owner == owner else None
