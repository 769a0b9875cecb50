"""The OpenAPI 3.1 document, made from the table of operations. `x-role` says what the caller must hold."""

from __future__ import annotations

from typing import Any

import msgspec

from deepft_lab import errors, records
from deepft_lab._version import __version__
from deepft_lab.api import BASE, OPERATIONS, Operation


class Error(msgspec.Struct):
    """The body of every answer that is no success."""

    error: str
    message: str
    faults: list[records.Fault]


def document(base_url: str = "/") -> dict[str, Any]:
    """The whole document for a server at `base_url`."""
    kinds = [kind for o in OPERATIONS.values() for kind in (o.answer, o.body, o.query) if kind is not None]
    kinds = list({repr(kind): kind for kind in [*kinds, Error, records.Message]}.values())
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS.values():
        paths.setdefault(operation.path, {})[operation.verb.lower()] = _operation(operation, by_kind, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeepFT Lab", "version": __version__, "license": {"name": "BSD-3-Clause"}},
        "servers": [{"url": base_url.rstrip("/") + BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token` and a space before the server's token",
                }
            },
            "responses": {"Error": {"description": _error_words(), "content": _json(by_kind[repr(Error)])}},
        },
    }


def _operation(operation: Operation, by_kind: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in operation.parameters
    ]
    if operation.query is not None:
        schema = components[operation.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": property_schema}
            for name, property_schema in schema["properties"].items()
        ]
    row: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "x-role": operation.role,
        "parameters": parameters,
        "responses": {
            str(operation.status): {"description": operation.summary, "content": _content(operation, by_kind)},
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if operation.body is not None:
        row["requestBody"] = {"required": True, "content": _json(by_kind[repr(operation.body)])}
    elif operation.kind == "upload":
        row["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return row


def _content(operation: Operation, by_kind: dict[str, Any]) -> dict[str, Any]:
    if operation.kind == "stream":
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if operation.kind == "file":
        return {"image/*": {}}
    return _json(by_kind[repr(operation.answer)])


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _error_words() -> str:
    rows = sorted((cls.status, name, (cls.__doc__ or "").split(".")[0]) for name, cls in errors.error_classes().items())
    return "Errors by status: " + "; ".join(f"{status} {name} ({words})" for status, name, words in rows)
