"""
Splits that cannot leak: a group of rows is in one split, whole.

    conversation   conversations are one group that share a prompt, or of which one's prompt begins with what the
                   other rates: its prompt and its answer
    rater          raters of one row are one group
    time           the newest rows are held out

The split of a group is drawn by the hash of its earliest member, so that a group keeps its split while
it grows. Only when new data joins two groups that were drawn apart must rows of the later one move.
"""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..schema import literal
from .errors import ExportError
from .exchanges import make_exchanges, shared_exchanges
from .options import ExportOptions, Split
from .recipe import Recipe, named_rows

NAMES: Final = ("train", "validation", "test")
_PARTS: Final = 10_000

Labels = npt.NDArray[np.int64]


def draw_splits(db: duckdb.DuckDBPyConnection, options: ExportOptions, recipe: Recipe) -> dict[str, int]:
    """
    Set `split` of the rows of `plan` (an index into NAMES).

    Returns:
        What two splits share: nothing, or what `by` does not forbid, e.g. `{"conversations": 0, "prompts": 0, "raters": 3,
        "exchanges": 0}`.

    Raises:
        ExportError: two splits share what they must not; never happens, and is checked all the same.
    """
    split = options.split
    if not split.test and not split.validation:
        return {}
    make_exchanges(db, recipe)
    if split.by == "time":
        _by_time(db, split)
    else:
        _by_group(db, split, recipe)
    shared = _shared(db)
    forbidden = {"conversation": ("conversations", "prompts", "exchanges"), "rater": ("raters",), "time": ()}[split.by]
    leaks = {name: shared[name] for name in forbidden if shared[name]}
    if leaks:
        raise ExportError(f"splits share {leaks}; nothing was written")
    return shared


def components(nodes: Labels, links: Labels) -> Labels:
    """
    Number nodes by what they are connected to: each link is a thing that its nodes share.

        nodes [0, 1, 2], links [7, 7, 8]  ->  [0, 0, 2]: 0 and 1 share the thing 7

    Args:
        nodes: node of each pair, 0..n-1; shape (m,).
        links: thing of each pair, 0..k-1; shape (m,).

    Returns:
        For each node the lowest node that it is connected to; shape (n,).
    """
    labels = np.arange(int(nodes.max()) + 1 if len(nodes) else 0, dtype=np.int64)
    things = np.empty(int(links.max()) + 1 if len(links) else 0, dtype=np.int64)
    while True:
        before = labels.copy()
        things.fill(np.iinfo(np.int64).max)
        np.minimum.at(things, links, labels[nodes])
        np.minimum.at(labels, nodes, things[links])
        # A label is itself a node: following it halves the way to the lowest one.
        labels = labels[labels]
        if np.array_equal(labels, before):
            return labels


def _by_group(db: duckdb.DuckDBPyConnection, split: Split, recipe: Recipe) -> None:
    if split.by == "rater":
        name, rows = "example_id", named_rows(recipe, "plan")
        member = "SELECT c.rater AS member, hash(p.row) AS thing, p.answered_at, p.row FROM plan p JOIN contributions c ON c.row_key = p.row_key WHERE c.rater IS NOT NULL"
    else:
        name, rows = "conversation", "SELECT row, conversation FROM plan"
        member = (
            "SELECT conversation AS member, prompt_hash AS thing, answered_at, row FROM plan UNION ALL "
            "SELECT conversation, x.thing, answered_at, row FROM plan JOIN exchanges x USING (row)"
        )
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE members AS SELECT DISTINCT member, thing, answered_at, row FROM ({member})"
    )
    # Things that one member alone has connect nothing.
    found = db.execute(
        """WITH shared AS (SELECT thing FROM (SELECT DISTINCT member, thing FROM members) GROUP BY 1 HAVING count(*) > 1)
        SELECT DISTINCT member, thing FROM members SEMI JOIN shared USING (thing)"""
    ).fetchnumpy()
    members, nodes = np.unique(np.asarray(found["member"]), return_inverse=True)
    _, links = np.unique(np.asarray(found["thing"]), return_inverse=True)
    labels = components(nodes.astype(np.int64), links.astype(np.int64))
    db.register(
        "connected", pa.table({"member": members.astype(np.uint64), "component": members[labels].astype(np.uint64)})
    )
    try:
        # The group is named by its earliest member, by what is equal on every machine, and in other kinds of export
        # wherever they have that member.
        db.execute(
            f"""CREATE OR REPLACE TEMP TABLE drawn AS
            WITH grouped AS (SELECT m.*, coalesce(c.component, m.member) AS component FROM members m LEFT JOIN connected c USING (member)),
                 named AS (SELECT component, arg_min({name}, (g.answered_at, {name}))::VARCHAR AS name
                           FROM grouped g JOIN ({rows}) p USING (row) GROUP BY 1)
            SELECT g.row, min(md5_number_lower({literal(split.salt)} || name) % {_PARTS}) AS draw
            FROM grouped g JOIN named USING (component) GROUP BY 1"""
        )
    finally:
        db.unregister("connected")
    test, validation = round(split.test * _PARTS), round(split.validation * _PARTS)
    db.execute(
        f"UPDATE plan SET split = CASE WHEN d.draw < {test} THEN 2 WHEN d.draw < {test + validation} THEN 1 ELSE 0 END "
        "FROM drawn d WHERE d.row = plan.row"
    )


def _by_time(db: duckdb.DuckDBPyConnection, split: Split) -> None:
    # Rows of one instant stay together.
    marks = db.execute(
        "SELECT quantile_disc(feedback_at, ?), quantile_disc(feedback_at, ?) FROM plan",
        [1 - split.test - split.validation, 1 - split.test],
    ).fetchone()
    if marks:
        db.execute(
            "UPDATE plan SET split = CASE WHEN ? > 0 AND feedback_at > ? THEN 2 WHEN ? > 0 AND feedback_at > ? THEN 1 ELSE 0 END",
            [split.test, marks[1], split.validation, marks[0]],
        )


def _shared(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    sources = {
        "conversations": ("plan", "conversation"),
        "prompts": ("plan", "prompt_hash"),
        "raters": (
            "(SELECT c.rater, p.split FROM plan p JOIN contributions c ON c.row_key = p.row_key WHERE c.rater IS NOT NULL)",
            "rater",
        ),
    }
    counts = {}
    for name, (table, key) in sources.items():
        (count,) = db.execute(
            f"SELECT count(*) FROM (SELECT {key} FROM {table} GROUP BY 1 HAVING min(split) <> max(split))"
        ).fetchone() or (0,)
        counts[name] = int(count)
    return counts | {"exchanges": shared_exchanges(db)}
