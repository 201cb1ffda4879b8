"""
The HTTP interface as an OpenAPI 3.1 document.

    python -m thumbline_ingest.collector.openapi > schemas/openapi.v1.json

The events come from the contract's models; the committed file must equal the output.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any, Final

from thumbline import limits
from thumbline.schema import DIALECT, event_schema

from .verdicts import VERDICTS

__all__ = ["openapi", "openapi_json", "openapi_text"]

# The interface's version, not the package's: the document must not change with every release.
_VERSION: Final = "1"
_REFUSALS: Final = {
    "400": "The body is not JSON, not an array, empty, or not valid gzip. Sending it again does not help.",
    "401": "The key is missing, unknown or revoked.",
    "405": "Only POST.",
    "411": "Neither a Content-Length nor chunks.",
    "413": f"Above {limits.MAX_BODY_BYTES} bytes as sent, {limits.MAX_INFLATED_BYTES} inflated, or "
    f"{limits.MAX_BATCH_EVENTS} events.",
    "415": "Content-Type is not application/json, or Content-Encoding is not gzip.",
    "503": "The log does not take events now. Send the whole batch again after Retry-After seconds.",
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}


def openapi() -> dict[str, Any]:
    """The document."""
    schema = event_schema("#/components/schemas/{model}")
    events = schema.pop("$defs")
    event = {name: value for name, value in schema.items() if name not in ("$id", "$schema", "title")}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {"title": "thumbline collector", "version": _VERSION, "description": _ABOUT},
        "paths": _paths(),
        "components": {
            "schemas": events | {"Event": event} | _answers(),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "tlk_<id>_<secret>"}},
        },
    }


def openapi_text() -> str:
    """The committed file: keys sorted, so that a change is a small diff."""
    return json.dumps(openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def openapi_json() -> bytes:
    """What `GET /openapi.json` answers."""
    return json.dumps(openapi()).encode()


_ABOUT: Final = (
    "Takes feedback events and answers with one verdict per event. `accepted` and `duplicate` mean that the "
    "event is on disk; `rejected` comes with the fields at fault and is final; send `retry` again, and "
    "nothing else."
)


def _paths() -> dict[str, Any]:
    return {
        "/v1/events": {"post": _post_events()},
        "/livez": {"get": _get("Whether the process runs.", "200")},
        "/readyz": {"get": _get("Whether it should be sent requests.", "200", "503", schema="Readiness")},
        "/metrics": {
            "get": {
                "summary": "Counters for Prometheus.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "Prometheus text format.",
                        "content": {"text/plain": {"schema": {"type": "string"}}},
                    }
                },
            }
        },
    }


def _post_events() -> dict[str, Any]:
    batch = {
        "type": "array",
        "minItems": 1,
        "maxItems": limits.MAX_BATCH_EVENTS,
        "items": {"$ref": "#/components/schemas/Event"},
    }
    encoding = {"name": "Content-Encoding", "in": "header", "schema": {"enum": ["gzip", "identity"]}}
    answered = {"description": "One verdict per event, in order.", "headers": _RETRY_AFTER} | _content("Verdicts")
    refusals = {
        status: {"description": about} | _content("Refusal") | ({"headers": _RETRY_AFTER} if status == "503" else {})
        for status, about in _REFUSALS.items()
    }
    return {
        "summary": "Send events.",
        "security": [{"key": []}],
        "parameters": [encoding],
        "requestBody": {"required": True, "content": {"application/json": {"schema": batch}}},
        "responses": {"200": answered} | refusals,
    }


def _get(summary: str, *statuses: str, schema: str | None = None) -> dict[str, Any]:
    content = _content(schema) if schema else {}
    responses = {status: {"description": "yes" if status == "200" else "no"} | content for status in statuses}
    return {"summary": summary, "security": [], "responses": responses}


def _content(schema: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _answers() -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0}
    problem = _object(
        {"field": {"type": "string"}, "message": {"type": "string"}, "allowed": {"type": "array"}},
        optional=["allowed"],
    )
    error = _object(
        {
            "index": number,
            "event_id": {"type": ["string", "null"]},
            "problems": {"type": "array", "items": problem},
        }
    )
    verdicts = {"type": "array", "items": {"enum": list(VERDICTS)}}
    check = _object({"ok": {"type": "boolean"}, "message": {"type": "string"}})
    refusal = _object({"code": {"type": "string"}, "message": {"type": "string"}})
    return {
        "Verdicts": _object(
            dict.fromkeys(VERDICTS, number) | {"verdicts": verdicts, "errors": {"type": "array", "items": error}}
        ),
        "Refusal": _object({"error": refusal}),
        "Readiness": _object(
            {
                "ready": {"type": "boolean"},
                "checks": _object(dict.fromkeys(("log", "disk", "draining"), check)),
            }
        ),
    }


def _object(properties: dict[str, Any], optional: list[str] | None = None) -> dict[str, Any]:
    required = [name for name in properties if name not in (optional or [])]
    return {"type": "object", "properties": properties, "required": required}


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
