"""Clients that answer the queue's queries: over a gateway's HTTP, or with the pipeline in this process.

Both distinguish queries that will never be answered, attempts that failed, and queries that could not be
tried: the last is not the query's fault, and does not count as an attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx
from pydantic import ValidationError

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import SlmfleetError, Unauthenticated
from slmfleet.models.question import Query
from slmfleet.services.events.cloudevents import QueryData, Reason
from slmfleet.services.gateway.problems import problem_kind, verdict_of_status
from slmfleet.services.gateway.routes import ASK_MANY, ASK_ONE, FLEET, READY, Route
from slmfleet.services.pipeline.assembly import LoadedFleet
from slmfleet.services.schemas import BatchAnswerBody
from slmfleet.services.telemetry import tracing

#: The gateway has its own deadline; this is for one that hangs.
_TIMEOUT: Final = httpx.Timeout(30.0, connect=2.0)


@dataclass(frozen=True, slots=True)
class Request:
    """A query of the queue, and the trace that it belongs to."""

    data: QueryData
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The query will never be answered."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No attempt could be made; to be tried again after `after_s` seconds."""

    detail: str
    after_s: float = 0.0


Outcome = Answer | Rejected | Failed | Unavailable


class QueryClient(Protocol):
    """Answers queries."""

    async def answer_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome a request, in order; those of one session are answered in order."""
        ...

    async def unready(self) -> str | None:
        """Why no query can be answered now, or None."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class GatewayClient:
    """Posts to `/v1/queries:batch` of the gateway at `url`: one batch a customer, since each has a token.

    A batch that fails is posted again query by query, so that one bad query does not fail the others. A
    traced query is posted by itself, since a batch belongs to one trace.
    """

    def __init__(
        self, url: str, api_key: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        headers = {"x-api-key": api_key} if api_key else {}
        self._url = url
        self._client = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=False
        )

    async def answer_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome a request, in order."""
        # A query that is posted by itself must not change its place within its session.
        traced = {
            (request.data.token, request.data.session_id)
            for request in requests
            if request.data.session_id is not None and tracing.is_sampled(request.traceparent)
        }
        posts: dict[tuple[str | None, int | None], list[int]] = {}
        for index, request in enumerate(requests):
            token = request.data.token
            alone = tracing.is_sampled(request.traceparent) or (token, request.data.session_id) in traced
            posts.setdefault((token, index if alone else None), []).append(index)
        outcomes: dict[int, Outcome] = {}
        for (token, _), indices in posts.items():
            found = await self._of_customer([requests[index] for index in indices], token)
            outcomes.update(zip(indices, found, strict=True))
        return [outcomes[index] for index in range(len(requests))]

    async def _of_customer(self, requests: list[Request], token: str | None) -> list[Outcome]:
        queries = [request.data.model_dump(exclude_unset=True, exclude={"token"}) for request in requests]
        if len(requests) > 1:
            response = await self._post(ASK_MANY, {"queries": queries}, token, None)
            if isinstance(response, Unavailable):
                return [response] * len(requests)
            if response.status_code == httpx.codes.OK:
                return [*BatchAnswerBody.model_validate_json(response.content).answers]
        return [
            await self._single(query, token, request.traceparent)
            for query, request in zip(queries, requests, strict=True)
        ]

    async def _single(self, query: dict[str, Any], token: str | None, traceparent: str | None) -> Outcome:
        why = await self.unready()
        if why is not None:
            return Unavailable(why)
        response = await self._post(ASK_ONE, query, token, traceparent)
        if isinstance(response, Unavailable):
            return response
        return await self._outcome(response, token)

    async def _outcome(self, response: httpx.Response, token: str | None) -> Outcome:
        status = response.status_code
        if status == httpx.codes.OK:
            try:
                return Answer.model_validate_json(response.content)
            except ValidationError:
                return Failed(f"{self._url} answers in a shape that is not known here")
        detail = _detail(response)
        if status in (401, 403):
            if token is None or await self._refuses_key():
                return Unavailable(f"the gateway does not take the API key (SLMFLEET_API_KEYS): {detail}", 5)
            return Rejected("unauthenticated", detail)
        verdict = verdict_of_status(status)
        if verdict == "rejected":
            return Rejected("refused", detail)
        if verdict == "failed":
            return Failed(detail)
        return Unavailable(f"the gateway says {status}: {detail}", _retry_after_s(response))

    async def _post(
        self, route: Route, document: dict[str, Any], token: str | None, traceparent: str | None
    ) -> httpx.Response | Unavailable:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if traceparent:
            headers["traceparent"] = traceparent
        try:
            response = await self._client.post(route.path, json=document, headers=headers)
        except httpx.HTTPError as error:
            return Unavailable(f"{self._url} cannot be reached ({type(error).__name__})")
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return Unavailable(f"the gateway is busy: {_detail(response)}", _retry_after_s(response))
        return response

    async def _refuses_key(self) -> bool:
        try:
            response = await self._client.get(FLEET.path)
        except httpx.HTTPError:
            return True
        return response.status_code in (401, 403)

    async def unready(self) -> str | None:
        """Why the gateway answers nothing now, or None when all its models pass their probes."""
        try:
            response = await self._client.get(READY.path, timeout=5)
        except httpx.HTTPError as error:
            return f"{self._url} cannot be reached ({type(error).__name__})"
        return None if response.status_code == httpx.codes.OK else f"{self._url} is not ready"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class PipelineClient:
    """The pipeline in this process. `customer_of` turns a token into a customer id."""

    def __init__(self, current: Callable[[], LoadedFleet], customer_of: Callable[[str], str]) -> None:
        self._current = current
        self._customer_of = customer_of

    async def answer_all(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome a request, in order."""
        outcomes: dict[int, Outcome] = {}
        queries: dict[int, Query] = {}
        for index, request in enumerate(requests):
            try:
                queries[index] = self._query(request)
            except Unauthenticated as error:
                outcomes[index] = Rejected("unauthenticated", str(error))
        try:
            answers = await self._current().pipeline.answer_all([*queries.values()])
            outcomes.update(zip(queries, answers, strict=True))
        except Exception:  # noqa: BLE001 - one of them raised it: each is tried alone to find which
            for index, query in queries.items():
                outcomes[index] = await self._single(query)
        return [outcomes[index] for index in range(len(requests))]

    def _query(self, asked: Request) -> Query:
        token = asked.data.token
        customer = self._customer_of(token) if token else None
        return Query.of(asked.data, customer, asked.traceparent)

    async def _single(self, query: Query) -> Outcome:
        why = await self.unready()
        if why is not None:
            return Unavailable(why)
        try:
            return (await self._current().pipeline.answer_all([query]))[0]
        except SlmfleetError as error:
            verdict = problem_kind(type(error)).verdict
            if verdict == "unavailable":
                return Unavailable(str(error), getattr(error, "retry_after_s", 0.0))
            return Failed(str(error)) if verdict == "failed" else Rejected("refused", str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the dead letter names it
            return Failed(f"the pipeline failed ({type(error).__name__})")

    async def unready(self) -> str | None:
        """Which model does not pass its probe, or None."""
        health = await self._current().health()
        if health.status == "ok":
            return None
        return "; ".join(f"{name}: {check}" for name, check in health.checks.items() if check != "ok")

    async def close(self) -> None:
        """Nothing: the models are the caller's."""


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])[:400]
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"


def _retry_after_s(response: httpx.Response) -> float:
    given = response.headers.get("retry-after", "")
    return min(float(given), 30.0) if given.isdecimal() else 0.0
