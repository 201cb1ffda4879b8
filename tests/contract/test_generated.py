"""The committed documents are what the models say now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_golden import golden
from thumbline.events import KINDS
from thumbline.schema import event_schema, event_schema_text
from thumbline_ingest.collector.openapi import openapi, openapi_text

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_json_schema_is_current() -> None:
    """Else: python -m thumbline.schema > schemas/event.v1.schema.json."""
    assert (SCHEMAS / "event.v1.schema.json").read_text() == event_schema_text()


def test_openapi_is_current() -> None:
    """Else: python -m thumbline_ingest.collector.openapi > schemas/openapi.v1.json."""
    assert (SCHEMAS / "openapi.v1.json").read_text() == openapi_text()


def test_fields_have_no_titles() -> None:
    """A title per field would become a type per field in other languages."""

    def titles(node: Any) -> list[str]:
        if isinstance(node, list):
            return [title for item in node for title in titles(item)]
        if not isinstance(node, dict):
            return []
        own = [node["title"]] if isinstance(node.get("title"), str) else []
        return own + [title for item in node.values() for title in titles(item)]

    assert [title for title in titles(event_schema()) if title not in event_schema()["$defs"]] == ["Event"]


@pytest.mark.parametrize("kind", KINDS)
def test_schema_knows_every_golden_field(kind: str) -> None:
    """Each kind's definition lists the fields of its golden payload, and needs `kind`."""
    schema = event_schema()
    definition = schema["$defs"][schema["discriminator"]["mapping"][kind].rpartition("/")[2]]

    assert set(definition["properties"]) == set(golden(kind))
    assert "kind" in definition["required"]


def test_openapi_references_resolve() -> None:
    """Every reference points to something."""
    document = openapi()

    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [found for item in node for found in references(item)]
        if not isinstance(node, dict):
            return []
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for item in node.values() for found in references(item)]

    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names <= set(document["components"]["schemas"])
    assert "Event" in names
