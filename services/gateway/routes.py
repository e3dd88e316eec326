"""The routes of the HTTP interface: the one table that gateway, OpenAPI document and clients read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import (
    DeadlineExceeded,
    InvalidQuery,
    MalformedRequest,
    ModelBroken,
    Overloaded,
    TooLarge,
    UnsupportedMediaType,
)
from slmfleet.models.question import Question
from slmfleet.services.schemas import BatchAnswerBody, BatchBody, FleetBody, HealthBody

_Errors = tuple[type[Exception], ...]

#: `Exception` is the internal error.
_ANY: _Errors = (DeadlineExceeded, Exception, ModelBroken)
_WITH_BODY: _Errors = (
    MalformedRequest,
    TooLarge,
    UnsupportedMediaType,
    InvalidQuery,
    Overloaded,
    *_ANY,
)


@dataclass(frozen=True, slots=True)
class Route:
    """A path and method. `name` is its operation id; `answer_description` is the summary where it is empty.

    `security`: `caller` takes an API key, where keys are set up, and may take a customer's token; `key` takes
    the key alone; None is open to everyone. `unavailable` describes a 503 with the answer's body instead of a
    problem.
    """

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    #: None for an object that is described no further.
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    errors: _Errors = _ANY
    security: Literal["caller", "key"] | None = None
    answer_description: str = ""
    unavailable: str = ""


ASK_ONE = Route(
    "POST", "/v1/queries", "askOne", "Answer one question.", Answer, Question, _WITH_BODY, "caller",
    "The answer.",
)  # fmt: skip
ASK_MANY = Route(
    "POST", "/v1/queries:batch", "askMany", "Answer several questions of one caller.", BatchAnswerBody,
    BatchBody, _WITH_BODY, "caller", "The answer.",
)  # fmt: skip
FLEET = Route("GET", "/v1/fleet", "fleet", "What is loaded, and how it is placed.", FleetBody, security="key")
ALIVE = Route("GET", "/healthz", "alive", "Whether this process answers.", HealthBody)
READY = Route(
    "GET", "/readyz", "ready", "Whether every model passes its probe.", HealthBody,
    unavailable="A model does not pass its probe; `checks` names it.",
)  # fmt: skip
OPENAPI = Route(
    "GET", "/openapi.json", "openapi", "This document.", None, errors=(), answer_description="OpenAPI 3.1."
)
ROUTES: Sequence[Route] = (ASK_ONE, ASK_MANY, FLEET, ALIVE, READY, OPENAPI)
