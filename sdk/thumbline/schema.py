"""
The contract as JSON Schema, for other languages.

    python -m thumbline.schema > schemas/event.v1.schema.json

Generated from the models in `events`; the committed file must equal it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, get_args

from pydantic.json_schema import GenerateJsonSchema

from .events import EVENT_ADAPTER, Event

__all__ = ["DIALECT", "event_schema", "event_schema_text"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ID: Final = "urn:thumbline:event:v1"


class _WithoutTitles(GenerateJsonSchema):
    # A title per field becomes a type alias per field (`EventId1`, `Kind2` ...) in generated TypeScript.
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def event_schema(ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """
    JSON Schema (draft 2020-12) of one event as a client may send it.

    Args:
        ref_template: where references point; OpenAPI keeps its schemas elsewhere.
    """
    schema = EVENT_ADAPTER.json_schema(ref_template=ref_template, schema_generator=_WithoutTitles)
    for model in get_args(Event):
        definition = schema["$defs"][model.__name__]
        # `kind` has a default for those who build events in Python; on the wire it selects the model.
        definition["required"] = sorted({*definition.get("required", ()), "kind"})
    return schema | {"$id": _ID, "$schema": DIALECT, "title": "Event"}


def event_schema_text() -> str:
    """The committed file: keys sorted, so that a change is a small diff."""
    return json.dumps(event_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(event_schema_text())
