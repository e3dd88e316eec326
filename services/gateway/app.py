"""The HTTP interface as one ASGI application, and the one table from errors to HTTP statuses.

Raw ASGI with pydantic by hand: FastAPI on this path halves the throughput. Knows no Ray; a replica hands in
what is loaded through `current`, and may swap it between two requests.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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
from slmfleet.services.gateway.admission import Admission
from slmfleet.services.gateway.body import ClientGone, read_body, require_json
from slmfleet.services.gateway.openapi import openapi_document
from slmfleet.services.gateway.request_id import request_id_of
from slmfleet.services.pipeline.assembly import LoadedFleet
from slmfleet.services.pipeline.pipeline import Query
from slmfleet.services.schemas import AnswerBody, BatchAnswerBody, BatchBody, HealthBody, Problem, QueryBody
from slmfleet.services.settings import Settings
from slmfleet.services.telemetry import logs, metrics, tracing
from slmfleet.services.telemetry.tracing import TRACEPARENT
from slmfleet.services.validation import parse_object, validate

Result = TypeVar("Result")
log = logging.getLogger(__name__)

#: Error -> HTTP status, problem type (urn:slmfleet:problem:<slug>) and title. A subclass without a row is
#: its base's; whatever is in no row is an internal error and says nothing of what happened.
PROBLEMS: Mapping[type[Exception], tuple[int, str, str]] = {
    MalformedRequest: (400, "malformed", "The request cannot be read"),
    Unauthenticated: (401, "unauthenticated", "The key or token is missing, forged or expired"),
    NotFound: (404, "not-found", "There is no such thing"),
    MethodNotAllowed: (405, "method-not-allowed", "The path does not know this method"),
    DeadlineExceeded: (408, "deadline-exceeded", "The answer was not ready in time"),
    TooLarge: (413, "too-large", "The request is over its limit"),
    UnsupportedMediaType: (415, "unsupported-media-type", "The body's content type is not understood"),
    InvalidQuery: (422, "invalid-field", "A field is not acceptable"),
    Overloaded: (429, "overloaded", "More is in hand than can be answered"),
    ModelBroken: (503, "model-broken", "A model is not working"),
    Unreachable: (503, "unreachable", "Something that is needed cannot be reached"),
}
INTERNAL = (500, "internal", "Something went wrong here")
#: Seconds after which a broken model, or a server that is needed, may have been restarted.
_RETRY_BROKEN_S = 5


@dataclass(slots=True)
class Received:
    """A request of which only the head was read. `outcome` is what came of it, for what is measured."""

    headers: Headers
    receive: Receive
    request_id: str
    outcome: str | None = None


_Handler = Callable[[Received], Awaitable[Response]]


class Gateway:
    """The ASGI application.

    `current` gives what is loaded now; `customer_of` turns a token into a customer id and `check_key` passes
    an API key, both raising Unauthenticated; without `check_key` no key is asked for.
    """

    def __init__(
        self,
        settings: Settings,
        current: Callable[[], LoadedFleet],
        customer_of: Callable[[str], str],
        check_key: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._current = current
        self._customer_of = customer_of
        self._check_key = check_key
        self._admission = Admission(settings.max_ongoing_requests, settings.max_queued_requests)
        self._openapi = openapi_document(settings, with_keys=check_key is not None)
        self._table: dict[str, dict[str, _Handler]] = {
            "/v1/queries": {"POST": self._query},
            "/v1/queries:batch": {"POST": self._batch},
            "/v1/fleet": {"GET": self._fleet},
            "/healthz": {"GET": self._alive},
            "/readyz": {"GET": self._ready},
            "/openapi.json": {"GET": self._document},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and stop."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Received(Headers(scope=scope), receive, request_id_of(scope["headers"]))
        logs.request_id.set(request.request_id)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        parent = request.headers.get(TRACEPARENT.decode()) or request.headers.get("traceparent")
        try:
            with tracing.span("request", parent, path=path, request_id=request.request_id):
                response = await self._in_time(scope["method"], path, request)
                tracing.note(outcome=request.outcome or "")
        except ClientGone:
            metrics.REQUEST_DURATION.observe(time.perf_counter() - started, "http", "client-gone")
            return
        except Exception as error:  # noqa: BLE001 - the outermost place: everything becomes an answer here
            request.outcome = _row(error)[1]
            response = problem(error, request.request_id)
        if request.outcome is not None:
            metrics.REQUEST_DURATION.observe(time.perf_counter() - started, "http", request.outcome)
        response.headers["x-request-id"] = request.request_id
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["cache-control"] = "no-store"
        if scope["method"] == "HEAD":
            response.body = b""  # the headers, content-length among them, stay those of GET
        await response(scope, receive, send)

    async def _in_time(self, method: str, path: str, request: Received) -> Response:
        handler = self._handler(method, path)
        seconds = self._settings.request_timeout_s
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await handler(request)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(f"the answer was not ready within {seconds:g} s") from None

    def _handler(self, method: str, path: str) -> _Handler:
        methods = self._table.get(path)
        if methods is None:
            raise NotFound("there is no such path; /openapi.json lists those there are")
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = [*methods, "HEAD"] if "GET" in methods else [*methods]
            raise MethodNotAllowed(f"this path knows {' and '.join(allowed)}", allowed)
        return handler

    async def _query(self, request: Received) -> Response:
        customer = self._caller(request)
        with self._admission:
            body = validate(QueryBody, await self._object(request))
            query = _query_of(body, customer)
            answer = self._current().pipeline.get_local(query)
            if answer is None:
                async with self._admission.place:
                    work = self._current().pipeline.look_up(query)
                    answer = await _unless_gone(work, request.receive)
        request.outcome = answer.status
        if log.isEnabledFor(logging.INFO):
            self._log(body, answer)
        return _json(answer.model_dump_json())

    async def _batch(self, request: Received) -> Response:
        customer = self._caller(request)
        with self._admission:
            document = await self._object(request)
            queries = document.get("queries")
            if isinstance(queries, list) and len(queries) > self._settings.max_batch:
                raise TooLarge(f"a batch may have at most {self._settings.max_batch} queries")
            batch = validate(BatchBody, document)
            asked = [_query_of(body, customer) for body in batch.queries]
            async with self._admission.place:
                work = self._current().pipeline.answer_all(asked)
                answers = await _unless_gone(work, request.receive)
        request.outcome = "batch"
        return _json(BatchAnswerBody(answers=answers).model_dump_json())

    async def _fleet(self, request: Received) -> Response:
        self._require_key(request)
        return _json((await self._current().describe()).model_dump_json())

    async def _alive(self, request: Received) -> Response:
        return _json(HealthBody(status="ok").model_dump_json())

    async def _ready(self, request: Received) -> Response:
        health = await self._current().health()
        ready = health.status == "ok"
        response = _json(health.model_dump_json(), 200 if ready else 503)
        if not ready:
            response.headers["retry-after"] = str(_RETRY_BROKEN_S)
        return response

    async def _document(self, request: Received) -> Response:
        return _json(self._openapi)

    def _log(self, body: QueryBody, answer: AnswerBody) -> None:
        told: dict[str, object] = {
            "status": answer.status,
            "domain": answer.route.domain,
            "intents": [part.intent for part in answer.parts],
            "latency_ms": answer.cost.latency_ms,
            "cpu_ms": answer.cost.cpu_ms,
        }
        if self._settings.log_queries:
            told["text"] = body.text
        log.info("answered", extra={"fields": told})

    def _require_key(self, request: Received) -> None:
        if self._check_key is None:
            return
        key = request.headers.get("x-api-key")
        if key is None:
            raise Unauthenticated("send an API key in the X-API-Key header")
        self._check_key(key)

    def _caller(self, request: Received) -> str | None:
        """The customer that the request proves to come from, None when it claims none."""
        self._require_key(request)
        given = request.headers.get("authorization")
        if given is None:
            return None
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("send the customer's token as 'Authorization: Bearer <token>'")
        return self._customer_of(token.strip())

    async def _object(self, request: Received) -> dict[str, object]:
        require_json(request.headers.get("content-type"))
        length = request.headers.get("content-length")
        return parse_object(await read_body(request.receive, length, self._settings.max_body_bytes))


def problem(error: Exception, request_id: str) -> Response:
    """`error` as application/problem+json (RFC 9457) with the headers its status asks for."""
    status, slug, title = _row(error)
    if status == INTERNAL[0]:
        log.error("request %s failed", request_id, exc_info=error)
    body = Problem(
        type=f"urn:slmfleet:problem:{slug}",
        title=title,
        status=status,
        detail=f"the fault is logged under request {request_id}" if status == INTERNAL[0] else str(error),
        request_id=request_id,
        field=error.field if isinstance(error, InvalidQuery) else None,
    )
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(error.allowed)
    elif isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="slmfleet"'
    elif isinstance(error, Overloaded):
        headers["retry-after"] = str(error.retry_after_s)
    elif isinstance(error, ModelBroken | Unreachable):
        headers["retry-after"] = str(_RETRY_BROKEN_S)
    elif isinstance(error, TooLarge | DeadlineExceeded):
        headers["connection"] = "close"  # the rest of the body is not going to be read
    return Response(body.model_dump_json(exclude_none=True), status, headers, "application/problem+json")


def _row(error: Exception) -> tuple[int, str, str]:
    return next((PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), INTERNAL)


async def _unless_gone(work: Coroutine[Any, Any, Result], receive: Receive) -> Result:
    """The result of `work`, which is cancelled when the client disconnects. Raises ClientGone then."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _query_of(body: QueryBody, customer: str | None) -> Query:
    return Query(
        text=body.text,
        customer=customer,
        session_id=body.session_id,
        locale=body.locale,
        history=tuple(body.history),
        explain=body.explain,
    )


def _json(content: str | bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")
