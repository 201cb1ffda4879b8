"""One export up to its texts: the snapshot, the rows, the funnel, the splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import duckdb

from ..schema import quoted
from .contributions import funnel
from .convert import find_refused, refuse
from .errors import BadOption, NothingToExport, OneLabelOnly
from .filters import profile_settings
from .funnel import Funnel, Step
from .kto import Kto
from .options import ExportOptions, Kind
from .pairs import Pairs
from .profiles import PROFILES, Profile, Settings
from .prompts import Prompts
from .recipe import Recipe, line_sql
from .relations import make_relations
from .selection import apply_caps, make_plan
from .sft import Sft
from .snapshot import Snapshot, use_snapshot
from .splits import draw_splits

_RECIPES: Final[dict[Kind, Callable[[ExportOptions], Recipe]]] = {
    "kto": Kto,
    "pairs": Pairs,
    "reward": Pairs,
    "prompts": Prompts,
    "sft": Sft,
}
_READER: Final = Step("reader", "the profile cannot carry the row, or its reader would mangle it")


@dataclass(frozen=True)
class Planned:
    """
    An export whose rows are chosen.

    Attributes:
        options: with the snapshot's number filled in.
        snapshot: what was read.
        recipe: what makes its texts.
        profile: the reader.
        settings: how rows will be written.
        funnel: what was left out.
        steps: every step, in order.
        shared: what two splits have in common.
        refused: problem -> rows that the reader would not have taken.
    """

    options: ExportOptions
    snapshot: Snapshot
    recipe: Recipe
    profile: Profile
    settings: Settings
    funnel: Funnel
    steps: tuple[Step, ...]
    shared: dict[str, int]
    refused: dict[str, int]


def plan(db: duckdb.DuckDBPyConnection, options: ExportOptions, snapshot: Snapshot | None = None) -> Planned:
    """
    Choose the rows of an export: makes `contributions`, `rows` and `plan` in this connection.

    Args:
        db: a connection to the warehouse.
        options: what to export.
        snapshot: what `use_snapshot` has made in this connection already; otherwise it is made as the options say.

    Raises:
        BadOption: options that do not go together.
        ExportError: there is no such snapshot.
    """
    snapshot = snapshot or use_snapshot(db, options.snapshot, options.project)
    # Named, so that asking for this snapshot later gives the same manifest.
    options = options.model_copy(update={"snapshot": snapshot.load_id})
    profile = PROFILES[options.output.profile]
    settings = profile_settings(options, profile)
    _check_options(options, profile, settings)
    # Rows find their place by their number, whatever order DuckDB gives them in.
    db.execute("SET preserve_insertion_order = false")
    make_relations(db, ["signal" if source == "regenerate" else source for source in _read(options)])
    recipe = _RECIPES[options.kind](options)
    steps = [*recipe.make_rows(db, profile), _READER]
    apply_caps(db, options)
    make_plan(db)
    settings = replace(settings, rich=_is_rich(db))
    refused = _refuse_rows(
        db, Planned(options, snapshot, recipe, profile, settings, Funnel(0, {}, 0, {}, 0), (), {}, {})
    )
    names = list(dict.fromkeys(step.name for step in steps))
    counted = funnel(db, names)
    shared = draw_splits(db, options, recipe)
    return Planned(options, snapshot, recipe, profile, settings, counted, tuple(steps), shared, refused)


def check(db: duckdb.DuckDBPyConnection, planned: Planned) -> None:
    """
    Refuse what would train nobody, or the wrong thing.

    Raises:
        NothingToExport: no row is left.
        OneLabelOnly: all rows of a `kto` export have one label, and that was not allowed.
    """
    options = planned.options
    if not planned.funnel.rows:
        raise NothingToExport(f"no row is left:\n{planned.funnel}")
    if options.kind == "kto" and not options.allow_one_label:
        (labels,) = db.execute("SELECT count(DISTINCT label) FROM plan WHERE split = 0").fetchone() or (0,)
        if labels < 2:
            raise OneLabelOnly("all rows have the same label; --allow-one-label exports them all the same")


def forget(db: duckdb.DuckDBPyConnection) -> None:
    """Drop the tables that only the plan's figures need."""
    for table in (
        "contributions",
        "tallies",
        "rows",
        "judged",
        "labels",
        "matched",
        "members",
        "drawn",
        "twins",
        "exchanges",
    ):
        db.execute(f"DROP TABLE IF EXISTS {table}")


def lines_of(planned: Planned, columns: str = "p.row AS row") -> str:
    """SQL of the canonical lines of `plan`, with other columns of it before."""
    line = line_sql(planned.recipe, planned.options, planned.settings.rich)
    return f"SELECT {columns}, {line} AS line FROM {planned.recipe.text_sources()}"


def columns_of(planned: Planned) -> str:
    """SQL of the canonical rows of `plan p` as JSON values, column by column: what COPY writes as the same lines."""
    options = planned.options
    texts = planned.recipe.text_columns(planned.settings.rich)
    columns = {name: column.value for name, column in texts.items()}
    if options.output.metadata:
        # As what they are: as JSON text they would be parsed once more.
        columns["example_id"] = planned.recipe.example_id
        columns |= {column.name: column.never_null for column in planned.recipe.metadata}
    return ", ".join(f"{sql} AS {quoted(name)}" for name, sql in columns.items())


def _check_options(options: ExportOptions, profile: Profile, settings: Settings) -> None:
    refusals = profile.refusals(settings)
    if refusals:
        raise BadOption("; ".join(refusals))
    if options.output.order == "none" and not (options.output.metadata and profile.keeps_metadata):
        raise BadOption("order: none needs rows with metadata: their example_id is what finds them again")
    if options.kind == "sft" and options.conflicts == "keep":
        raise BadOption("conflicts: keep makes rows of dislikes too, which sft cannot have; allowed: majority, drop")
    if options.balance and options.kind != "kto":
        raise BadOption(f"balance: {options.kind} has no labels to balance")
    if options.kind == "prompts" and (options.filters.min_votes > 1 or options.filters.max_per_rater):
        raise BadOption("min_votes and max_per_rater: prompts are not made of votes")


def _read(options: ExportOptions) -> tuple[str, ...]:
    # Thumbs are the evidence of regenerated answers.
    more = ("thumb",) if "regenerate" in options.sources and "thumb" not in options.sources else ()
    return options.sources + more


def _is_rich(db: duckdb.DuckDBPyConnection) -> bool:
    (found,) = db.execute("SELECT count(*) FROM (SELECT 1 FROM plan WHERE is_rich LIMIT 1)").fetchone() or (0,)
    return bool(found)


def _refuse_rows(db: duckdb.DuckDBPyConnection, planned: Planned) -> dict[str, int]:
    if planned.profile.is_plain(planned.settings):
        return {}
    refused = find_refused(db, lines_of(planned), planned.profile, planned.settings)
    if refused:
        refuse(db, refused)
        make_plan(db)
    return {problem: len(rows) for problem, rows in sorted(refused.items())}
