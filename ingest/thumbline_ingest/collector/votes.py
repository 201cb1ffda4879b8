"""
Makes events of what a page sends: opens the receipts and fills in what only they may say.

    {"kind": "thumb", "event_id": "0192...", "occurred_at": "...", "value": "up", "receipt": "tlr1..."}
    ->  {..., "target_type": "completion", "target_id": "answer-1", "rater": {"id": "h1:9c..."}}
        and beside it {"receipt": {"key": "abcd1234", "event_id": "0192...", "issued_at": 1764000000}}

The event that comes out goes the same way as one from a server. `receipt` says how it came, and is
kept in `extra`; no server may send a field of that name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from thumbline.events import KINDS, UUID_PATTERN, fields_of
from thumbline.problems import Problem
from thumbline.receipts import VOTE_KINDS, Receipt, ReceiptRefused, read_receipt
from thumbline_ingest.keys import KeyStore

from . import strict
from .batch import Made
from .times import PageClock, PageClocks
from .verdicts import Rejection

FROM_RECEIPT: Final = frozenset({"target_type", "target_id", "rater", "conversation_id", "training_consent", "app"})
"""Fields of events that a receipt alone decides."""

PAGE_FIELDS: Final = {kind: fields_of(kind) - FROM_RECEIPT | {"receipt"} for kind in VOTE_KINDS}
"""Kind -> the fields that a page may send. Everything else is refused: a page's word is no evidence."""

# What a page might try to say about what was shown, and to whom: the answer says where it belongs.
_NOT_THE_PAGES: Final = FROM_RECEIPT | {
    *("project", "order", "probability", "answers", "completion_id", "completion_ids", "comparison_id"),
    *("rater_id", "author"),
}

_UUID: Final = re.compile(UUID_PATTERN)
_encode: Final = msgspec.json.Encoder().encode


class VoteRefused(Exception):
    """A vote that is no event; holds what is wrong with it."""

    project: str | None = None

    def __init__(self, field: str, message: str, allowed: Iterable[str] | None = None) -> None:
        super().__init__(f"{field}: {message}")
        self.problems = [Problem(field, message, None if allowed is None else list(allowed))]


class Vote(NamedTuple):
    """
    A page's event with its receipt opened.

    Attributes:
        project: what its receipt's key writes to.
        made: the whole event, and how it came.
        event_id: its id as the page has it.
        opinion: names rater and thing, for the limit on what one receipt may send.
    """

    project: str
    made: Made
    event_id: str | None
    opinion: str


class Votes:
    """
    Opens receipts with the keys of a store.

    Args:
        keys: the store.
        clocks: of the pages.
    """

    def __init__(self, keys: KeyStore, clocks: PageClocks) -> None:
        self._keys = keys
        self._clocks = clocks

    def open(self, event: dict[str, Any], clock: PageClock, changed: frozenset[str] = frozenset()) -> Vote | Rejection:
        """
        The event in one entry of a page's request, or why it is none.

        Args:
            event: the entry, as it was read; changed.
            clock: the page's.
            changed: its fields that are not as they were written.
        """
        try:
            return self._opened(event, clock, changed)
        except VoteRefused as refusal:
            return Rejection(refusal.problems, _own_id(event), _own_kind(event), refusal.project)

    def _opened(self, event: dict[str, Any], clock: PageClock, changed: frozenset[str]) -> Vote:
        key_id, receipt = self._receipt(event.pop("receipt", None), clock)
        project = self._keys.project(key_id)
        if project is None:  # revoked within this very moment
            raise VoteRefused("receipt", "was minted with a key that has been revoked just now")
        try:
            _check_kind(event, receipt)
            _check_fields(event)
            _check_answers(event, receipt)
        except VoteRefused as refusal:
            refusal.project = project
            raise
        own_id = _own_id(event)
        # Before anything is filled in: what a page sends again is the same, whatever its receipt and the clock say.
        said = hash(_encode(event))
        opinion = "\0".join((project, receipt.target_type, receipt.target_id, receipt.rater_id))
        if own_id is not None:
            event["event_id"] = landed_id(own_id, opinion, event["kind"])
        if isinstance(event.get("occurred_at"), str):
            shift_ms = self._clocks.shift_ms(f"{project}\0{receipt.rater_id}", clock)
            event["occurred_at"], order = clock.corrected(event["occurred_at"], receipt.issued_at, shift_ms)
            if order is not None:
                event["sequence"] = order
        event |= _said_by(receipt)
        made = Made(_encode(event), {"receipt": _provenance(key_id, receipt, own_id)}, said, changed)
        return Vote(project, made, own_id, opinion)

    def _receipt(self, text: object, clock: PageClock) -> tuple[str, Receipt]:
        if not isinstance(text, str):
            raise VoteRefused("receipt", "is missing: a page's event needs the text that Client.receipt returned")
        try:
            return read_receipt(text, self._keys.signer, clock.now_ms / 1000)
        except ReceiptRefused as refusal:
            raise VoteRefused("receipt", str(refusal)) from None


def landed_id(own_id: str, opinion: str, kind: str) -> str:
    """
    The id under which a page's event lands: derived from its own, its kind and what its receipt is for.

    So no page can take an id that an event of the back end, or of another rater, is to have: that one
    would count as a repeat. The same event with any receipt for the same rater and thing has the same id.
    The time at the beginning of a UUIDv7 stays; other ids become UUIDv8.

    Args:
        own_id: as the page has it.
        opinion: from `Vote`; names the project.
        kind: the event's.
    """
    digest = hashlib.sha256(f"{opinion}\0{kind}\0{own_id}".encode()).hexdigest()
    head, version = (own_id[:14], "7") if own_id[14] == "7" else (f"{digest[32:40]}-{digest[40:44]}-", "8")
    variant = "89ab"[int(digest[0], 16) & 0x3]
    return f"{head}{version}{digest[1:4]}-{variant}{digest[4:7]}-{digest[7:19]}"


def _check_kind(event: dict[str, Any], receipt: Receipt) -> None:
    kind = event.get("kind")
    if not isinstance(kind, str) or kind not in VOTE_KINDS:
        raise VoteRefused("kind", "must be one that a page may send: " + ", ".join(VOTE_KINDS), VOTE_KINDS)
    if kind not in receipt.kinds:
        raise VoteRefused("kind", "is not among those that the receipt allows: mint it with kinds=", receipt.kinds)


def _check_fields(event: dict[str, Any]) -> None:
    for name in event.keys() - PAGE_FIELDS[event["kind"]]:
        # A name is the sender's own words: repeated only where it is one of ours.
        if name in _NOT_THE_PAGES:
            raise VoteRefused(name, "comes from the receipt alone: leave it out")
        raise VoteRefused(
            strict.plain_name(name),
            "is no field that a page may send: what the host wants to keep goes into properties",
        )


def _check_answers(event: dict[str, Any], receipt: Receipt) -> None:
    # Whether they are well formed is for the contract to say.
    winner = event.get("winner_id")
    if isinstance(winner, str) and winner not in receipt.order:
        raise VoteRefused("winner_id", "must be one of the answers that the receipt names")
    groups = event.get("ranks")
    for group in groups if isinstance(groups, list) else ():
        for answer in group if isinstance(group, list) else ():
            if isinstance(answer, str) and answer not in receipt.order:
                raise VoteRefused("ranks", "must hold answers that the receipt names")


def _own_id(event: dict[str, Any]) -> str | None:
    event_id = event.get("event_id")
    return event_id if isinstance(event_id, str) and _UUID.fullmatch(event_id) else None


def _own_kind(event: dict[str, Any]) -> str | None:
    kind = event.get("kind")
    return kind if isinstance(kind, str) and kind in KINDS else None


def _said_by(receipt: Receipt) -> dict[str, Any]:
    rater: dict[str, Any] = {"id": receipt.rater_id}
    if receipt.wrote_prompt is not None:
        rater["wrote_prompt"] = receipt.wrote_prompt
    said: dict[str, Any] = {"target_type": receipt.target_type, "target_id": receipt.target_id, "rater": rater}
    conversation = receipt.target_id if receipt.target_type == "conversation" else receipt.conversation_id
    if conversation is not None:
        said["conversation_id"] = conversation
    if receipt.training_consent is not None:
        said["training_consent"] = receipt.training_consent
    if receipt.app is not None:
        said["app"] = receipt.app
    return said


def _provenance(key_id: str, receipt: Receipt, own_id: str | None) -> dict[str, Any]:
    how: dict[str, Any] = {"key": key_id, "event_id": own_id, "issued_at": receipt.issued_at}
    if receipt.order:
        how["order"] = receipt.order
        how["probability"] = receipt.probability
    return how
