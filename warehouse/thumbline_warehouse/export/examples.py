"""
A row of every kind for every profile, as Markdown: `python -m thumbline_warehouse.export.examples > docs/export-rows.md`.

The rows are made by the profiles themselves from a few literal examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .kto import Kto
from .options import KINDS
from .pairs import Pairs
from .profiles import PROFILES, Facts, Kind, Profile, Row, Settings
from .prompts import Prompts
from .sft import Sft
from .statistics import suggested_weights

_HEAD: Final = """# Rows, profile by profile

Generated from the code: every row here is made by the profile itself, from the same small example. What the
kinds, columns and options mean is in [trainers.md](trainers.md).

A profile is chosen by `--profile`, its file format by `--format`; the first format named is the default.
*Prompts* says which orders of messages the reader takes whole, as a regular expression over their roles: `s` is
system and developer, `u` user, `a` assistant, `t` tool. Other prompts are left out and counted, as `turns` in
the funnel. Commands are those that the recipes name: most are run from the export's folder, those of HALOs and
NeMo RL from theirs. `MODEL` is yours to fill in.

Under `trl` the rows are whole. Under the others they are without the metadata, which is the same and follows the
reader's own fields. `--no-metadata` leaves it out.
"""
_TOOLS: Final = """As soon as one row of an export has tools, calls or results of calls, its rows have the wider form. Here the
prompt ends with the result of a call:
"""

_QUESTION: Final = {"role": "user", "content": "Capital of France?"}
_PARIS: Final = {"role": "assistant", "content": "Paris."}
_LYON: Final = {"role": "assistant", "content": "Lyon."}
_EXAMPLES: Final[dict[Kind, Row]] = {
    "kto": {"prompt": [_QUESTION], "completion": [_PARIS], "label": True},
    "pairs": {"prompt": [_QUESTION], "chosen": [_PARIS], "rejected": [_LYON]},
    "reward": {"prompt": [_QUESTION], "chosen": [_PARIS], "rejected": [_LYON], "margin": 1.0},
    "prompts": {"prompt": [_QUESTION]},
    "sft": {"prompt": [_QUESTION], "completion": [_PARIS]},
}
_FUNCTION: Final = {"name": "weather", "arguments": '{"city": "Paris"}'}
_WITH_TOOLS: Final[Row] = {
    "prompt": [
        {"role": "user", "content": "Weather in Paris?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": _FUNCTION}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "12 degrees"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
}
_METADATA: Final = {
    "kto": Kto.metadata,
    "pairs": Pairs.metadata,
    "reward": Pairs.metadata,
    "prompts": Prompts.metadata,
    "sft": Sft.metadata,
}
_VALUES: Final[Mapping[str, Any]] = {
    "example_id": "9f31…",
    "conversation_id": "c-17",
    "raters": "human",
    "model": "acme-7b",
    "policy": "acme-7b@step-1200",
    "chosen_model": "acme-7b",
    "rejected_model": "acme-7b",
    "chosen_policy": "acme-7b@step-1400",
    "rejected_policy": "acme-7b@step-1200",
    "n_votes": 3,
    "n_answers": 3,
    "agreement": 0.6667,
    "chosen_position": 1,
    "shown_answers": 2,
    "strength": 4,
    "scale": 5,
    "feedback_ts_ms": 1795521609000,
    "asked_ts_ms": 1795521603000,
}
_FROM: Final[dict[Kind, tuple[str, str]]] = {
    "kto": ("thumb", "thumb/1"),
    "pairs": ("pick", "pick/1"),
    "reward": ("pick", "pick/1"),
    "prompts": ("answer", "prompt/1"),
    "sft": ("thumb", "thumb/1"),
}
_FILES: Final = {"jsonl": "data/{}.jsonl", "json": "data/{}.json", "parquet": "data/{}-00000-of-00001.parquet"}
_ROWS: Final = {"train": 950, "test": 50}
_WIDTH: Final = 112
# Papers say in a line of their own how they are used.
_START: Final = re.compile(
    r"(?:^|: )(?P<command>(?:python|sh|uv run|tune run|axolotl|llamafactory-cli|Upload) .*?)"
    r"(?:, from this export's folder.*|; .*|\.?)$"
)


def example(kind: Kind, rich: bool = False) -> Row:
    """
    The canonical example that the page shows, with metadata.

    Args:
        kind: what a row is.
        rich: whether it has tools.
    """
    source, rule = _FROM[kind]
    known = {**_VALUES, "source": source, "rule": rule}
    metadata = {name: known[name] for name in ("example_id", *(column.name for column in _METADATA[kind]))}
    return {**_EXAMPLES[kind], **(_WITH_TOOLS if rich else {}), **metadata}


def page() -> str:
    """The whole page."""
    parts = [_HEAD, *(part for profile in PROFILES.values() for part in _section(profile))]
    return "\n".join(parts).rstrip("\n") + "\n"


def _section(profile: Profile) -> Iterator[str]:
    kinds = [kind for kind in KINDS if kind in profile.kinds]
    yield f"## {profile.name}\n"
    yield f"{(type(profile).__doc__ or '').strip()}\n"
    yield "| | |\n| --- | --- |"
    yield f"| kinds | {', '.join(kinds)} |"
    yield f"| formats | {', '.join(profile.formats)} |"
    yield f"| prompts | {_roles(profile, kinds)} |"
    yield f"| tools | {'carried' if profile.carries_tools else 'left out and counted'} |"
    yield f"| images | {'with `--images`' if profile.carries_images else 'left out and counted'} |"
    if not profile.keeps_metadata:
        yield "| metadata | has no place in the rows; the ids are in `example_ids/`, a line a row |"
    yield ""
    for kind in kinds:
        yield from _kind(profile, kind)
    if profile.carries_tools:
        yield f"### {profile.name}: with tools\n"
        yield _TOOLS
        yield _fenced(_own(profile, kinds[0], rich=True))


def _kind(profile: Profile, kind: Kind) -> Iterator[str]:
    settings = _settings(profile, kind)
    row = profile.convert(example(kind), settings) if profile.name == "trl" else _own(profile, kind)
    named = "" if profile.name == "trl" else f" --profile {profile.name}"
    yield f"### {profile.name}: {kind}\n"
    yield f"    thumbline export {kind} --out data/{kind} --split test=0.05{named}\n"
    yield _fenced(row)
    yield "| beside the data | start it with |\n| --- | --- |"
    for path, text in profile.papers(_facts(kind, settings)).items():
        yield f"| `{path}` | {_start(text) or 'the trainer reads it'} |"
    yield ""


def _own(profile: Profile, kind: Kind, rich: bool = False) -> Row:
    """The reader's own fields of the example."""
    settings = _settings(profile, kind, rich)
    row = profile.convert(example(kind, rich), settings)
    return {name: value for name, value in row.items() if name in profile.types(settings)}


def _roles(profile: Profile, kinds: list[Kind]) -> str:
    found = {kind: profile.prompt_roles(_settings(profile, kind)) for kind in kinds}
    if len(set(found.values())) == 1:
        return _code(next(iter(found.values())))
    return ", ".join(f"{kind} {_code(roles)}" for kind, roles in found.items())


def _code(text: str) -> str:
    # A bar ends a table's cell, also within code.
    return "`" + text.replace("|", "\\|") + "`"


def _settings(profile: Profile, kind: Kind, rich: bool = False) -> Settings:
    return Settings(kind, profile.formats[0], rich=rich)


def _facts(kind: Kind, settings: Settings) -> Facts:
    labels = {"desirable": 650, "undesirable": 300} if kind == "kto" else None
    weights = suggested_weights(*labels.values()) if labels else (1.0, 1.0)
    files = tuple((split, _FILES[settings.format].format(split)) for split in _ROWS)
    return Facts(kind, settings.format, files, _ROWS, settings, labels, *weights)


def _start(paper: str) -> str:
    lines = [line.strip().lstrip("# ") for line in paper.replace("\\\n#", "").split("\n")]
    for line in lines:
        if found := _START.search(line):
            command = " ".join(found["command"].split())
            return command if command.startswith("Upload") else f"`{command}`"
    return ""


def _fenced(row: Row) -> str:
    """A row as JSON that is read more easily than on one line."""
    fields = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in row.items()]
    lines = [""]
    for number, field in enumerate(fields):
        text = field + ("," if number + 1 < len(fields) else "}")
        if lines[-1] and len(lines[-1]) + len(text) > _WIDTH:
            lines.append(text)
        else:
            lines[-1] = f"{lines[-1]} {text}".strip()
    return "```json\n{" + "\n ".join(lines) + "\n```\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is a page for standard output
