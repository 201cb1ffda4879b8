"""
Which map: a name, or a TOML file that adapts one.

    base = "thumbs"
    model = "acme-7b"           # of answers whose record names none
    scale = [1, 10]             # of scores

    [fields]                    # name in the map = column in the file
    prompt = "question"

    [labels]                    # further words of a label
    up = ["correct"]
    down = ["wrong", "unsafe"]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..refused import NotImportable
from .base import MapOptions, Source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS: Final = ("base", "fields", "labels", "model", "scale")


def open_map(name: str, given: MapOptions) -> Source:
    """
    The map of a name or a TOML file.

    Args:
        name: e.g. `pairs`, or `vendor.toml`.
        given: what the command says; it wins over the file.

    Raises:
        NotImportable: there is no such map or column, or the file is none.
    """
    from . import SOURCES

    options = given
    if name not in SOURCES and name.endswith(".toml"):
        name, from_file = _read(Path(name))
        options = _over(from_file, given)
    if name not in SOURCES:
        raise NotImportable(f"'{name}' is no map; there are {', '.join(SOURCES)}, or a file that ends with .toml")
    source = SOURCES[name]
    _check_columns(source, options.columns)
    return source(options)


def _over(below: MapOptions, above: MapOptions) -> MapOptions:
    return replace(
        above,
        columns={**below.columns, **above.columns},
        labels=below.labels,
        scale=above.scale or below.scale,
        model=above.model if above.model != MapOptions.model else below.model,
    )


def _check_columns(source: type[Any], columns: Mapping[str, str]) -> None:
    known = (*source.required, *source.optional)
    for name in columns:
        if not source.optional:
            raise NotImportable(f"the columns of map '{source.name}' are fixed: leave --field and [fields] out")
        if name not in known:
            raise NotImportable(f"map '{source.name}' has no field '{name}'; there are {', '.join(known)}")


def _read(path: Path) -> tuple[str, MapOptions]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotImportable(f"there is no map file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NotImportable(f"{path}: {error}") from error
    unknown = sorted(found.keys() - set(_KEYS))
    if unknown:
        raise NotImportable(f"{path}: '{unknown[0]}' is no key; there are {', '.join(_KEYS)}")
    if not isinstance(found.get("base"), str):
        raise NotImportable(f"{path}: base is missing: the name of the map to adapt")
    model = found.get("model", MapOptions.model)
    if not isinstance(model, str):
        raise NotImportable(f"{path}: model must be text")
    return found["base"], MapOptions(_fields(path, found), _labels(path, found), _scale(path, found), model)


def _fields(path: Path, found: Mapping[str, Any]) -> dict[str, str]:
    fields = found.get("fields", {})
    if not isinstance(fields, dict) or not all(isinstance(column, str) for column in fields.values()):
        raise NotImportable(f"{path}: [fields] must be names of columns")
    return fields


def _labels(path: Path, found: Mapping[str, Any]) -> dict[str, str]:
    labels = found.get("labels", {})
    if not isinstance(labels, dict) or not labels.keys() <= {"up", "down"}:
        raise NotImportable(f"{path}: [labels] has up and down, each a list of words")
    words: dict[str, str] = {}
    for value, listed in labels.items():
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise NotImportable(f"{path}: labels.{value} must be a list of words")
        words |= {word.strip().lower().replace(" ", "_"): value for word in listed}
    return words


def _scale(path: Path, found: Mapping[str, Any]) -> tuple[float, float] | None:
    scale = found.get("scale")
    if scale is None:
        return None
    if (
        not isinstance(scale, list)
        or len(scale) != 2
        or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in scale)
        or not scale[0] < scale[1]
    ):
        raise NotImportable(f"{path}: scale must be [lowest, highest]")
    return float(scale[0]), float(scale[1])
