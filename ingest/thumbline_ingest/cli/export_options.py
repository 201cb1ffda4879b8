"""Flags of `thumbline export`, made from the options' models: one place says what there is and what it means."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import click

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from thumbline_warehouse.export import ExportOptions
    from thumbline_warehouse.export.options import Kind

# Groups of options, and the plain ones of ExportOptions itself.
_GROUPS: Final = ("filters", "rules", "split", "output")
_OWN: Final = ("project", "snapshot", "seed", "balance", "allow_one_label")
# Flags that are named otherwise than the option: the word alone would not say enough.
_NAMES: Final = {"split.by": "split_by", "split.salt": "split_salt"}
# Only some kinds have these.
_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "balance": ("kto",),
    "allow_one_label": ("kto",),
    "rules.ties": ("kto",),
    "rules.unpair_picks": ("kto",),
    "rules.rating_up": ("kto", "sft"),
    "rules.rating_down": ("kto", "sft"),
    "rules.rating_difference": ("pairs", "reward"),
    "rules.nway": ("pairs", "reward"),
    "rules.max_pairs": ("pairs", "reward"),
    "rules.implicit_regenerate": ("pairs", "reward"),
    "rules.sources": ("kto", "pairs", "reward", "sft"),
    "rules.conflicts": ("kto", "pairs", "reward", "sft"),
    "output.margin": ("reward",),
}
_JOINED: Final = "split.test", "split.validation"


def flags(kind: Kind) -> Callable[[click.Command], click.Command]:
    """Add the flags of a kind of export to a command."""

    def add(command: click.Command) -> click.Command:
        for path, field in _fields():
            if kind in _ONLY.get(path, (kind,)) and path not in _JOINED:
                command.params.append(_option(path, field))
        command.params.append(_split_option())
        return command

    return add


def options_from(kind: Kind, given: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> ExportOptions:
    """
    The options that flags stand for, on top of others, e.g. a manifest's.

    Args:
        kind: the kind of export.
        given: parameter -> value; None where the flag was not given.
        base: options to start from.

    Raises:
        click.UsageError: a value that does not fit; names the flag.
    """
    from pydantic import ValidationError

    from thumbline_warehouse.export import ExportOptions

    nested: dict[str, Any] = json.loads(json.dumps(base or {})) | {"kind": kind}
    for path, field in _fields():
        value = given.get(_name(path))
        if value is None or value == ():
            continue
        if _choices(field):
            value = [name for part in value for name in part.split(",")]
        group, _, name = path.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[name] = value
    if given.get("split") is not None:
        nested.setdefault("split", {}).update(_parse_split(given["split"]))
    try:
        return ExportOptions.model_validate(nested)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise click.UsageError(
            f"--{_name(place).replace('_', '-')}: {first['msg']}" if place else first["msg"]
        ) from error


def manifest_options(path: Path) -> dict[str, Any]:
    """The options of a manifest, or of an export's folder."""
    from thumbline_warehouse.export.exported import read_manifest

    return dict(read_manifest(path / "manifest.json" if path.is_dir() else path)["options"])


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    from thumbline_warehouse.export import ExportOptions

    for name in _OWN:
        yield name, ExportOptions.model_fields[name]
    for group in _GROUPS:
        model: type[BaseModel] = ExportOptions.model_fields[group].annotation  # type: ignore[assignment]
        for name, field in model.model_fields.items():
            yield f"{group}.{name}", field


def _name(path: str) -> str:
    return _NAMES.get(path, path.rpartition(".")[2])


def _option(path: str, field: FieldInfo) -> click.Option:
    name = _name(path)
    flag = "--" + name.replace("_", "-")
    text = " ".join(inspect.cleandoc(field.description or "").split()).replace("`", "")
    default = field.get_default(call_default_factory=True)
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
    if shown not in (None, "", False, True):
        text += f"  [default: {shown}]"
    kind = _plain(field.annotation)
    if kind is bool:
        return click.Option(
            [f"{flag}/--no-{flag[2:]}" if default else flag], default=None, help=text, is_flag=True, flag_value=True
        )
    choices = _choices(field)
    if choices:
        return click.Option([flag], multiple=True, metavar=",".join(choices), help=text)
    if get_origin(kind) is tuple:
        return click.Option([flag], multiple=True, type=_type(get_args(kind)[0]), help=text + "  Repeat for more.")
    return click.Option([flag], type=_type(kind), help=text)


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """What a list of fixed names may hold, e.g. human, model, rule; empty for other fields."""
    kind = _plain(field.annotation)
    item = _plain(get_args(kind)[0]) if get_origin(kind) is tuple else None
    return get_args(item) if get_origin(item) is Literal else ()


def _type(annotation: Any) -> Any:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return click.Choice(get_args(plain))
    return plain if plain in (int, float) else str


def _plain(annotation: Any) -> Any:
    """The type itself, without None, constraints and aliases around it."""
    if hasattr(annotation, "__metadata__"):
        return _plain(get_args(annotation)[0])
    members = [a for a in get_args(annotation) if a is not type(None)]
    if len(members) < len(get_args(annotation)) and len(members) == 1:
        return _plain(members[0])
    return annotation


def _split_option() -> click.Option:
    text = "Shares to hold out, e.g. test=0.05 or validation=0.1,test=0.1."
    return click.Option(["--split"], metavar="NAME=SHARE,...", help=text)


def _parse_split(text: str) -> dict[str, float]:
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[{"test": "test", "validation": "validation"}[name.strip()]] = float(share)
        except (KeyError, ValueError):
            raise click.UsageError(f"--split: {part!r} is not test=SHARE or validation=SHARE") from None
    return shares
