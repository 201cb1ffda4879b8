"""The surface that others build on: a change here is a change for them."""

import dataclasses
import inspect
import types
import typing
from pathlib import Path

import pytest

import thumbline
import thumbline.openai
import thumbline.testing

SNAPSHOT = Path(__file__).parent / "public_api.txt"


def surface():
    """Every public name with its signature, one a line."""
    for module in (thumbline, thumbline.openai, thumbline.testing):
        for name in sorted(module.__all__):
            yield from describe(f"{module.__name__}.{name}", getattr(module, name))


def describe(path, value):
    is_model = hasattr(value, "model_fields")
    is_error = inspect.isclass(value) and issubclass(value, Exception)
    if is_model or is_error or not (inspect.isclass(value) or inspect.isfunction(value)):
        yield path
        return
    if typing.is_typeddict(value):
        yield f"{path}({', '.join(sorted(value.__annotations__))})"
        return
    if dataclasses.is_dataclass(value):
        yield f"{path}({', '.join(f'{f.name}: {f.type}' for f in dataclasses.fields(value))})"
    else:
        yield f"{path}{inspect.signature(value)}"
    if inspect.isclass(value):
        for name, member in sorted(vars(value).items()):
            if name.startswith("_"):
                continue
            if inspect.isfunction(member):
                yield f"{path}.{name}{inspect.signature(member)}"
            elif isinstance(member, property | staticmethod):
                yield f"{path}.{name}"


def test_the_surface_is_as_committed():
    """When this fails on purpose: write the new surface with `python -m tests.sdk.test_public_api`."""
    assert SNAPSHOT.read_text().splitlines() == list(surface())


def test_all_is_the_namespace():
    """Every public name is in `__all__`, and the other way round."""
    modules = {name for name, value in vars(thumbline).items() if isinstance(value, types.ModuleType)}
    public = {name for name in vars(thumbline) if not name.startswith("_")} - modules
    public -= {"annotations", "TYPE_CHECKING", "Any"}

    assert public <= set(thumbline.__all__)
    assert len(set(thumbline.__all__)) == len(thumbline.__all__)
    assert set(dir(thumbline)) == set(thumbline.__all__)
    for name in thumbline.__all__:
        assert getattr(thumbline, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'Thumbs'"):
        _ = thumbline.Thumbs


@pytest.mark.parametrize("name", [n for n in thumbline.__all__ if inspect.isclass(getattr(thumbline, n))])
def test_public_classes_are_documented(name):
    """Every one says what it is."""
    assert (getattr(thumbline, name).__doc__ or "").strip()


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(surface()) + "\n")
