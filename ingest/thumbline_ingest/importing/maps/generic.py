"""Maps for tables of any origin, whose columns can be renamed."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar, Final

from .. import chat, values
from ..drafts import Draft, Drafts, comparison, fingerprint
from ..record import Record
from ..refused import Refused
from .base import Answer, OneByOne, person_of, remark_of, vote_of

_COMMON: Final = ("id", "conversation_id", "occurred_at", "rater", "author", "comment")
_OF_ANSWER: Final = ("answer_id", "model", "policy", "finish_reason", "system", "tags")
_OUTCOMES: Final = ("winner", "tie", "both_bad", "skip")


class Pairs(OneByOne):
    """
    Two answers and which is better.

        {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "Lyon."}
        ->  2 completions, a comparison of them, and a pick of the first
    """

    name: ClassVar[str] = "pairs"
    required: ClassVar[tuple[str, ...]] = ("chosen", "rejected")
    optional: ClassVar[tuple[str, ...]] = (
        *_COMMON,
        *("prompt", "system", "tags", "outcome", "tie", "strength", "scale", "margin"),
        *("model", "chosen_model", "rejected_model", "chosen_policy", "rejected_policy", "chosen_id", "rejected_id"),
        *("chosen_finish_reason", "rejected_finish_reason"),
    )

    def drafts(self, record: Record) -> Drafts:
        """The events of a pair."""
        chosen, rejected = self._answers(record)
        comparison_id, order = comparison(chosen.completion_id, rejected.completion_id)
        fields = {"target_id": comparison_id, **_outcome(record, chosen.completion_id), **remark_of(record)}
        conversation_id, at = record.id("conversation_id"), record.time("occurred_at")
        pick = Draft(
            "pick",
            fields,
            at,
            person_of(record.id("rater")),
            conversation_id=conversation_id,
            properties=_margin(record),
        )
        sides = Draft(
            "comparison",
            {"comparison_id": comparison_id, "completion_ids": order},
            at,
            conversation_id=conversation_id,
        )
        author = record.id("author")
        answers = [answer.draft(author, conversation_id) for answer in (chosen, rejected)]
        return Drafts((*answers, sides, pick), record.id("id"))

    def _answers(self, record: Record) -> tuple[Answer, Answer]:
        texts = record.need("chosen"), record.need("rejected")
        columns = record.column("chosen"), record.column("rejected")
        if record.get("prompt") is None:
            prompt, *responses = chat.shared(*texts, columns)
            prompt = _with_system(record, prompt)
        else:
            prompt = _prompt(record)
            responses = [chat.answer(text, prompt, column) for text, column in zip(texts, columns, strict=True)]
        one, other = (
            Answer(
                prompt,
                response,
                record.text(f"{side}_model") or record.text("model") or self.options.model,
                record.id(f"{side}_id"),
                record.text(f"{side}_policy"),
                record.time("occurred_at"),
                record.text(f"{side}_finish_reason"),
            )
            for side, response in zip(("chosen", "rejected"), responses, strict=True)
        )
        return one, other


class _OfOneAnswer(OneByOne):
    """What the maps of an opinion on one answer share."""

    def needed(self, columns: Collection[str]) -> tuple[str, ...]:
        """All that is required; of an answer that the product has logged itself, its id is enough."""
        if self.options.columns.get("answer_id", "answer_id") not in columns:
            return self.required
        return tuple(name for name in self.required if name not in ("prompt", "answer"))

    def _drafts(self, record: Record, kind: str, fields: dict[str, Any]) -> Drafts:
        answer = self._answer(record)
        conversation_id, at = record.id("conversation_id"), record.time("occurred_at")
        target_id = record.id("answer_id") if answer is None else answer.completion_id
        rater = person_of(record.id("rater"))
        remark = remark_of(record)
        if kind == "edit":
            remark.pop("tags", None)
        vote = Draft(kind, {"target_id": target_id, **fields, **remark}, at, rater, conversation_id=conversation_id)
        first = () if answer is None else (answer.draft(record.id("author"), conversation_id),)
        return Drafts((*first, vote), record.id("id"))

    def _answer(self, record: Record) -> Answer | None:
        # An answer that the product has logged itself needs no more than its id.
        if record.get("answer") is None and record.id("answer_id") is not None:
            return None
        prompt = _prompt(record)
        response = chat.answer(record.need("answer"), prompt, record.column("answer"))
        model = record.text("model") or self.options.model
        return Answer(
            prompt,
            response,
            model,
            record.id("answer_id"),
            record.text("policy"),
            record.time("occurred_at"),
            record.text("finish_reason"),
        )


class Thumbs(_OfOneAnswer):
    """
    An answer and whether it is good.

        {"prompt": "Capital of France?", "answer": "Paris.", "label": true}
        ->  a completion and a thumb up
    """

    name: ClassVar[str] = "thumbs"
    required: ClassVar[tuple[str, ...]] = ("prompt", "answer", "label")
    optional: ClassVar[tuple[str, ...]] = (*_COMMON, *_OF_ANSWER)

    def drafts(self, record: Record) -> Drafts:
        """The events of a thumb."""
        vote = vote_of(record.need("label"), record.column("label"), self.options.labels)
        return self._drafts(record, "thumb", {"value": vote})


class Ratings(_OfOneAnswer):
    """
    An answer and its score on a stated scale.

        {"prompt": "Capital of France?", "answer": "Paris.", "score": 4, "scale_min": 1, "scale_max": 5}
        ->  a completion and a rating
    """

    name: ClassVar[str] = "ratings"
    required: ClassVar[tuple[str, ...]] = ("prompt", "answer", "score")
    optional: ClassVar[tuple[str, ...]] = ("scale_min", "scale_max", *_COMMON, *_OF_ANSWER)

    def drafts(self, record: Record) -> Drafts:
        """The events of a rating."""
        score = values.number(record.need("score"), record.column("score"))
        low, high = _scale(record, self.options.scale)
        return self._drafts(record, "rating", {"score": score, "scale_min": low, "scale_max": high})


class Edits(_OfOneAnswer):
    """
    An answer and somebody's better version of it.

        {"prompt": "Capital of France?", "answer": "Lyon.", "edited": "Paris."}
        ->  a completion and an edit
    """

    name: ClassVar[str] = "edits"
    required: ClassVar[tuple[str, ...]] = ("prompt", "answer", "edited")
    optional: ClassVar[tuple[str, ...]] = (*_COMMON, *_OF_ANSWER)

    def drafts(self, record: Record) -> Drafts:
        """The events of an edit."""
        prompt = [] if record.get("prompt") is None else _prompt(record)
        edited = chat.answer(record.need("edited"), prompt, record.column("edited"))
        return self._drafts(record, "edit", {"response": edited})


class Rankings(OneByOne):
    """
    Several answers and their order; equal ranks are a tie, 1 is the best.

        {"prompt": "Capital of France?", "answers": ["Lyon.", "Paris.", "Nice."], "ranks": [2, 1, 2]}
        ->  3 completions, a comparison of them, and a ranking [[Paris.], [Lyon., Nice.]]
    """

    name: ClassVar[str] = "rankings"
    required: ClassVar[tuple[str, ...]] = ("prompt", "answers", "ranks")
    optional: ClassVar[tuple[str, ...]] = (*_COMMON, "models", "model", "system")

    def drafts(self, record: Record) -> Drafts:
        """The events of a ranking."""
        answers = self._answers(record)
        ranks = self._list(record, "ranks", len(answers))
        order = [answer.completion_id for answer in answers]
        comparison_id = f"c-{fingerprint(order)}"
        conversation_id, at = record.id("conversation_id"), record.time("occurred_at")
        comment = record.text("comment")
        fields = {
            "target_id": comparison_id,
            "ranks": _groups(order, [values.number(rank, record.column("ranks")) for rank in ranks]),
            **({"comment": comment} if comment else {}),
        }
        sides = {"comparison_id": comparison_id, "completion_ids": order}
        author = record.id("author")
        return Drafts(
            (
                *(answer.draft(author, conversation_id) for answer in answers),
                Draft("comparison", sides, at, conversation_id=conversation_id),
                Draft("ranking", fields, at, person_of(record.id("rater")), conversation_id=conversation_id),
            ),
            record.id("id"),
        )

    def _answers(self, record: Record) -> list[Answer]:
        prompt, column = _prompt(record), record.column("answers")
        given = self._list(record, "answers")
        models = [record.text("model") or self.options.model] * len(given)
        if record.get("models") is not None:
            models = [values.text(model, record.column("models")) for model in self._list(record, "models", len(given))]
        at = record.time("occurred_at")
        return [
            Answer(prompt, chat.answer(one, prompt, f"{column}.{place}"), model, at=at)
            for place, (one, model) in enumerate(zip(given, models, strict=True))
        ]

    def _list(self, record: Record, name: str, length: int | None = None) -> list[Any]:
        found = record.need(name)
        if isinstance(found, str):
            found = _list_in(found)
        if not isinstance(found, list):
            raise Refused(record.column(name), "must be a list")
        if length is not None and len(found) != length:
            raise Refused(record.column(name), "must have one entry for each answer")
        return found


def _list_in(cell: str) -> Any:
    # A CSV file has no lists.
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _prompt(record: Record) -> list[chat.ChatMessage]:
    return _with_system(record, chat.messages(record.need("prompt"), record.column("prompt")))


def _with_system(record: Record, prompt: list[chat.ChatMessage]) -> list[chat.ChatMessage]:
    system = record.text("system")
    return [{"role": "system", "content": system}, *prompt] if system else prompt


def _outcome(record: Record, chosen_id: str) -> dict[str, Any]:
    outcome = record.text("outcome") or ("tie" if _is_tie(record) else "winner")
    if outcome not in _OUTCOMES:
        raise Refused(record.column("outcome"), f"must be one of {', '.join(_OUTCOMES)}; the winner is the chosen one")
    fields: dict[str, Any] = {"outcome": outcome}
    if outcome == "winner":
        fields["winner_id"] = chosen_id
    for name in ("strength", "scale"):
        if record.get(name) is not None:
            fields[name] = values.whole(record.get(name), record.column(name))
    return fields


def _is_tie(record: Record) -> bool:
    tie = record.get("tie")
    return tie is not None and values.flag(tie, record.column("tie"))


def _margin(record: Record) -> dict[str, Any]:
    margin = record.get("margin")
    return {} if margin is None else {"margin": values.number(margin, record.column("margin"))}


def _scale(record: Record, stated: tuple[float, float] | None) -> tuple[float, float]:
    ends = [record.get("scale_min"), record.get("scale_max")]
    if ends == [None, None] and stated is not None:
        return stated
    if None in ends:
        raise Refused(
            record.column("scale_min"), "the scale is not stated: give --scale MIN:MAX, or columns for both ends"
        )
    low, high = (
        values.number(end, record.column(name)) for end, name in zip(ends, ("scale_min", "scale_max"), strict=True)
    )
    return low, high


def _groups(order: list[str], ranks: list[float]) -> list[list[str]]:
    groups: dict[float, list[str]] = {}
    for answer_id, rank in zip(order, ranks, strict=True):
        groups.setdefault(rank, []).append(answer_id)
    return [groups[rank] for rank in sorted(groups)]
