"""The interface as an OpenAPI 3.1 document, made from the models of schemas.py."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from slmfleet.services.schemas import (
    AnswerBody,
    BatchAnswerBody,
    BatchBody,
    FleetBody,
    HealthBody,
    Problem,
    QueryBody,
)
from slmfleet.services.settings import Settings

_Document = dict[str, Any]

_MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (QueryBody, "validation"),
    (BatchBody, "validation"),
    (AnswerBody, "serialization"),
    (BatchAnswerBody, "serialization"),
    (FleetBody, "serialization"),
    (HealthBody, "serialization"),
    (Problem, "validation"),  # as a reader may count on it: `field` is there only where one is wrong
]
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
}
_REQUEST_ID = {
    "X-Request-Id": {
        "description": "The request's own id where that is safe (A-Z a-z 0-9 . _ -), or a new one.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    }
}
_WHY = {
    "400": "The body cannot be read: not JSON, not UTF-8, not an object.",
    "401": "The API key or the customer's token is missing, forged or expired.",
    "405": "The path does not know this method.",
    "408": "The answer was not ready in time.",
    "413": "The body, or the number of queries in it, is over its limit.",
    "415": "The body is not application/json in UTF-8.",
    "422": "A field is not acceptable; the detail names every one, `field` the first.",
    "429": "More is in hand than can be answered.",
    "500": "Something went wrong here; it is logged under the request id.",
    "503": "A model is not working.",
}


def openapi_document(settings: Settings, with_keys: bool) -> bytes:
    """The document as JSON. `with_keys`: whether this gateway asks for API keys."""
    _, definitions = models_json_schema(_MODELS, ref_template="#/components/schemas/{model}")
    schemas = definitions["$defs"]
    schemas["BatchBody"]["properties"]["queries"]["maxItems"] = settings.max_batch
    document: _Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "slmfleet",
            "version": "1",
            "description": "Answers a retailer's customers with a fleet of small specialist language models.",
        },
        "paths": {
            "/v1/queries": {"post": _ask("askOne", "Answer one question.", QueryBody, AnswerBody)},
            "/v1/queries:batch": {
                "post": _ask("askMany", "Answer several questions of one caller.", BatchBody, BatchAnswerBody)
            },
            "/v1/fleet": {"get": _tell("fleet", "What is loaded, and how it is placed.", FleetBody)},
            "/healthz": {"get": _tell("alive", "Whether this process answers.", HealthBody)},
            "/readyz": {"get": _ready()},
            "/openapi.json": {"get": _openapi()},
        },
        "components": {"schemas": schemas, "securitySchemes": _schemes(with_keys)},
    }
    for path, needs in _needs(with_keys).items():
        for operation in document["paths"][path].values():
            operation["security"] = needs
            operation["responses"]["401"] = _problem("401")
    return orjson.dumps(document)


def _schemes(with_keys: bool) -> _Document:
    token = {"type": "http", "scheme": "bearer", "description": "The signed-in customer; without it, nobody."}
    key = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The calling system."}
    return {"CustomerToken": token, "ApiKey": key} if with_keys else {"CustomerToken": token}


def _needs(with_keys: bool) -> dict[str, list[dict[str, list[str]]]]:
    """Path -> alternatives of what it asks for. A customer's token is never required."""
    key: dict[str, list[str]] = {"ApiKey": []} if with_keys else {}
    asking: list[dict[str, list[str]]] = [key, {**key, "CustomerToken": []}]
    needs = {"/v1/queries": asking, "/v1/queries:batch": asking}
    return {**needs, "/v1/fleet": [key]} if with_keys else needs


def _ask(name: str, summary: str, body: type[BaseModel], answer: type[BaseModel]) -> _Document:
    refusals = ("400", "408", "413", "415", "422", "429", "500", "503")
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(body)}}},
        "responses": {
            "200": _answer("The answer.", answer),
            **{status: _problem(status) for status in refusals},
        },
    }


def _tell(name: str, summary: str, answer: type[BaseModel]) -> _Document:
    refusals = ("408", "500", "503")
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": _answer(summary, answer)} | {it: _problem(it) for it in refusals},
    }


def _ready() -> _Document:
    told = _tell("ready", "Whether every model passes its probe.", HealthBody)
    broken = _answer("A model does not pass its probe; `checks` names it.", HealthBody)
    broken["headers"] |= _RETRY_AFTER
    told["responses"]["503"] = broken
    return told


def _openapi() -> _Document:
    answer = {"description": "OpenAPI 3.1.", "headers": _REQUEST_ID, "content": _json({"type": "object"})}
    return {"operationId": "openapi", "summary": "This document.", "responses": {"200": answer}}


def _answer(description: str, model: type[BaseModel]) -> _Document:
    return {"description": description, "headers": dict(_REQUEST_ID), "content": _json(_ref(model))}


def _problem(status: str) -> _Document:
    headers = dict(_REQUEST_ID)
    if status in ("429", "503"):
        headers |= _RETRY_AFTER
    content = {"application/problem+json": {"schema": _ref(Problem)}}
    return {"description": _WHY[status], "headers": headers, "content": content}


def _ref(model: type[BaseModel]) -> _Document:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _json(schema: _Document) -> _Document:
    return {"application/json": {"schema": schema}}
