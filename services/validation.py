"""JSON from outside as one of our types; every error names the field and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from slmfleet.models.errors import InvalidQuery, MalformedRequest

Model = TypeVar("Model", bound=BaseModel)

#: No object of the interface has more members; above it, validation would only list them at length.
_MAX_MEMBERS = 64
_MAX_LISTED = 10
_MAX_FIELD_CHARACTERS = 80


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises MalformedRequest saying where it breaks."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise MalformedRequest("body", "the body is empty; send a JSON object") from None
        raise MalformedRequest("body", f"the body is not JSON: {_reason(error)}") from None
    if not isinstance(document, dict):
        raise MalformedRequest("body", "the body must be a JSON object")
    return document


def _reason(error: orjson.JSONDecodeError) -> str:
    return f"{error.msg} (line {error.lineno}, column {error.colno})"


def validate(kind: type[Model], document: Mapping[str, Any]) -> Model:
    """`document` as `kind`. Raises InvalidQuery naming every wrong field (the first one in `field`)."""
    _refuse_crowds(document)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        faults = [
            (_field(fault["loc"]), _message(fault["type"], fault["msg"]))
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    listed = "; ".join(f"{field}: {message}" for field, message in faults[:_MAX_LISTED])
    more = len(faults) - _MAX_LISTED
    raise InvalidQuery(faults[0][0], f"{listed}; and {more} more" if more > 0 else listed)


def _refuse_crowds(document: Mapping[str, Any]) -> None:
    for place, members in _objects(document):
        if len(members) > _MAX_MEMBERS:
            raise InvalidQuery(place, f"{place}: has {len(members):,} fields; only a few are known here")


def _objects(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "body", document
    for name, value in document.items():
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield _field((name, index)), item


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:_MAX_FIELD_CHARACTERS] for part in location) or "body"


def _message(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a field known here"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")
