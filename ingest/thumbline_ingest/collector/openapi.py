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
from .votes import PAGE_FIELDS

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
_VOTE_REFUSALS: Final = {
    "400": 'The body is not JSON, or not {"events": [...]}. Sending it again does not help.',
    "403": "The page's origin is not among those allowed.",
    "411": "Neither a Content-Length nor chunks.",
    "413": f"Above {limits.MAX_VOTES_BYTES} bytes or {limits.MAX_VOTES} events.",
    "415": "Content-Type is neither text/plain nor application/json, or the body is compressed.",
    "503": "The log does not take events now. Send the whole batch again after Retry-After seconds.",
}
_TOO_MANY: Final = (
    "Too many votes: of one rater on one thing (with verdicts, all of them `retry`), or from one address (with an "
    "error). Send all of them again after Retry-After seconds."
)
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}


def openapi() -> dict[str, Any]:
    """The document."""
    schema = event_schema("#/components/schemas/{model}")
    events = schema.pop("$defs")
    event = {name: value for name, value in schema.items() if name not in ("$id", "$schema", "title")}
    votes = {_vote_name(kind): _vote(events[kind.capitalize()], kind) for kind in PAGE_FIELDS}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {"title": "thumbline collector", "version": _VERSION, "description": _ABOUT},
        "paths": _paths(),
        "components": {
            "schemas": events | {"Event": event} | votes | {"Vote": _any_vote()} | _answers(),
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
        "/v1/votes": {"post": _post_votes(), "options": _preflight()},
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
    return {
        "summary": "Send events.",
        "security": [{"key": []}],
        "parameters": [encoding],
        "requestBody": {"required": True, "content": {"application/json": {"schema": batch}}},
        "responses": {"200": answered} | _refusals(_REFUSALS),
    }


def _post_votes() -> dict[str, Any]:
    votes = {"type": "array", "minItems": 1, "maxItems": limits.MAX_VOTES, "items": _reference("Vote")}
    sent_at = {"type": "string", "format": "date-time", "description": "When the page sends this, by its own clock."}
    batch = _object({"events": votes, "sent_at": sent_at}, optional=["sent_at"]) | {"additionalProperties": False}
    answered = {"description": "One verdict per event, in order.", "headers": _RETRY_AFTER} | _content("Verdicts")
    either = {"oneOf": [_reference("Verdicts"), _reference("Refusal")]}
    too_many = {"description": _TOO_MANY, "headers": _RETRY_AFTER, "content": {"application/json": {"schema": either}}}
    return {
        "summary": "Send votes from a page, each with a receipt of its back end. No key, no cookies.",
        "security": [],
        "requestBody": {
            "required": True,
            "description": "As text/plain a browser sends it to another origin without a preflight.",
            "content": {kind: {"schema": batch} for kind in ("text/plain", "application/json")},
        },
        "responses": {"200": answered, "429": too_many} | _refusals(_VOTE_REFUSALS),
    }


def _preflight() -> dict[str, Any]:
    responses = {"204": {"description": "yes"}, "403": {"description": "no"} | _content("Refusal")}
    return {"summary": "A browser's question before it sends application/json.", "security": [], "responses": responses}


def _vote(event: dict[str, Any], kind: str) -> dict[str, Any]:
    """An event's schema with what a page may say of it, and the receipt for the rest."""
    properties = {name: schema for name, schema in event["properties"].items() if name in PAGE_FIELDS[kind]}
    receipt = {"type": "string", "maxLength": limits.MAX_RECEIPT_LENGTH, "description": "From Client.receipt."}
    required = sorted({name for name in event["required"] if name in PAGE_FIELDS[kind]} | {"receipt"})
    return event | {
        "properties": properties | {"receipt": receipt},
        "required": required,
        "additionalProperties": False,
        "description": f"{event['description']} As a page sends it.",
    }


def _any_vote() -> dict[str, Any]:
    mapping = {kind: f"#/components/schemas/{_vote_name(kind)}" for kind in PAGE_FIELDS}
    return {
        "oneOf": [_reference(_vote_name(kind)) for kind in PAGE_FIELDS],
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }


def _vote_name(kind: str) -> str:
    return f"{kind.capitalize()}Vote"


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _refusals(texts: dict[str, str]) -> dict[str, Any]:
    return {
        status: {"description": about} | _content("Refusal") | ({"headers": _RETRY_AFTER} if status == "503" else {})
        for status, about in texts.items()
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
