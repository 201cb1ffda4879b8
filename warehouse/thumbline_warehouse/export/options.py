"""What to export and how: frozen settings, which the manifest holds verbatim."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Kind = Literal["kto", "pairs", "reward", "prompts", "sft"]
Format = Literal["jsonl", "parquet", "json"]
ProfileName = Literal[
    "trl", "llamafactory", "axolotl", "openrlhf", "halos", "nemo-rl", "verl", "implicit", "openai", "ms-swift"
]
RaterKind = Literal["human", "model", "rule"]
Source = Literal["thumb", "rating", "pick", "ranking", "edit", "regenerate"]
Conflicts = Literal["majority", "drop", "keep"]

KINDS: Final[tuple[Kind, ...]] = ("kto", "pairs", "reward", "prompts", "sft")

# What each kind can be made of.
SOURCES: Final[dict[Kind, tuple[Source, ...]]] = {
    "kto": ("thumb", "rating", "pick"),
    "pairs": ("pick", "ranking", "rating", "edit", "thumb", "regenerate"),
    "reward": ("pick", "ranking", "rating", "edit", "thumb", "regenerate"),
    "sft": ("edit", "thumb", "rating"),
    "prompts": (),
}

Text = Annotated[str, StringConstraints(min_length=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Filters(_Settings):
    """
    What to leave out; each is a line of the funnel.

        Filters(since="2026-11-01T00:00:00Z", min_votes=3, min_agreement=0.8)
    """

    consent: Literal["granted", "any"] = "granted"
    """`granted`: only what raters and authors gave for training. `any`: all of it; the manifest says so."""
    raters: Annotated[tuple[RaterKind, ...], Field(min_length=1)] = ("human",)
    """Kinds of raters: human, model, rule."""
    since: datetime | None = None
    """Only votes from this time on (ISO 8601 with an offset)."""
    until: datetime | None = None
    """Only votes before this time (ISO 8601 with an offset)."""
    app: tuple[Text, ...] = ()
    """Only these products."""
    surface: tuple[Text, ...] = ()
    """Only these surfaces, e.g. web."""
    model: tuple[Text, ...] = ()
    """Only answers by these models; of a pair, both."""
    on_policy: tuple[Text, ...] = ()
    """Only answers by these checkpoints, or `last:N`, the N that appeared last; of a pair, both."""
    language: tuple[Text, ...] = ()
    """Only answers whose `properties.language` is one of these."""
    batch: tuple[Text, ...] = ()
    """Only votes of these imported batches (`properties.batch`)."""
    exclude_batch: tuple[Text, ...] = ()
    """No votes of these imported batches."""
    cohort: tuple[Text, ...] = ()
    """Only votes of these cohorts (`properties.cohort`)."""
    exclude_cohort: tuple[Text, ...] = ()
    """No votes of these cohorts, e.g. calibration weeks."""
    own_prompt: Literal["keep", "drop", "only"] = "keep"
    """Votes by the person whose own prompt was answered."""
    cut_off: Literal["drop", "keep"] = "drop"
    """
    Answers that were cut off (`finish_reason`, e.g. length): a trainer would take them for whole ones, and the model
    learn to end in mid-sentence. Answers without a reason stay.
    """
    min_votes: Count = 1
    """Votes that a row must have: on the answer, or on the pair (ties count)."""
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of those votes that say what the row says."""
    max_per_rater: Count | None = None
    """Votes of one rater at most; the seed draws which."""
    max_per_conversation: Count | None = None
    """Rows of one conversation at most; the seed draws which."""
    max_per_prompt: Count | None = None
    """Rows with one prompt at most; the seed draws which."""
    max_prompt_chars: Count | None = None
    """Characters of the prompt, as stored, at most."""
    min_completion_chars: Count | None = None
    """Characters of the answer at least; of a pair, of both."""
    max_completion_chars: Count | None = None
    """Characters of the answer at most; of a pair, of both."""
    where: Text | None = None
    """SQL condition over `vote` and `answer` (kto, sft, prompts) or `chosen` and `rejected` (pairs, reward)."""

    @field_validator("since", "until")
    @classmethod
    def _has_offset(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("must have an offset, e.g. 2026-11-01T00:00:00Z")
        return value


class Rules(_Settings):
    """From feedback to rows."""

    sources: tuple[Source, ...] = ()
    """What rows are made of; all that the kind can be made of when left out."""
    conflicts: Conflicts | None = None
    """
    Where raters disagree: `majority` wins, `drop` what is not unanimous, or `keep` each vote as a row.
    Left out: majority for kto and sft, keep for pairs and reward.
    """
    dedupe: Literal["exact", "none"] = "exact"
    """`exact`: votes on word-for-word the same answer to the same prompt count together."""
    ties: Literal["drop", "keep-kto"] = "drop"
    """kto: `keep-kto` makes a desirable row of each answer of a tie."""
    unpair_picks: bool = False
    """kto: the picked answer is desirable, the others are not; a pick is relative, so this is off."""
    rating_up: float = 4
    """A rating from this on is desirable (on 1 to 5; other scales are stretched)."""
    rating_down: float = 2
    """A rating up to this is undesirable (on 1 to 5)."""
    rating_difference: Annotated[float, Field(gt=0)] = 1
    """Pairs: two ratings by one rater of answers to one prompt differ at least by this (on 1 to 5)."""
    nway: Literal["random", "all"] = "random"
    """Of more than two answers: the best against one that the seed draws, or every better one against every worse."""
    max_pairs: Count = 5
    """Pairs from one vote, or one prompt's thumbs, at most where `nway` is `all`; the seed draws which."""
    implicit_regenerate: bool = False
    """Pairs: a regenerated answer wins although nobody said so."""

    @model_validator(mode="after")
    def _thresholds(self) -> Rules:
        if self.rating_down >= self.rating_up:
            raise ValueError("rating_down must be below rating_up")
        return self


class Split(_Settings):
    """Which rows are held out; a group is never in two splits."""

    test: Fraction = 0.0
    """Share of the groups that go to the test split."""
    validation: Fraction = 0.0
    """Share of the groups that go to the validation split."""
    by: Literal["conversation", "rater", "time"] = "conversation"
    """`conversation`: conversations that share a prompt, or of which one continues the other, are one group. `rater`. `time`: the newest rows."""
    salt: str = "thumbline"
    """Hashed with the group: another salt draws another split."""

    @model_validator(mode="after")
    def _leaves_rows(self) -> Split:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation together must be below 1")
        return self


class Output(_Settings):
    """How rows are written."""

    profile: ProfileName = "trl"
    """Whose reader the rows are for."""
    format: Format | None = None
    """`jsonl`, `parquet` or `json`; a folder holds one. The profile's first one when left out."""
    metadata: bool = True
    """Whether rows carry flat columns beside what the trainer reads."""
    order: Literal["shuffled", "none"] = "shuffled"
    """`shuffled`: by the seed, the same bytes each time, equal neighbours apart. `none`: as they come; faster."""
    margin: Literal["strength", "none"] = "strength"
    """reward: the margin is the strength of the preference, or 0."""
    alternating: bool = False
    """Only prompts in which user and assistant take turns, as some models' templates demand."""
    merge_consecutive_user: bool = False
    """Join user messages that follow each other."""
    reasoning: Literal["drop", "strip", "think"] = "drop"
    """
    Answers with reasoning beside their text (`reasoning_content`, thinking parts): `drop` them, `strip` the reasoning,
    or write it before the text, in `<think>` and `</think>`.
    """
    images: bool = False
    """Carry images, where the profile can: the trainer must then be one for vision."""
    tool_arguments: Literal["string", "object"] = "string"
    """Arguments of tool calls: as JSON text, or as objects (JSON Lines only)."""
    chat_template: str = "chatml"
    """For profiles that write rendered text: `chatml`, `llama3`, or a file with a Jinja template."""


class ExportOptions(_Settings):
    """
    Options of one export.

        ExportOptions(kind="kto", filters=Filters(min_votes=3), output=Output(format="parquet"), seed=7)
    """

    kind: Kind
    """`kto`: one row a rated answer. `pairs`: one a preference. `reward`: with a margin. `prompts`, `sft`."""
    project: str | None = None
    """Only this project's events."""
    snapshot: int | None = Field(default=None, ge=0)
    """Only events up to this load; the last one when left out."""
    seed: int = Field(default=0, ge=0)
    """Draws the order of the rows, the opponents, and who stays under a cap."""
    filters: Filters = Filters()
    """What to leave out."""
    rules: Rules = Rules()
    """From feedback to rows."""
    split: Split = Split()
    """Which rows are held out."""
    output: Output = Output()
    """How rows are written."""
    balance: Annotated[float, Field(ge=1)] | None = None
    """kto: leave out rows of the more frequent label until it is at most so many times the other."""
    allow_one_label: bool = False
    """kto: export although all rows have the same label."""

    @model_validator(mode="after")
    def _fits(self) -> ExportOptions:
        wrong = [source for source in self.rules.sources if source not in SOURCES[self.kind]]
        if wrong:
            allowed = ", ".join(SOURCES[self.kind]) or "none"
            raise ValueError(f"sources: {self.kind} cannot be made of {', '.join(wrong)}; allowed: {allowed}")
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """What rows are made of, in the kind's order."""
        return tuple(s for s in SOURCES[self.kind] if not self.rules.sources or s in self.rules.sources)

    @property
    def conflicts(self) -> Conflicts:
        """What happens where raters disagree."""
        return self.rules.conflicts or ("keep" if self.kind in ("pairs", "reward") else "majority")

    def as_dict(self) -> dict[str, Any]:
        """The manifest's form; `ExportOptions.model_validate` reads it back."""
        return self.model_dump(mode="json")
