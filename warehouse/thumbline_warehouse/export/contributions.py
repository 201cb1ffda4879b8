"""
The table `contributions`: one row for each part that an event has in a row to come, or the reason why it has none.

    event_key | rule    | rater | label | row_key | reason
    e1        | thumb/1 | 7c…   | true  | 41…     |            in the row 41…
    e2        | thumb/1 | 90…   | false |         | orphan     left out

Everything that is told about an export is told from here: the funnel, what a row came from, which rows
an event is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from .funnel import Funnel


@dataclass(frozen=True)
class Rule:
    """
    One way from feedback to rows, named and versioned.

    Attributes:
        name: `<what>/<version>`; stands on each row and in the manifest.
        source: kind of event that it reads.
        says: the rule, in one sentence.
    """

    name: str
    source: str
    says: str


RULES: Final = (
    Rule("thumb/1", "thumb", "up is desirable, down is not"),
    Rule("rating/1", "rating", "a rating from rating_up on is desirable, up to rating_down is not"),
    Rule("both_bad/1", "pick", "of a comparison whose answers are all bad, none is desirable"),
    Rule("tie/1", "pick", "of a comparison whose answers are all good, each is desirable"),
    Rule("unpair/1", "pick", "the picked answer is desirable, the others are not"),
    Rule("pick/1", "pick", "the picked answer over another of the comparison"),
    Rule("ranking/1", "ranking", "an answer over one of a lower rank"),
    Rule("edit/1", "edit", "the edited answer over the original"),
    Rule("sibling/1", "thumb", "an answer that people liked over one to the same prompt that they did not"),
    Rule("rating_pair/1", "rating", "of two answers to one prompt, the one that a rater rated higher"),
    Rule("regenerate/1", "regenerate", "the regenerated answer over the first, where a thumb says so"),
    Rule("prompt/1", "answer", "the prompt of an answer"),
)
_RATERS: Final = ("human", "model", "rule")


def make_table(db: duckdb.DuckDBPyConnection, columns: dict[str, str]) -> None:
    """Make `contributions`, empty, with a kind's own columns beside the common ones."""
    own = "".join(f", {name} {type_}" for name, type_ in columns.items())
    db.execute(
        "CREATE OR REPLACE TEMP TABLE contributions (event_key UUID, rule USMALLINT, rater_kind UTINYINT, "
        f"rater UBIGINT, occurred_at TIMESTAMP, row_key UUID, reason VARCHAR{own})"
    )


def bit(rule: str) -> int:
    """A rule's bit: the rules of a row are a sum of them."""
    return 1 << [known.name for known in RULES].index(rule)


def rater_bit(kind: str) -> str:
    """SQL: the bit of a kind of rater; 0 where there is none."""
    return f"CASE {kind} WHEN 'human' THEN 1 WHEN 'model' THEN 2 WHEN 'rule' THEN 4 ELSE 0 END"


def names_of(bits: str, names: Sequence[str]) -> str:
    """SQL: the names whose bits are set, joined with `+`; bit i is names[i]."""
    cases = ", ".join(f"CASE WHEN {bits} & {1 << i} > 0 THEN '{name}' END" for i, name in enumerate(names))
    return f"concat_ws('+', {cases})"


def rules_of(bits: str) -> str:
    """SQL: names of the rules, e.g. `thumb/1` or `thumb/1+rating/1`."""
    return names_of(bits, [rule.name for rule in RULES])


def first_rule(bits: str) -> str:
    """SQL: name of the first of the rules."""
    return "CASE " + " ".join(f"WHEN {bits} & {1 << i} > 0 THEN '{r.name}'" for i, r in enumerate(RULES)) + " END"


def sources_of(bits: str) -> str:
    """SQL: kinds of event, e.g. `thumb`."""
    sources = list(dict.fromkeys(rule.source for rule in RULES))
    masks = {s: sum(bit(rule.name) for rule in RULES if rule.source == s) for s in sources}
    cases = ", ".join(f"CASE WHEN {bits} & {mask} > 0 THEN '{source}' END" for source, mask in masks.items())
    return f"concat_ws('+', {cases})"


def raters_of(bits: str) -> str:
    """SQL: kinds of rater, e.g. `human` or `human+model`."""
    return names_of(bits, _RATERS)


def funnel(db: duckdb.DuckDBPyConnection, order: Sequence[str]) -> Funnel:
    """
    Count what became of each event, once: an event in any row is used, another left at its earliest step.

    Args:
        db: holds `contributions` and `rows`.
        order: names of the steps in order.
    """
    # Most events have one part; only the others are grouped.
    db.execute(
        "CREATE OR REPLACE TEMP TABLE parts AS SELECT event_key FROM contributions GROUP BY 1 HAVING count(*) > 1"
        if _has_many(db)
        else "CREATE OR REPLACE TEMP TABLE parts AS SELECT NULL::UUID AS event_key WHERE false"
    )
    steps = "[" + ", ".join(f"'{name}'" for name in order) + "]"
    rows = db.execute(
        f"""WITH said AS (SELECT c.event_key, {sources_of("c.rule")} AS source, coalesce(c.reason, r.reason) AS reason
                          FROM contributions c LEFT JOIN (SELECT row_key, reason FROM rows WHERE reason IS NOT NULL) r
                            ON r.row_key = c.row_key),
                 many AS (SELECT event_key, min(source) AS source, CASE WHEN bool_or(reason IS NULL) THEN NULL
                                 ELSE arg_min(reason, list_position({steps}, reason)) END AS reason
                          FROM said SEMI JOIN parts USING (event_key) GROUP BY event_key)
            SELECT source, reason, count(*) FROM (SELECT event_key, source, reason FROM said ANTI JOIN parts USING (event_key)
                                                  UNION ALL SELECT * FROM many) GROUP BY ALL"""
    ).fetchall()
    (count,) = db.execute("SELECT count(*) FROM rows WHERE reason IS NULL").fetchone() or (0,)
    return _funnel(rows, order, count)


def _has_many(db: duckdb.DuckDBPyConnection) -> bool:
    # Thumbs and ratings of answers have one part each; every other rule may give an event several.
    one_each = bit("thumb/1") | bit("rating/1") | bit("prompt/1") | bit("edit/1")
    (others,) = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM contributions WHERE rule & {one_each} = 0 LIMIT 1)"
    ).fetchone() or (0,)
    return bool(others)


def _funnel(rows: list[tuple[str, str | None, int]], order: Sequence[str], count: int) -> Funnel:
    dropped = dict.fromkeys(order, 0)
    by_source: dict[str, dict[str, int]] = {}
    used = 0
    for source, reason, events in sorted(rows, key=str):
        entry = by_source.setdefault(source, {"seen": 0, "used": 0})
        entry["seen"] += events
        if reason is None:
            used += events
            entry["used"] += events
        else:
            dropped[reason] += events
    return Funnel(used + sum(dropped.values()), dropped, used, by_source, count)
