"""
Two small answerers that stand where models would be.

They know sums, a few capitals and how long words are. `brief` says it in few words; `chatty` in many, and gets every
sum above a hundred wrong by one: there has to be something to vote about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_SUM: Final = re.compile(r"(-?\d{1,9})\s*([-+*x×/])\s*(-?\d{1,9})")
_CAPITALS: Final = {
    "austria": "Vienna",
    "brazil": "Brasília",
    "canada": "Ottawa",
    "egypt": "Cairo",
    "france": "Paris",
    "germany": "Berlin",
    "india": "New Delhi",
    "italy": "Rome",
    "japan": "Tokyo",
    "kenya": "Nairobi",
    "mexico": "Mexico City",
    "spain": "Madrid",
}


@dataclass(frozen=True)
class Policy:
    """
    One answerer.

    Attributes:
        model: the model's name.
        checkpoint: the exact version that answers: what makes the data on-policy or not.
        is_chatty: whether it uses many words.
    """

    model: str
    checkpoint: str
    is_chatty: bool

    def stream(self, messages: Sequence[dict[str, Any]]) -> Iterator[str]:
        """The answer to the last message, piece by piece."""
        text = (_chatty if self.is_chatty else _brief)(_fact(messages, is_sloppy=self.is_chatty), messages)
        yield from re.findall(r"\S+\s*", text)


BRIEF: Final = Policy("toy-brief", "toy-brief@1", is_chatty=False)
CHATTY: Final = Policy("toy-chatty", "toy-chatty@4", is_chatty=True)


def _fact(messages: Sequence[dict[str, Any]], is_sloppy: bool) -> str:
    question = str(messages[-1]["content"])
    if found := _SUM.search(question):
        return _sum(int(found[1]), found[2], int(found[3]), is_sloppy)
    words = re.findall(r"[a-zà-ÿ]+", question.lower())
    if country := next((word for word in words if word in _CAPITALS), None):
        return f"The capital of {country.title()} is {_CAPITALS[country]}."
    if "how" in words and ("letters" in words or "long" in words):
        word = max(re.findall(r"\w+", question), key=len)
        return f"“{word}” has {len(word)} letters."
    return ""


def _sum(left: int, sign: str, right: int, is_sloppy: bool) -> str:
    if sign == "/" and right == 0:
        return "Nothing can be divided by zero."
    value = {"+": left + right, "-": left - right, "/": left / right if right else 0}.get(sign, left * right)
    slip = 1 if is_sloppy and value > 100 else 0
    return (
        f"{left} {sign} {right} = {value + slip:g}" if abs(value) < 1e6 else f"{left} {sign} {right} = {value + slip}"
    )


def _brief(fact: str, messages: Sequence[dict[str, Any]]) -> str:
    return fact or "I don't know. I am a toy: ask me a sum, a capital, or how many letters a word has."


def _chatty(fact: str, messages: Sequence[dict[str, Any]]) -> str:
    turn = sum(message["role"] == "user" for message in messages)
    opening = (
        "What a good question!" if turn == 1 else f"This is your question number {turn}, and I enjoy each of them."
    )
    if not fact:
        return (
            f"{opening} Sadly it is beyond me. I am a toy that stands where a model would be, so I know only sums, a "
            "dozen capitals, and how many letters a word has. Would you like to try one of these?"
        )
    return f"{opening} Let me think about it carefully, step by step. {fact} I hope that helps, and please ask me more!"
