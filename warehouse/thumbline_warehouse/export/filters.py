"""From the options to the steps of the funnel: which votes and which answers are left out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import duckdb

from ..schema import listed, literal
from .errors import BadOption
from .funnel import Step
from .options import ExportOptions, Filters
from .profiles import ANY_CHAT, Profile, Settings

_LAST: Final = "last:"


@dataclass(frozen=True)
class Sides:
    """
    The answers that a vote is about, as SQL aliases.

    Attributes:
        aliases: `("answer",)` or `("chosen", "rejected")`.
    """

    aliases: tuple[str, ...]

    def any_of(self, condition: str) -> str:
        """SQL: whether a condition over `{side}` holds for any of them."""
        return "(" + " OR ".join(f"({condition.replace('{side}', alias)})" for alias in self.aliases) + ")"

    @property
    def first(self) -> str:
        """The answer, or the chosen one."""
        return self.aliases[0]


ANSWER: Final = Sides(("answer",))
PAIR: Final = Sides(("chosen", "rejected"))


def vote_steps(filters: Filters, sides: Sides) -> list[Step]:
    """Steps that concern the vote: `vote` is its event."""
    steps = [
        Step(
            "superseded",
            "a later vote by the same rater on the same thing took its place",
            "NOT coalesce(vote.is_latest, true)",
        )
    ]
    steps.append(
        Step(
            "raters",
            f"the rater is not {' or '.join(filters.raters)}",
            f"vote.rater_kind NOT IN {listed(filters.raters)}",
        )
    )
    if filters.since:
        steps.append(
            Step("since", "before the time asked for", f"vote.occurred_at < {_time(filters.since.isoformat())}")
        )
    if filters.until:
        steps.append(
            Step("until", "after the time asked for", f"vote.occurred_at >= {_time(filters.until.isoformat())}")
        )
    for name in ("app", "surface"):
        values = getattr(filters, name)
        if values:
            # A page may not say what the back end has said with the answer.
            said = f"coalesce(vote.{name}, {sides.first}.{name}, '')"
            steps.append(Step(name, f"another {name}", f"{said} NOT IN {listed(values)}"))
    steps += [*_import_steps(filters, "batch"), *_import_steps(filters, "cohort")]
    if filters.own_prompt == "drop":
        steps.append(Step("own_prompt", "the rater wrote the prompt", "coalesce(vote.rater_wrote_prompt, false)"))
    if filters.own_prompt == "only":
        steps.append(
            Step("own_prompt", "the rater did not write the prompt", "NOT coalesce(vote.rater_wrote_prompt, false)")
        )
    if filters.consent == "granted":
        steps.append(Step("vote_consent", "the rater has not given the vote for training", "vote.consent <> 'granted'"))
    return steps


def answer_steps(db: duckdb.DuckDBPyConnection, options: ExportOptions, profile: Profile, sides: Sides) -> list[Step]:
    """Steps that concern the answers: `answer`, or `chosen` and `rejected`, as in the view `answers`."""
    filters = options.filters
    steps = []
    if filters.consent == "granted":
        condition = sides.any_of("{side}.consent <> 'granted'")
        steps.append(Step("answer_consent", "the author has not given the conversation for training", condition))
    if filters.model:
        condition = sides.any_of(f"{{side}}.model NOT IN {listed(filters.model)}")
        steps.append(Step("model", "another model", condition))
    if filters.on_policy:
        condition = sides.any_of(f"coalesce({{side}}.policy, '') NOT IN {listed(policies(db, filters))}")
        steps.append(Step("policy", "another checkpoint", condition))
    if filters.language:
        language = "coalesce(json_extract_string({side}.properties, '$.language'), '')"
        steps.append(
            Step("language", "another language", sides.any_of(f"{language} NOT IN {listed(filters.language)}"))
        )
    steps += _reader_steps(options, profile, sides)
    if options.kind != "prompts":
        steps += _whole_steps(options, sides)
        # A trainer takes it, and learns to stop at once.
        empty = "coalesce({side}.response_chars, 0) = 0 AND NOT {side}.answer_calls_tools"
        steps.append(Step("empty", "the answer is empty", sides.any_of(empty)))
    steps += _length_steps(filters, sides)
    if filters.where:
        check_where(db, filters.where, sides)
        steps.append(Step("where", "the condition given does not hold", f"NOT coalesce(({filters.where}), false)"))
    return steps


# What APIs say where an answer is not all that the model would have said: OpenAI's, Anthropic's, Google's and
# Mistral's words, and ours where a stream broke off.
CUT_OFF: Final = (
    *("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
    *("content_filter", "safety", "recitation", "closed", "error", "unfinished", "cancelled", "incomplete"),
)


def _whole_steps(options: ExportOptions, sides: Sides) -> list[Step]:
    """Steps that leave out answers of which the row would hold a part."""
    steps = []
    if options.filters.cut_off == "drop":
        condition = sides.any_of(f"lower(coalesce({{side}}.finish_reason, '')) IN {listed(CUT_OFF)}")
        steps.append(Step("cut_off", "the answer was cut off (see cut_off)", condition))
    beside = "{side}.reasoning_chars IS NOT NULL"
    if options.output.reasoning != "drop":
        # Beside tool calls and images the message is written as it was stored.
        beside += " AND {side}.form = 'rich'"
    why = "reasoning beside the answer's text, which was not asked for (see reasoning) or cannot be carried"
    return [*steps, Step("reasoning", why, sides.any_of(beside))]


def policies(db: duckdb.DuckDBPyConnection, filters: Filters) -> list[str]:
    """
    The checkpoints meant by `on_policy`, with `last:N` replaced by their names.

    `last:2`  ->  the two whose first answer is the most recent.
    """
    names = []
    for asked in filters.on_policy:
        if not asked.startswith(_LAST):
            names.append(asked)
            continue
        count = asked.removeprefix(_LAST)
        if not count.isdigit() or count == "0":
            raise BadOption(f"on_policy: {asked!r} is neither a checkpoint nor last:N with N from 1")
        found = db.execute(
            f"SELECT policy FROM completions WHERE policy IS NOT NULL GROUP BY policy ORDER BY min(occurred_at) DESC, policy LIMIT {count}"
        ).fetchall()
        names += [name for (name,) in found]
    return names


def check_where(db: duckdb.DuckDBPyConnection, where: str, sides: Sides) -> None:
    """
    Refuse what is not one repeatable condition.

    Raises:
        BadOption: not SQL, more than a condition, or with a function whose value changes, such as random().
    """
    try:
        statements = db.extract_statements(f"SELECT ({where})")
        (tree,) = db.execute("SELECT json_serialize_sql(?)", [f"SELECT ({where})"]).fetchone() or ("{}",)
        relations = ", ".join(["opinions vote", *(f"answers {alias}" for alias in sides.aliases)])
        db.execute(f"DESCRIBE SELECT NOT coalesce(({where}), false) FROM {relations}")
    except duckdb.Error as error:
        raise BadOption(f"where: {error}") from error
    parsed = json.loads(tree)
    if len(statements) != 1 or parsed.get("error") or len(parsed["statements"][0]["node"].get("select_list", [])) != 1:
        raise BadOption(f"where: not one SQL condition: {where}")
    used = set(_functions(parsed))
    volatile = {
        name
        for (name,) in db.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
        ).fetchall()
    }
    changing = sorted(used & (volatile | {"current_date", "current_timestamp", "now", "today"}))
    if changing:
        raise BadOption(f"where: {', '.join(changing)} would give other rows each time; write the value itself")


def _functions(tree: object) -> list[str]:
    if isinstance(tree, dict):
        own = [tree["function_name"]] if isinstance(tree.get("function_name"), str) else []
        own += (
            [name.lower() for name in tree.get("column_names", []) if isinstance(name, str)]
            if tree.get("type") == "COLUMN_REF" and len(tree.get("column_names", [])) == 1
            else []
        )
        return own + [name for value in tree.values() for name in _functions(value)]
    if isinstance(tree, list):
        return [name for value in tree for name in _functions(value)]
    return []


def _reader_steps(options: ExportOptions, profile: Profile, sides: Sides) -> list[Step]:
    settings = profile_settings(options, profile)
    steps = [Step("parts", "parts other than text and images, which no reader takes", sides.any_of("{side}.has_other"))]
    if not profile.carries_tools:
        steps.append(Step("tools", f"tools, which {profile.name} cannot carry", sides.any_of("{side}.has_tools")))
    if not (options.output.images and profile.carries_images):
        steps.append(
            Step(
                "images",
                "images, which the profile cannot carry or were not asked for",
                sides.any_of("{side}.has_images"),
            )
        )
    # The last message is known without reading the prompt.
    ends = "coalesce({side}.prompt_end, '') NOT IN ('user', 'tool', 'function')"
    steps.append(Step("prompt_end", "the prompt does not end with the user or a tool", sides.any_of(ends)))
    pattern = _ALTERNATING if options.output.alternating else profile.prompt_roles(settings)
    for wanted in dict.fromkeys([pattern, profile.prompt_roles(settings)]):
        if wanted != ANY_CHAT:
            roles = (
                "regexp_replace({side}.roles, 'u+', 'u', 'g')"
                if options.output.merge_consecutive_user
                else "{side}.roles"
            )
            condition = sides.any_of(f"NOT regexp_full_match({roles}, {literal(wanted)})")
            steps.append(Step("turns", f"the turns of the prompt do not fit: {wanted}", condition))
    return steps


_ALTERNATING: Final = "s?(ua)*u"


def profile_settings(options: ExportOptions, profile: Profile) -> Settings:
    """What a profile may know of the options."""
    output = options.output
    return Settings(
        kind=options.kind,
        format=output.format or profile.formats[0],
        chat_template=output.chat_template,
        tool_arguments=output.tool_arguments,
        merge_consecutive_user=output.merge_consecutive_user,
        images=output.images,
    )


def _import_steps(filters: Filters, name: str) -> list[Step]:
    value = f"coalesce(json_extract_string(vote.properties, '$.{name}'), '')"
    only, never = getattr(filters, name), getattr(filters, f"exclude_{name}")
    steps = [Step(name, f"another {name}", f"{value} NOT IN {listed(only)}")] if only else []
    return steps + ([Step(f"exclude_{name}", f"a {name} left out", f"{value} IN {listed(never)}")] if never else [])


def _length_steps(filters: Filters, sides: Sides) -> list[Step]:
    steps = []
    if filters.max_prompt_chars:
        condition = sides.any_of(f"{{side}}.prompt_chars > {filters.max_prompt_chars}")
        steps.append(Step("prompt_length", "the prompt is too long", condition))
    if filters.min_completion_chars:
        condition = sides.any_of(f"coalesce({{side}}.response_chars, 0) < {filters.min_completion_chars}")
        steps.append(Step("completion_short", "the answer is too short", condition))
    if filters.max_completion_chars:
        condition = sides.any_of(f"{{side}}.response_chars > {filters.max_completion_chars}")
        steps.append(Step("completion_length", "the answer is too long", condition))
    return steps


def _time(iso: str) -> str:
    # Through TIMESTAMPTZ: a cast of text to TIMESTAMP would drop the offset.
    return f"make_timestamp(epoch_us({literal(iso)}::TIMESTAMPTZ))"
