"""The HTTP interface as one ASGI application: routing, admission, authentication, deadlines.

Raw ASGI with pydantic by hand: FastAPI on this path halves the throughput. Knows no Ray; a replica passes
what is loaded through `current`, and may replace it between two requests.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import (
    DeadlineExceeded,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from slmfleet.models.question import Query, Question
from slmfleet.services.gateway.admission import Admission
from slmfleet.services.gateway.body import ClientGone, read_body, require_json
from slmfleet.services.gateway.openapi import openapi_document
from slmfleet.services.gateway.problems import RETRY_BROKEN_S, problem_kind, problem_response
from slmfleet.services.gateway.request_id import request_id_of
from slmfleet.services.gateway.routes import (
    ALIVE,
    ASK_MANY,
    ASK_ONE,
    FLEET,
    OPENAPI,
    READY,
    ROUTES,
    Route,
)
from slmfleet.services.pipeline.assembly import LoadedFleet
from slmfleet.services.schemas import BatchAnswerBody, BatchBody, HealthBody
from slmfleet.services.settings import Settings
from slmfleet.services.telemetry import logs, metrics, tracing
from slmfleet.services.telemetry.tracing import TRACEPARENT
from slmfleet.services.validation import parse_object, validate

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Received:
    """A request of which only the head was read. `outcome` labels its metrics; its handler sets it."""

    headers: Headers
    receive: Receive
    request_id: str
    outcome: str | None = None


_Handler = Callable[[Received], Awaitable[Response]]


class Gateway:
    """The ASGI application.

    `current` returns the loaded fleet; `customer_of` turns a token into a customer id and `check_key` accepts
    an API key, both raising Unauthenticated; without `check_key` no key is needed.
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
        handlers: dict[Route, _Handler] = {
            ASK_ONE: self._query,
            ASK_MANY: self._batch,
            FLEET: self._fleet,
            ALIVE: self._alive,
            READY: self._ready,
            OPENAPI: self._document,
        }
        #: Path -> method -> handler.
        self._handlers: dict[str, dict[str, _Handler]] = {}
        for route in ROUTES:
            self._handlers.setdefault(route.path, {})[route.method] = handlers[route]

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
            request.outcome = problem_kind(type(error)).slug
            response = problem_response(error, request.request_id)
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
        methods = self._handlers.get(path)
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
            question = validate(Question, await self._object(request))
            query = Query.of(question, customer)
            answer = self._current().pipeline.get_local(query)
            if answer is None:
                async with self._admission.place:
                    work = self._current().pipeline.get_or_compute(query)
                    answer = await _unless_gone(work, request.receive)
        request.outcome = answer.status
        if log.isEnabledFor(logging.INFO):
            self._log(question, answer)
        return _json(answer.model_dump_json())

    async def _batch(self, request: Received) -> Response:
        customer = self._caller(request)
        with self._admission:
            document = await self._object(request)
            given = document.get("queries")
            if isinstance(given, list) and len(given) > self._settings.max_batch:
                raise TooLarge(f"a batch may have at most {self._settings.max_batch} queries")
            batch = validate(BatchBody, document)
            queries = [Query.of(question, customer) for question in batch.queries]
            async with self._admission.place:
                work = self._current().pipeline.answer_all(queries)
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
            response.headers["retry-after"] = str(RETRY_BROKEN_S)
        return response

    async def _document(self, request: Received) -> Response:
        return _json(self._openapi)

    def _log(self, question: Question, answer: Answer) -> None:
        fields: dict[str, object] = {
            "status": answer.status,
            "domain": answer.route.domain,
            "intents": [part.intent for part in answer.parts],
            "latency_ms": answer.cost.latency_ms,
            "cpu_ms": answer.cost.cpu_ms,
        }
        if self._settings.log_queries:
            fields["text"] = question.text
        log.info("answered", extra={"fields": fields})

    def _require_key(self, request: Received) -> None:
        if self._check_key is None:
            return
        key = request.headers.get("x-api-key")
        if key is None:
            raise Unauthenticated("send an API key in the X-API-Key header")
        self._check_key(key)

    def _caller(self, request: Received) -> str | None:
        """The customer of the request's token, None without a token. Raises Unauthenticated."""
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


def _json(content: str | bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")
