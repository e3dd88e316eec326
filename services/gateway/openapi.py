"""The interface as an OpenAPI 3.1 document, made from the tables of routes and problems."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from slmfleet.models.errors import Unauthenticated
from slmfleet.services.gateway.problems import problem_kind
from slmfleet.services.gateway.routes import ROUTES, Route
from slmfleet.services.schemas import Problem, name_by_title
from slmfleet.services.settings import Settings

_Document = dict[str, Any]
_Model = type[BaseModel]

_JSON = "application/json"
_SECONDS = {"type": "integer", "minimum": 0}
_RETRY_AFTER: _Document = {"Retry-After": {"description": "Seconds to wait.", "schema": _SECONDS}}
_REQUEST_ID = {
    "X-Request-Id": {
        "description": "The request's own id where that is safe (A-Z a-z 0-9 . _ -), or a new one.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    }
}
_TOKEN = {"type": "http", "scheme": "bearer", "description": "The signed-in customer; without it, nobody."}
_KEY = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The calling system."}
_ABOUT = "Answers a retailer's customers with a fleet of small specialist language models."


def openapi_document(settings: Settings, with_keys: bool) -> bytes:
    """The document as JSON. `with_keys`: whether this gateway asks for API keys."""
    # A problem as a reader may rely on it: `field` is there only where one is wrong.
    models: list[tuple[_Model, JsonSchemaMode]] = [(Problem, "validation")]
    paths: dict[str, _Document] = {}
    for route in ROUTES:
        models += [(route.body, "validation")] if route.body else []
        models += [(route.answer, "serialization")] if route.answer else []
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, with_keys)
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    schemas = definitions["$defs"]
    schemas["BatchBody"]["properties"]["queries"]["maxItems"] = settings.max_batch
    schemes = {"CustomerToken": _TOKEN} | ({"ApiKey": _KEY} if with_keys else {})
    document = {
        "openapi": "3.1.0",
        "info": {"title": "slmfleet", "version": "1", "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }
    return orjson.dumps(name_by_title(document))


def _operation(route: Route, with_keys: bool) -> _Document:
    description = route.answer_description or route.summary
    responses = {"200": _response(description, route.answer)}
    responses |= {str(problem_kind(error).status): _problem(error) for error in route.errors}
    if route.unavailable:
        responses["503"] = _response(route.unavailable, route.answer, **_RETRY_AFTER)
    operation: _Document = {"operationId": route.name, "summary": route.summary, "responses": responses}
    if route.body:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    key: dict[str, list[str]] = {"ApiKey": []} if with_keys else {}
    with_token = [{**key, "CustomerToken": []}] if route.security == "caller" else []
    if with_token or (route.security and with_keys):
        operation["security"] = [key, *with_token]  # alternatives: a token is never required
        responses["401"] = _problem(Unauthenticated)
    return operation


def _problem(error: type[Exception]) -> _Document:
    kind = problem_kind(error)
    wait = _RETRY_AFTER if kind.status in (429, 503) else {}
    return _response(kind.description, Problem, "application/problem+json", **wait)


def _response(description: str, model: _Model | None, media: str = _JSON, **headers: Any) -> _Document:
    content = _content(model, media)
    return {"description": description, "headers": {**_REQUEST_ID, **headers}, "content": content}


def _content(model: _Model | None, media: str = _JSON) -> _Document:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"} if model else {"type": "object"}
    return {media: {"schema": schema}}
