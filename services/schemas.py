"""JSON bodies of the HTTP interface beside Question and Answer: batches, what is loaded, health, problems."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from slmfleet.models.contracts import Answer
from slmfleet.models.question import Question


class BatchBody(BaseModel):
    """Several questions of the same caller, answered in order; those of one session as one conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    queries: list[Question] = Field(min_length=1)


class BatchAnswerBody(BaseModel):
    """Answers in the order of the queries."""

    answers: list[Answer]


class DomainBody(BaseModel):
    """One specialist that is loaded."""

    domain: str
    title: str
    intents: list[str]
    passages: int
    version: str
    parameters: int
    bytes: int
    metrics: dict[str, float]


class RouterBody(BaseModel):
    """The router that is loaded."""

    version: str
    parameters: int
    bytes: int
    threshold: float
    max_wrong_domain_rate: float
    metrics: dict[str, float]


class FleetBody(BaseModel):
    """What is loaded and how it is placed."""

    retailer: str
    placement: Literal["colocated", "split"]
    router: RouterBody
    domains: list[DomainBody]


class HealthBody(BaseModel):
    """`checks` says what was looked at: a model's name to `ok` or what is wrong with it."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}


class Problem(BaseModel):
    """An error (RFC 9457, application/problem+json). `field` names the wrong field where there is one."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    field: str | None = None


def name_by_title(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI or AsyncAPI document with each schema named by its title instead of by its class."""
    schemas = document["components"]["schemas"]
    titles = {name: schema.get("title", name) for name, schema in schemas.items()}
    document["components"]["schemas"] = {titles[name]: schema for name, schema in schemas.items()}
    renamed: dict[str, Any] = json.loads(
        re.sub(
            r'(?<="#/components/schemas/)[^"]+(?=")',
            lambda found: titles.get(found[0], found[0]),
            json.dumps(document),
        )
    )
    return renamed
