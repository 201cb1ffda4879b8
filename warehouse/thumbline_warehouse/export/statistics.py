"""
What a team must be able to see of an export: balance, concentration, agreement, position, length.

Everything is counted on `plan`, without reading a text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import duckdb

from ..schema import listed
from .contributions import raters_of, rules_of, sources_of
from .filters import CUT_OFF
from .funnel import Funnel
from .options import ExportOptions
from .recipe import Recipe
from .splits import NAMES

# Four characters a token, the usual rule of thumb for English; TRL's default max_length is 1024.
_CHARS_PER_TOKEN: Final = 4
_TOKENS: Final = 1024
PAIRED: Final = ("pairs", "reward")


def suggested_weights(desirable: int, undesirable: int, ratio: float = 1.0) -> tuple[float, float]:
    """
    Weights of the two labels for KTO: the rarer class is raised until both weigh the same.

        suggested_weights(900, 100)  ->  (1.0, 9.0)

    The KTO paper (Ethayarajh et al. 2024, arXiv:2402.01306, eq. 9) wants
    `desirable_weight * n_desirable / (undesirable_weight * n_undesirable)` between 1 and 3/2, TRL between
    1 and 4/3; with `ratio` from 1 to 4/3 the result is inside both. A class without rows has weight 1.

    Args:
        desirable: rows with a true label.
        undesirable: rows with a false one.
        ratio: what the quotient is to be.
    """
    if not desirable or not undesirable:
        return 1.0, 1.0
    if desirable >= ratio * undesirable:
        return 1.0, _floor4(desirable / (ratio * undesirable))
    return _ceil4(ratio * undesirable / desirable), 1.0


def statistics(db: duckdb.DuckDBPyConnection, options: ExportOptions, recipe: Recipe, funnel: Funnel) -> dict[str, Any]:
    """The figures of the manifest; those that a kind does not have are left out."""
    found: dict[str, Any] = {}
    if options.kind == "kto":
        found |= _labels(db)
    found["raters"] = _raters(db)
    found["prompts"] = _prompts(db)
    found["models"] = _models(db, options, recipe)
    found["sources"] = _counts(db, sources_of("rule"))
    found["rules"] = _counts(db, rules_of("rule"))
    found["languages"] = _languages(db, recipe)
    found["time"] = _time(db)
    found["quality"] = _quality(db, options, funnel) | _whole(db, options, recipe)
    if options.kind in PAIRED:
        found["wins"] = _wins(db)
    if options.kind == "reward":
        found["margins"] = _counts(db, "printf('%g', margin)") if options.output.margin == "strength" else {}
    return found


def _labels(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rows = db.execute(
        "SELECT split, count(*) FILTER (label), count(*) FILTER (NOT label) FROM plan GROUP BY split ORDER BY split"
    ).fetchall()
    up, down = sum(row[1] for row in rows), sum(row[2] for row in rows)
    train = next(((row[1], row[2]) for row in rows if row[0] == 0), (0, 0))
    desirable, undesirable = suggested_weights(*train)
    notes = []
    if max(train) > 10 * max(1, min(train)):
        notes.append("beyond 10:1 the paper has no evidence for weights: leaving out rows (balance) is the other way")
    return {
        "labels": {
            "desirable": up,
            "undesirable": down,
            "majority_share": round(max(up, down) / max(1, up + down), 4),
            "splits": {NAMES[split]: {"desirable": u, "undesirable": d} for split, u, d in rows},
        },
        "suggested": {
            "desirable_weight": desirable,
            "undesirable_weight": undesirable,
            "allowed_range": [1.0, 1.3333],
            "per_device_train_batch_size": 4,
            "notes": [*notes, *batch_notes(sum(train))],
        },
    }


def batch_notes(rows: int) -> list[str]:
    """What TRL does with the last batch, where it is a single row."""
    sizes = [size for size in (4, 8, 16, 32) if rows % size == 1]
    if not sizes:
        return []
    listed = ", ".join(map(str, sizes))
    return [
        f"with a batch of {listed} the last row is alone, and its own mismatch: use another size or drop the last batch"
    ]


def _raters(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rows = db.execute(
        "SELECT votes FROM (SELECT rater, count(*) AS votes FROM contributions WHERE reason IS NULL AND rater IS NOT NULL "
        "AND row_key NOT IN (SELECT row_key FROM rows WHERE reason IS NOT NULL) GROUP BY rater) ORDER BY votes DESC LIMIT 10"
    ).fetchall()
    total, distinct = db.execute(
        "SELECT count(*), count(DISTINCT rater) FROM contributions WHERE reason IS NULL AND rater IS NOT NULL "
        "AND row_key NOT IN (SELECT row_key FROM rows WHERE reason IS NOT NULL)"
    ).fetchone() or (0, 0)
    top = [votes for (votes,) in rows]
    return {
        "distinct": distinct,
        "top1_share": _share(sum(top[:1]), total),
        "top10_share": _share(sum(top), total),
        "kinds": _counts(db, raters_of("raters")),
    }


def _prompts(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    return _row(
        db,
        'SELECT count(*) AS "distinct", count(*) FILTER (n > 1) AS repeated, coalesce(max(n), 0) AS most_rows '
        "FROM (SELECT count(*) AS n FROM plan GROUP BY prompt_hash)",
    )


def _models(db: duckdb.DuckDBPyConnection, options: ExportOptions, recipe: Recipe) -> list[dict[str, Any]]:
    sides = ("c", "d") if options.kind in PAIRED else ("c",)
    counted: Counter[tuple[str, str]] = Counter()
    for side in sides:
        rows = db.execute(
            f"SELECT coalesce({side}.model, ''), coalesce({side}.policy, ''), count(*) FROM {recipe.text_sources()} GROUP BY ALL"
        ).fetchall()
        counted.update({(model, policy): count for model, policy, count in rows})
    total = counted.total()
    return [
        {"name": model, "policy": policy, "answers": count, "share": _share(count, total)}
        for (model, policy), count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def _languages(db: duckdb.DuckDBPyConnection, recipe: Recipe) -> dict[str, int]:
    rows = db.execute(
        "SELECT coalesce(json_extract_string(c.properties, '$.language'), '') AS language, count(*) "
        f"FROM {recipe.text_sources()} GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    return {language or "unknown": count for language, count in rows}


def _time(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    found = _row(
        db,
        "SELECT strftime(min(feedback_at), '%Y-%m-%dT%H:%M:%S.%fZ') AS first, "
        "strftime(max(feedback_at), '%Y-%m-%dT%H:%M:%S.%fZ') AS last, count(DISTINCT feedback_at::DATE) AS days FROM plan",
    )
    most, total = db.execute(
        "SELECT coalesce(max(n), 0), coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM plan GROUP BY feedback_at::DATE)"
    ).fetchone() or (0, 0)
    return found | {"top1_day_share": _share(most, int(total))}


def _quality(db: duckdb.DuckDBPyConnection, options: ExportOptions, funnel: Funnel) -> dict[str, Any]:
    several, differing = db.execute(
        "SELECT count(*) FILTER (n_votes > 1), count(*) FILTER (n_votes > 1 AND agreement < 1) FROM plan"
    ).fetchone() or (0, 0)
    answer = "greatest(chosen_chars, rejected_chars)" if options.kind in PAIRED else "coalesce(completion_chars, 0)"
    return {
        "vote_change_rate": _share(funnel.dropped.get("superseded", 0), funnel.seen),
        "conflict_rate": _share(differing, several),
        "prompt_chars": _quantiles(db, "prompt_chars"),
        "completion_chars": _quantiles(db, answer),
        f"rows_over_{_TOKENS}_tokens": _row(
            db, f"SELECT count(*) AS n FROM plan WHERE prompt_chars + {answer} > {_TOKENS * _CHARS_PER_TOKEN}"
        )["n"],
    }


def _whole(db: duckdb.DuckDBPyConnection, options: ExportOptions, recipe: Recipe) -> dict[str, int]:
    """Rows with answers that were cut off or do not say why they ended, and with reasoning that was left out."""
    if options.kind == "prompts":
        return {}
    answers = f"SELECT p.row, unnest({recipe.answers}) AS event_key FROM plan p"
    return _row(
        db,
        f"""SELECT count(DISTINCT a.row) FILTER (lower(coalesce(e.finish_reason, '')) IN {listed(CUT_OFF)}) AS rows_cut_off,
        count(DISTINCT a.row) FILTER (e.finish_reason IS NULL AND e.kind = 'completion') AS rows_without_finish_reason,
        count(DISTINCT a.row) FILTER (e.reasoning_chars IS NOT NULL) AS rows_with_reasoning,
        count(DISTINCT a.row) FILTER (e.prompt_reasoning) AS rows_with_reasoning_left_out_of_the_prompt
        FROM ({answers}) a JOIN events e USING (event_key)""",
    )


def _quantiles(db: duckdb.DuckDBPyConnection, chars: str) -> dict[str, int]:
    # Counted by length: exact, and in little memory whatever the number of rows.
    return _row(
        db,
        f"WITH counted AS (SELECT {chars} AS chars, count(*) AS n FROM plan GROUP BY 1), "
        "summed AS (SELECT chars, sum(n) OVER (ORDER BY chars) AS upto, sum(n) OVER () AS total FROM counted) "
        "SELECT coalesce(min(chars) FILTER (upto >= total * 0.5), 0)::BIGINT AS median, "
        "coalesce(min(chars) FILTER (upto >= total * 0.99), 0)::BIGINT AS p99 FROM summed",
    )


def _wins(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    shown, first, length, longer = db.execute(
        "SELECT count(*) FILTER (shown = 2), count(*) FILTER (shown = 2 AND position = 1), "
        "count(*) FILTER (chosen_chars <> rejected_chars), count(*) FILTER (chosen_chars > rejected_chars) FROM plan"
    ).fetchone() or (0, 0, 0, 0)
    return {
        "first_shown": {"rate": _share(first, shown), "of": shown},
        "longer_answer": {"rate": _share(longer, length), "of": length},
    }


def _counts(db: duckdb.DuckDBPyConnection, key: str) -> dict[str, int]:
    rows = db.execute(f"SELECT {key} AS name, count(*) FROM plan GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
    return {str(name): count for name, count in rows}


def _row(db: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    cursor = db.execute(sql)
    names: Sequence[str] = [column[0] for column in cursor.description or ()]
    return dict(zip(names, cursor.fetchone() or (), strict=False))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


# Rounded so that the quotient never falls below the ratio: down where it divides, up where it multiplies.
def _floor4(value: float) -> float:
    return max(1.0, math.floor(value * 10_000) / 10_000)


def _ceil4(value: float) -> float:
    return math.ceil(value * 10_000) / 10_000
