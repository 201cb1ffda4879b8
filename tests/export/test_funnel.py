"""Whatever happened, each event is counted once: used, or left out at one step; and rows come from used events alone."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.events import completion, event, records, thumb
from tests.export.conftest import options_of
from tests.warehouse.conftest import LOG
from thumbline_warehouse.export.options import SOURCES
from thumbline_warehouse.export.run import planned_export
from thumbline_warehouse.store import DuckLakeStore
from thumbline_warehouse.urls import WarehouseUrl

ANSWERS = 8
answer = st.integers(0, ANSWERS - 1).map(lambda i: f"a{i}")
# Some raters are models, some withhold their consent, some votes are about what never came.
rater = st.sampled_from([{"id": "r1"}, {"id": "r2"}, {"id": "r3"}, {"id": "judge", "kind": "model"}])
target = st.one_of(answer, st.just("never-came"))
comparison = st.sampled_from(["x0", "x1", "x2", "never-came"])
consent = st.sampled_from(["granted", "granted", "granted", "denied"])


@st.composite
def opinion(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["thumb", "rating", "pick", "ranking", "edit", "signal"]))
    common = {"rater": draw(rater), "training_consent": draw(consent), "seconds": draw(st.integers(0, 9))}
    seconds = common.pop("seconds")
    if kind == "thumb":
        return thumb(draw(target), draw(st.sampled_from(["up", "down", "retracted"])), seconds) | common
    if kind == "rating":
        score = draw(st.sampled_from([1, 2, 3, 4, 5, None]))
        return event("rating", seconds, target_id=draw(target), score=score, **common)
    if kind == "edit":
        text = draw(st.sampled_from(["edited", "answer 1", ""]))
        return event("edit", seconds, target_id=draw(target), response={"role": "assistant", "content": text}, **common)
    if kind == "signal":
        return event("signal", seconds, target_id=draw(target), name="regenerate", **common)
    if kind == "ranking":
        ranks = draw(st.sampled_from([[["a0"], ["a1", "a2"]], [["a0", "a1"]], [], [["a1"], ["a0"], ["a5"]]]))
        return event("ranking", seconds, target_id=draw(comparison), ranks=ranks, **common)
    outcome = draw(st.sampled_from(["winner", "winner", "tie", "both_bad", "skip", "retracted"]))
    winner = {"winner_id": draw(answer)} if outcome == "winner" else {}
    return event("pick", seconds, target_id=draw(comparison), outcome=outcome, **winner, **common)


def answers() -> list[dict[str, Any]]:
    made = []
    for i in range(ANSWERS):
        text = "" if i == 7 else f"answer {i // 2 if i > 4 else i}"
        at = f"2026-11-24T10:0{i}:00Z"
        made.append(completion(f"a{i}", f"question {i // 4}", text, occurred_at=at, conversation_id=f"c{i // 4}"))
    made += [
        event("comparison", comparison_id=f"x{i}", completion_ids=ids)
        for i, ids in enumerate([["a0", "a1", "a2"], ["a2", "a3"], ["a4", "a0"]])
    ]
    return made


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("kto", {}),
    ("kto", {"unpair_picks": True, "ties": "keep-kto", "max_per_rater": 2}),
    ("kto", {"conflicts": "keep", "max_per_prompt": 2}),
    ("kto", {"conflicts": "drop", "balance": 1, "consent": "any", "raters": ["human", "model"]}),
    ("pairs", {}),
    ("pairs", {"conflicts": "majority", "min_agreement": 0.6}),
    ("pairs", {"nway": "all", "implicit_regenerate": True, "max_per_rater": 2, "max_per_conversation": 3}),
    ("reward", {"sources": ["regenerate", "edit"]}),
    ("sft", {"min_votes": 2}),
    ("prompts", {"dedupe": "none"}),
]


@given(drawn=st.lists(opinion(), min_size=1, max_size=25))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.slow
def test_each_event_is_in_one_place(tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, Any]]) -> None:
    url = WarehouseUrl.parse(f"ducklake:{tmp_path_factory.mktemp('funnel')}/catalog.sqlite")
    with closing(DuckLakeStore(url)) as store:
        store.land(LOG, [records([*answers(), *drawn])])
    for kind, options in VARIANTS:
        with planned_export(url, options_of(kind, **options)) as (db, planned):
            funnel = planned.funnel
            sources = options.get("sources") or SOURCES[kind]
            kinds = [("signal" if source == "regenerate" else source) for source in sources] or ["completion"]
            seen = sum(db.execute("SELECT count(*) FROM events WHERE kind = ?", [name]).fetchone()[0] for name in kinds)
            # Thumbs that are the evidence of a regenerated answer are seen through it.
            extra = funnel.seen - seen
            assert extra == 0 or ("regenerate" in sources and "thumb" not in sources and extra > 0)
            assert funnel.seen == funnel.used + sum(funnel.dropped.values())
            assert all(entry["used"] <= entry["seen"] for entry in funnel.by_source.values())
            used = db.execute(
                "SELECT count(DISTINCT c.event_key) FROM contributions c JOIN plan p USING (row_key) WHERE c.reason IS NULL"
            ).fetchone()[0]
            assert used == funnel.used
            assert db.execute("SELECT count(*), count(DISTINCT row_key) FROM plan").fetchone() == (funnel.rows,) * 2
            without = db.execute(
                "SELECT count(*) FROM plan WHERE row_key NOT IN (SELECT row_key FROM contributions WHERE reason IS NULL AND row_key IS NOT NULL)"
            ).fetchone()
            assert without == (0,)
