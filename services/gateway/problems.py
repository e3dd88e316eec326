"""Errors as HTTP: the one table of statuses, and the problem document (RFC 9457) of an error."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from slmfleet.models.errors import (
    DeadlineExceeded,
    InvalidQuery,
    MalformedRequest,
    MethodNotAllowed,
    ModelBroken,
    NotFound,
    Overloaded,
    TooLarge,
    Unauthenticated,
    Unreachable,
    UnsupportedMediaType,
)
from slmfleet.services.schemas import Problem

log = logging.getLogger(__name__)

#: Seconds after which a broken model, or a server that is needed, may have been restarted.
RETRY_BROKEN_S = 5

#: What becomes of a queued question that meets the error: never answered, tried again as a failed attempt, or
#: tried again without counting an attempt.
Verdict = Literal["rejected", "failed", "unavailable"]


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """How an error is shown: its type is `urn:slmfleet:problem:<slug>`; `description` is for OpenAPI."""

    status: int
    slug: str
    title: str
    description: str
    verdict: Verdict


#: A subclass without a row has its base's; an error in no row is INTERNAL, which hides what happened.
PROBLEMS: Mapping[type[Exception], ProblemKind] = {
    MalformedRequest: ProblemKind(
        400, "malformed", "The request cannot be read",
        "The body cannot be read: not JSON, not UTF-8, not an object.", "rejected",
    ),
    Unauthenticated: ProblemKind(
        401, "unauthenticated", "The key or token is missing, forged or expired",
        "The API key or the customer's token is missing, forged or expired.", "rejected",
    ),
    NotFound: ProblemKind(
        404, "not-found", "There is no such thing",
        "There is no such path.", "unavailable",
    ),
    MethodNotAllowed: ProblemKind(
        405, "method-not-allowed", "The path does not know this method",
        "The path does not know this method.", "unavailable",
    ),
    DeadlineExceeded: ProblemKind(
        408, "deadline-exceeded", "The answer was not ready in time",
        "The answer was not ready in time.", "failed",
    ),
    TooLarge: ProblemKind(
        413, "too-large", "The request is over its limit",
        "The body, or the number of queries in it, is over its limit.", "rejected",
    ),
    UnsupportedMediaType: ProblemKind(
        415, "unsupported-media-type", "The body's content type is not understood",
        "The body is not application/json in UTF-8.", "rejected",
    ),
    InvalidQuery: ProblemKind(
        422, "invalid-field", "A field is not acceptable",
        "A field is not acceptable; the detail names every one, `field` the first.", "rejected",
    ),
    Overloaded: ProblemKind(
        429, "overloaded", "More is in hand than can be answered",
        "More is in hand than can be answered.", "unavailable",
    ),
    ModelBroken: ProblemKind(
        503, "model-broken", "A model is not working",
        "A model is not working.", "failed",
    ),
    Unreachable: ProblemKind(
        503, "unreachable", "Something that is needed cannot be reached",
        "Something that is needed cannot be reached.", "failed",
    ),
}  # fmt: skip
INTERNAL = ProblemKind(
    500, "internal", "Something went wrong here",
    "Something went wrong here; it is logged under the request id.", "failed",
)  # fmt: skip


def problem_kind(error: type[Exception]) -> ProblemKind:
    """The row of `error`, or of its nearest base that has one."""
    return next((PROBLEMS[kind] for kind in error.__mro__ if kind in PROBLEMS), INTERNAL)


def verdict_of_status(status: int) -> Verdict:
    """The verdict on a question that got an HTTP status; `unavailable` for one that no gateway sends."""
    kinds = (*PROBLEMS.values(), INTERNAL)
    return next((kind.verdict for kind in kinds if kind.status == status), "unavailable")


def problem_response(error: Exception, request_id: str) -> Response:
    """`error` as application/problem+json with the headers that its status asks for."""
    kind = problem_kind(type(error))
    internal = kind is INTERNAL
    if internal:
        log.error("request %s failed", request_id, exc_info=error)
    body = Problem(
        type=f"urn:slmfleet:problem:{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=f"the fault is logged under request {request_id}" if internal else str(error),
        request_id=request_id,
        field=error.field if isinstance(error, InvalidQuery) else None,
    )
    content = body.model_dump_json(exclude_none=True)
    return Response(content, kind.status, _headers(error), "application/problem+json")


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, MethodNotAllowed):
        return {"allow": ", ".join(error.allowed)}
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": 'Bearer realm="slmfleet"'}
    if isinstance(error, Overloaded):
        return {"retry-after": str(error.retry_after_s)}
    if isinstance(error, ModelBroken | Unreachable):
        return {"retry-after": str(RETRY_BROKEN_S)}
    if isinstance(error, TooLarge | DeadlineExceeded):
        return {"connection": "close"}  # the rest of the body will not be read
    return {}
