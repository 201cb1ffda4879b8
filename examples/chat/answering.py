"""Streams answers, logs them, and mints the receipts with which the page may vote on them."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import thumbline

from .conversations import Turn, Turns
from .policies import BRIEF, CHATTY, Policy


@dataclass(frozen=True)
class Question:
    """
    What a person asks.

    Attributes:
        person: their id in the product; hashed by the client before it leaves the process.
        conversation_id: the conversation.
        messages: as the model sees it, the question last.
        parent_id: the answer that this turn follows or replaces.
    """

    person: str
    conversation_id: str
    messages: tuple[dict[str, Any], ...]
    parent_id: str | None = None


class Answerer:
    """
    Answers with one policy or, on a share of the turns, with both side by side.

    Args:
        tl: the client.
        turns: where answers are kept, to go on from.
        pause_s: seconds between two pieces of a stream.
    """

    def __init__(self, tl: thumbline.Client, turns: Turns, pause_s: float = 0.02) -> None:
        self._tl = tl
        self._turns = turns
        self._pause_s = pause_s
        self._draw = random.SystemRandom()

    def answer(self, question: Question, share: float) -> Iterator[dict[str, Any]]:
        """
        The events of one turn, for the page.

        Args:
            question: what to answer.
            share: probability with which two answers are compared; kept with the comparison.
        """
        if self._draw.random() < share:
            yield from self._compared(question, share)
        else:
            yield from self._single(question, self._draw.choice((BRIEF, CHATTY)))

    def again(self, question: Question, instead_of: Policy) -> Iterator[dict[str, Any]]:
        """The events of a turn that replaces an answer: the other policy writes it."""
        yield from self._single(question, CHATTY if instead_of is BRIEF else BRIEF)

    def _single(self, question: Question, policy: Policy) -> Iterator[dict[str, Any]]:
        answer_id = str(uuid.uuid4())
        yield {"type": "answer", "id": answer_id}
        yield from self._written(question, {answer_id: policy})
        receipt = self._tl.receipt(answer_id, rater=_asker(question), kinds=["thumb", "edit", "exposure", "signal"],
                                   conversation_id=question.conversation_id)  # fmt: skip
        yield {"type": "done", "id": answer_id, "receipt": receipt, "conversation": self._conversation(question)}

    def _compared(self, question: Question, share: float) -> Iterator[dict[str, Any]]:
        policies = {str(uuid.uuid4()): policy for policy in (BRIEF, CHATTY)}
        # Draws the order, every one with the same probability, and records both. The share is the host's own number.
        pair = self._tl.comparison(
            list(policies), conversation_id=question.conversation_id, properties={"comparison_share": share}
        )
        receipt = self._tl.receipt(pair, rater=_asker(question))
        yield {"type": "pair", "id": pair.comparison_id, "order": pair.order, "receipt": receipt}
        yield from self._written(question, policies)
        yield {"type": "done", "id": pair.comparison_id, "conversation": self._conversation(question)}

    def _written(self, question: Question, policies: dict[str, Policy]) -> Iterator[dict[str, Any]]:
        """The answers piece by piece, all at the same time; each is logged when it is complete."""
        started = time.perf_counter()
        streams = {answer_id: policy.stream(question.messages) for answer_id, policy in policies.items()}
        texts = dict.fromkeys(policies, "")
        while streams:
            for answer_id, stream in list(streams.items()):
                piece = next(stream, None)
                if piece is None:
                    del streams[answer_id]
                    self._log(question, policies[answer_id], answer_id, texts[answer_id], started)
                    continue
                texts[answer_id] += piece
                yield {"type": "text", "id": answer_id, "text": piece}
            time.sleep(self._pause_s)

    def _log(self, question: Question, policy: Policy, answer_id: str, text: str, started: float) -> None:
        text = text.strip()
        self._turns.put(Turn(answer_id, question.person, question.conversation_id, question.messages, text, policy))
        self._tl.completion(
            completion_id=answer_id,
            messages=question.messages,
            response=text,
            model=policy.model,
            policy=policy.checkpoint,
            conversation_id=question.conversation_id,
            parent=question.parent_id,
            author=question.person,
            turn=_turn(question.messages),
            latency_ms=(time.perf_counter() - started) * 1000,
        )

    def _conversation(self, question: Question) -> str:
        return self._tl.receipt(thumbline.Conversation(question.conversation_id), rater=question.person)


def _asker(question: Question) -> thumbline.Rater:
    return thumbline.Rater(question.person, wrote_prompt=True)


def _turn(messages: Sequence[dict[str, Any]]) -> int:
    return sum(message["role"] == "assistant" for message in messages)
