"""Consent decides what trains: one table of who said what when, and every place that must say the same."""

from __future__ import annotations

from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.events import at, completion, event, records, thumb
from tests.export.conftest import options_of
from tests.warehouse.conftest import LOG
from thumbline_warehouse.closeup import Closeup
from thumbline_warehouse.connect import connect
from thumbline_warehouse.export import Export, affected, export
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

# What the event says itself -> what its person says, and when -> what is in force.
TABLE = {
    "granted": {
        "none": "granted",
        "granted before": "granted",
        "granted after": "granted",
        "withdrawn before": "granted",
        "withdrawn after": "denied",
        "granted before, withdrawn after": "denied",
        "withdrawn after, granted again": "granted",
    },
    "denied": dict.fromkeys(
        (
            "none",
            "granted before",
            "granted after",
            "withdrawn before",
            "withdrawn after",
            "granted before, withdrawn after",
            "withdrawn after, granted again",
        ),
        "denied",
    ),
    "unknown": {
        "none": "unknown",
        "granted before": "granted",
        "granted after": "granted",
        "withdrawn before": "denied",
        "withdrawn after": "denied",
        "granted before, withdrawn after": "denied",
        "withdrawn after, granted again": "granted",
    },
}
CASES = [(role, own, person) for role, own in product(("author", "rater"), TABLE) for person in TABLE[own]]
KINDS = ("kto", "pairs", "reward", "sft", "prompts")

_AT = 100
_WORDS = {"granted": "granted", "withdrawn": "denied"}


def _words(person: str) -> list[tuple[float, str]]:
    """When a person said what."""
    if person == "none":
        return []
    if person == "withdrawn after, granted again":
        return [(200, "denied"), (300, "granted")]
    return [(0 if part.split()[1] == "before" else 200, _WORDS[part.split()[0]]) for part in person.split(", ")]


def _chat(case: int, role: str, own: str) -> list[dict[str, Any]]:
    """Two answers to a prompt of the case's own, a thumb up and a pick; the case's person wrote it or judges it."""
    person = f"person-{case}"
    author = {"author": person, "training_consent": own} if role == "author" else {}
    rater = person if role == "rater" else f"other-{case}"
    judges = {"training_consent": own} if role == "rater" else {}
    a, b, pair = f"a{case}", f"b{case}", f"p{case}"
    return [
        completion(a, f"Question {case}?", "Good.", occurred_at=at(_AT), **author),
        completion(b, f"Question {case}?", "Bad.", occurred_at=at(_AT), **author),
        event("comparison", _AT, comparison_id=pair, completion_ids=[a, b]),
        thumb(a, "up", _AT, rater=rater, **judges),
        event("pick", _AT, target_id=pair, outcome="winner", winner_id=a, rater={"id": rater}, **judges),
    ]


class _Site:
    """A warehouse with every case, an export of each kind from before the later words, and the ids of the votes."""

    def __init__(self, folder: Path) -> None:
        self.url = WarehouseUrl.parse(f"ducklake:{folder}/warehouse/catalog.sqlite")
        self.votes: list[str] = []
        first: list[dict[str, Any]] = []
        later: list[dict[str, Any]] = []
        for case, (role, own, person) in enumerate(CASES):
            chat = _chat(case, role, own)
            self.votes.append(chat[3]["event_id"])
            first += chat
            for when, word in _words(person):
                said = event("consent", when, rater={"id": f"person-{case}"}, training_consent=word)
                (first if when < _AT else later).append(said)
        with closing(DuckLakeStore(self.url)) as store:
            store.land(LOG, [records(first)])
            self.before = {kind: self._export(folder / f"before-{kind}", kind) for kind in KINDS}
            store.land(LOG, [records(later, len(first))])
        self.after = {kind: self._export(folder / f"after-{kind}", kind) for kind in KINDS}

    def _export(self, folder: Path, kind: str) -> Export:
        return export(self.url, folder, options_of(kind, allow_one_label=True))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> _Site:
    return _Site(tmp_path_factory.mktemp("consent"))


def _cases_in(made: Export) -> set[int]:
    return {int(row["prompt"][0]["content"].split()[1].rstrip("?")) for row in made.rows()}


def _expected(kind: str) -> set[int]:
    """A prompt has an author and no rater."""
    return {
        case
        for case, (role, own, person) in enumerate(CASES)
        if TABLE[own][person] == "granted" or (kind == "prompts" and role == "rater")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_has_what_is_granted_and_nothing_else(site: _Site, kind: str) -> None:
    assert _cases_in(site.after[kind]) == _expected(kind)


def test_the_view_says_the_same(site: _Site) -> None:
    with closing(connect(site.url, read_only=True)) as db:
        found = db.execute(
            "SELECT event_id::VARCHAR, kind, person_id, consent FROM consent_in_force WHERE person_id LIKE 'person-%'"
        ).fetchall()
    says: dict[int, set[tuple[str, str]]] = {}
    for _, kind, person, consent in found:
        says.setdefault(int(person.removeprefix("person-")), set()).add((kind, consent))
    for case, (role, own, person) in enumerate(CASES):
        kinds = {"completion"} if role == "author" else {"thumb", "pick"}
        assert says[case] == {(kind, TABLE[own][person]) for kind in kinds}, CASES[case]


def test_the_search_of_the_status_page_says_the_same(site: _Site) -> None:
    with closing(connect(site.url, read_only=True)) as db:
        closeup = Closeup(db)
        for case, (role, own, person) in enumerate(CASES):
            rows = closeup.look(site.votes[case]).rows["kto"]
            if TABLE[own][person] == "granted":
                assert len(rows.rows) == 1, CASES[case]
            else:
                assert rows.rows == [], CASES[case]
                assert set(rows.reasons) == {"answer_consent" if role == "author" else "vote_consent"}, CASES[case]


@pytest.mark.parametrize("kind", KINDS)
def test_affected_names_what_was_taken_back_since_and_nothing_else(site: _Site, kind: str) -> None:
    """Rows that the first export has and that the same export could not have now."""
    made = site.before[kind]
    rows = list(made.rows())
    found = affected(site.url, made.folder)
    named = {int(rows[one.row]["prompt"][0]["content"].split()[1].rstrip("?")) for one in found}
    assert named == _cases_in(made) - _expected(kind)
    assert named
    assert {(one.why, one.person_id) for one in found} == {("consent_withdrawn", f"person-{case}") for case in named}
