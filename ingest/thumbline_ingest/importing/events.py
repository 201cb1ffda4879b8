"""From drafts to events: ids that repeat, pseudonyms, and what the whole import shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from thumbline._ids import event_id_from
from thumbline._version import __version__

from .drafts import Draft, Drafts, Person, fingerprint, no_json
from .refused import Refused

NO_TIME: Final = "1970-01-01T00:00:00Z"
"""Of events whose source has no time: any vote whose time is known is later, so it stays the current one."""

# What says that two completions, or two comparisons, are the same, whatever else came with them.
_CONTENT: Final[Mapping[str, tuple[str, ...]]] = {
    "completion": ("messages", "response", "model"),
    "comparison": ("completion_ids",),
}
_THING_ID: Final = {"completion": "completion_id", "comparison": "comparison_id"}


@dataclass(frozen=True)
class Stamp:
    """
    What all events of an import share.

    Attributes:
        project: what they are written to; part of each event's id, which lands once in a whole warehouse.
        source: name of the map.
        batch: name of the delivery.
        cohort: name of the group of raters; None for none.
        consent: `granted`, `denied` or `unknown`.
        rater_kind: of raters whose source does not say.
        rater: id of raters of records that name none; None: each such record is a rater of its own.
        occurred_at: of events whose source has no time.
        pseudonym: hashes the ids of people; None where there is no pepper.
    """

    project: str
    source: str
    batch: str
    cohort: str | None = None
    consent: str = "unknown"
    rater_kind: str = "human"
    rater: str | None = None
    occurred_at: str = NO_TIME
    pseudonym: Callable[[str], str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MadeEvent:
    """
    An event, ready for the contract's check.

    Attributes:
        kind: its kind.
        event_id: its id.
        said: fingerprint of what it says; two events of one id must agree in it.
        data: its JSON.
    """

    kind: str
    event_id: str
    said: str
    data: bytes


class EventMaker:
    """
    Makes events of a record's drafts.

    Ids follow from what the records say, never from the file or from what the stamp says beside project
    and source: the same records again give the same ids.

    Args:
        stamp: what the events share.
        count: how many equal records came before one of this fingerprint.
    """

    def __init__(self, stamp: Stamp, count: Callable[[str], int]) -> None:
        self._stamp = stamp
        self._count = count
        properties = {"batch": stamp.batch, "source": stamp.source}
        self._properties = properties | ({"cohort": stamp.cohort} if stamp.cohort else {})

    def make(self, drafts: Drafts, number: int) -> list[MadeEvent]:
        """
        The events of a record.

        Args:
            drafts: what the map made of it.
            number: the record's place in the import: orders opinions that share a time.

        Raises:
            Refused: the id of a person cannot be hashed.
        """
        people = [self._person(draft.rater) for draft in drafts.events]
        said = [
            fingerprint(draft.kind, _content(draft), *([] if draft.kind in _THING_ID else [draft.at, person]))
            for draft, person in zip(drafts.events, people, strict=True)
        ]
        record = fingerprint(self._stamp.project, self._stamp.source, drafts.own_id, said)
        if drafts.own_id is None:
            # Two equal records without ids are two opinions.
            record = f"{record}/{self._count(record)}"
        return [
            self._event(draft, person, one, f"{record}/{place}", number)
            for place, (draft, person, one) in enumerate(zip(drafts.events, people, said, strict=True))
        ]

    def _event(self, draft: Draft, person: dict[str, Any] | None, said: str, key: str, number: int) -> MadeEvent:
        thing = _THING_ID.get(draft.kind)
        own = key if thing is None else fingerprint(self._stamp.project, draft.kind, draft.fields[thing])
        event_id = event_id_from(f"thumbline-import/{own}", draft.kind)
        event: dict[str, Any] = {
            "kind": draft.kind,
            "event_id": event_id,
            "occurred_at": draft.at or self._stamp.occurred_at,
            "sequence": number,
            "sdk": f"thumbline-import/{__version__}",
            "training_consent": self._stamp.consent,
            "properties": {**draft.properties, **self._properties},
            **draft.fields,
        }
        if draft.conversation_id is not None:
            event["conversation_id"] = draft.conversation_id
        if draft.author is not None:
            event["author"] = self._hashed(draft.author, "author")
        if thing is None:
            event["rater"] = self._rater(draft.rater, person, key)
        return MadeEvent(draft.kind, event_id, said, _encoded(event))

    def _person(self, rater: Person | None) -> dict[str, Any] | None:
        """What the source says of the rater, without the raw id: what an id is made of must not betray it."""
        if rater is None:
            return None
        # Names of models and rules are no people's.
        is_human = (rater.kind or self._stamp.rater_kind) == "human"
        known = {"id": self._hashed(rater.id, "rater") if is_human else rater.id}
        return known if rater.wrote_prompt is None else {**known, "wrote_prompt": rater.wrote_prompt}

    def _rater(self, rater: Person | None, person: dict[str, Any] | None, key: str) -> dict[str, Any]:
        kind = (rater.kind if rater is not None else None) or self._stamp.rater_kind
        if person is not None:
            return {**person, "kind": kind}
        if self._stamp.rater is not None:
            return {**(self._person(Person(self._stamp.rater)) or {}), "kind": kind}
        # One nobody for all would make each vote on an answer take the place of the one before.
        return {"id": f"anonymous:{fingerprint(key.rpartition('/')[0])}", "kind": kind}

    def _hashed(self, raw: str, field_name: str) -> str:
        if self._stamp.pseudonym is None:
            raise Refused(field_name, "names a person, and there is no pepper to hash that with: set THUMBLINE_PEPPER")
        if not raw:
            raise Refused(field_name, "must not be empty")
        return self._stamp.pseudonym(raw)


def _content(draft: Draft) -> dict[str, Any]:
    names = _CONTENT.get(draft.kind)
    return draft.fields if names is None else {name: draft.fields[name] for name in names}


def _encoded(event: dict[str, Any]) -> bytes:
    try:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=no_json).encode()
    except UnicodeEncodeError:
        # Half a character: written as an escape, so that the contract's check can name its field.
        return json.dumps(event, separators=(",", ":"), default=no_json).encode()
