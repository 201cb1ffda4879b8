"""
What a profile is: how one named trainer wants its rows, and what it would do to others.

A profile turns a canonical example into the row that the trainer's reader takes, states the reader's
own rules, and writes the papers that the reader needs beside the data. The canonical example:

    {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello."}],
     "label": true, "example_id": "9f31…", "model": "acme-7b"}

has `completion` and `label` (kto), `chosen` and `rejected` (pairs), these and `margin` (reward), nothing
more (prompts) or `completion` (sft); in exports with tools also `tools`, a list or null; then metadata.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from ..errors import ExportError

Kind = Literal["kto", "pairs", "reward", "prompts", "sft"]
Format = Literal["jsonl", "parquet", "json"]
Row = dict[str, Any]

ANSWERS: Final[dict[Kind, tuple[str, ...]]] = {
    "kto": ("completion",),
    "pairs": ("chosen", "rejected"),
    "reward": ("chosen", "rejected"),
    "prompts": (),
    "sft": ("completion",),
}
PAIRED: Final[tuple[Kind, ...]] = ("pairs", "reward")
# What `Profile.prompt_roles` says where a reader takes any order of messages that ends with a question or a result.
ANY_CHAT: Final = "[suat]*[ut]"
ANY_TEXT_CHAT: Final = "[sua]*u"
# Fields of the canonical example that are not metadata.
CANONICAL: Final = frozenset({"prompt", "completion", "chosen", "rejected", "label", "margin", "tools"})


# DuckDB type of messages that are nothing but text.
TEXT_MESSAGES: Final = "STRUCT(role VARCHAR, content VARCHAR)[]"


class ProfileError(ExportError):
    """The options do not suit the profile, or it cannot carry what an example holds."""


@dataclass(frozen=True)
class Settings:
    """
    What of an export's options a profile may need.

    Attributes:
        kind: what a row is.
        format: how the rows are written.
        split: the split that rows are converted for.
        chat_template: name of a built-in template, or path of a Jinja file; where a reader takes text only.
        tool_arguments: arguments of tool calls as JSON text, or as an object.
        merge_consecutive_user: join user messages that follow one another.
        images: whether images are carried.
        rich: whether any row has tool calls, tools or images: message structs are wider then.
    """

    kind: Kind
    format: Format = "jsonl"
    split: str = "train"
    chat_template: str = "chatml"
    tool_arguments: Literal["string", "object"] = "string"
    merge_consecutive_user: bool = False
    images: bool = False
    rich: bool = False


@dataclass(frozen=True)
class Facts:
    """
    What the papers beside the data need to know.

    Attributes:
        kind: what a row is.
        format: how the rows are written.
        files: (split, path inside the export), one each split that has rows.
        rows: split -> rows.
        settings: the settings that the rows were converted with.
        labels: `{"desirable": n, "undesirable": n}`; None for kinds without labels.
        desirable_weight: the weight that balances the labels.
        undesirable_weight: its counterpart.
    """

    kind: Kind
    format: Format
    files: tuple[tuple[str, str], ...]
    rows: Mapping[str, int]
    settings: Settings
    labels: Mapping[str, int] | None = None
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0

    def path_of(self, split: str) -> str | None:
        """Where a split's rows lie; None when it has none."""
        return dict(self.files).get(split)

    @property
    def held_out(self) -> str | None:
        """The split to evaluate on while training: validation, else test; None where neither has rows."""
        return next((split for split in ("validation", "test") if self.path_of(split)), None)

    @property
    def held_out_path(self) -> str | None:
        """Where the rows of that split lie."""
        return self.path_of(self.held_out) if self.held_out else None


class Profile(ABC):
    """
    One trainer's reader.

    Attributes:
        name: what people choose it by.
        kinds: kinds that the reader takes.
        formats: file formats that it takes; the first is the default.
        carries_tools: whether tool calls, their results and `tools` survive.
        carries_images: whether images survive.
        keeps_metadata: whether fields beside the reader's own may stay.
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]]
    formats: ClassVar[tuple[Format, ...]] = ("jsonl",)
    carries_tools: ClassVar[bool] = False
    carries_images: ClassVar[bool] = False
    keeps_metadata: ClassVar[bool] = True

    def refusals(self, settings: Settings) -> list[str]:
        """Why no row can be written with these settings, as sentences; empty when they are fine."""
        return [*self._kind_refusals(settings), *self._format_refusals(settings), *self._image_refusals(settings)]

    @abstractmethod
    def prompt_roles(self, settings: Settings) -> str:
        """
        Regular expression (RE2 and Python) over a prompt's roles, one letter a message.

        s is system and developer, u user, a assistant, t tool and function. What matches whole, the reader
        takes unmangled: `s?(ua)*u` is strict alternation.
        """

    def is_plain(self, settings: Settings) -> bool:
        """Whether `convert` gives every canonical row back unchanged."""
        return False

    @abstractmethod
    def fields(self, example: Row, settings: Settings) -> Row:
        """The reader's own fields of an example, in order."""

    def convert(self, example: Row, settings: Settings) -> Row:
        """
        The reader's row of a canonical example; metadata after its fields, where it may stay.

        Raises:
            ProfileError: the example holds what the reader has no place for.
        """
        row = self.fields(example, settings)
        if self.keeps_metadata:
            row |= {name: value for name, value in example.items() if name not in CANONICAL and name not in row}
        return row

    @abstractmethod
    def problems(self, row: Row, settings: Settings) -> list[str]:
        """Every way in which the reader would refuse or mangle this row; empty when it is fine."""

    @abstractmethod
    def types(self, settings: Settings) -> dict[str, str]:
        """Field -> DuckDB type of converted rows, as `read_json` is to read them; without metadata."""

    def columns(self, settings: Settings) -> dict[str, str]:
        """Field -> SQL of its column in Parquet, over what `types` read; only where it is not the field itself."""
        return {}

    def papers(self, facts: Facts) -> dict[str, str]:
        """Path inside the export -> text of what the reader needs beside the data, and of runnable recipes."""
        return {}

    def _kind_refusals(self, settings: Settings) -> list[str]:
        if settings.kind in self.kinds:
            return []
        return [f"profile {self.name} has no rows of kind {settings.kind}: it takes {', '.join(sorted(self.kinds))}"]

    def _format_refusals(self, settings: Settings) -> list[str]:
        if settings.format in self.formats:
            return []
        return [f"profile {self.name} does not read {settings.format}: it takes {', '.join(self.formats)}"]

    def _image_refusals(self, settings: Settings) -> list[str]:
        if not settings.images or self.carries_images:
            return []
        return [f"profile {self.name} cannot carry images"]
