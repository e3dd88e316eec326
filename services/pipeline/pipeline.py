"""From a query to its answer: cache, route, read, reply. Knows no HTTP, no Ray, no Redis.

Every channel (HTTP, command line, queue) calls the same object, so that the same words get the same decision
everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from slmfleet.models.contracts import Answer, Cost, Decision, Explanations, Reading, Reply, Route
from slmfleet.models.errors import SlmfleetError
from slmfleet.models.question import Query
from slmfleet.models.text.gazetteer import Gazetteers
from slmfleet.services.pipeline.conversation import Conversation, turns_from_history
from slmfleet.services.pipeline.guarded_model import TextRouter
from slmfleet.services.pipeline.placement import Placement
from slmfleet.services.pipeline.query_meter import QueryMeter
from slmfleet.services.pipeline.sessions import Sessions, Turn
from slmfleet.services.telemetry import metrics, tracing
from slmfleet.services.telemetry.energy import EnergyMeter
from slmfleet.services.telemetry.metrics import NO_DOMAIN

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


class Replier(Protocol):
    """Decides and words the answer."""

    def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Reply:
        """The reply that stands on evidence, or asks for what is missing."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and a function that makes the turn for the session's memory: called only with a session."""

    answer: Answer
    turn: Callable[[], Turn | None]


class Cache(Protocol):
    """Answers that need not be computed again."""

    def get_local(self, query: Query) -> Answered | None:
        """The cached answer to a query without earlier turns, if this process has a valid one."""
        ...

    async def get_or_compute(self, query: Query, compute: Callable[[], Awaitable[Answered]]) -> Answered:
        """The cached answer from wherever it is, or what `compute` returns, which is then cached.

        Raises what `compute` raises.
        """
        ...

    async def catch_up(self) -> None:
        """Return once this process has the knowledge that was last published: for a query past the cache."""
        ...


class Pipeline:
    """The one way from query to answer.

    Blocking work (models, records) runs in `executor`, so that an event loop around this object keeps
    serving health checks and deadlines. `energy` turns CPU time into joules; `gazetteers` are the names of
    the retailer's products. The share `check_rate` of the answers from `cache` is computed anew afterwards
    and counted as same or different.
    """

    def __init__(
        self,
        *,
        router: TextRouter,
        placement: Placement,
        replier: Replier,
        executor: ThreadPoolExecutor,
        energy: EnergyMeter,
        sessions: Sessions,
        gazetteers: Gazetteers,
        cache: Cache | None = None,
        check_rate: float = 0.0,
    ) -> None:
        self._router = router
        self._placement = placement
        self._replier = replier
        self._executor = executor
        self._energy = energy
        self._sessions = sessions
        self._gazetteers = gazetteers
        self._cache = cache
        self._check_rate = check_rate
        self._checks: set[asyncio.Task[None]] = set()

    def get_local(self, query: Query) -> Answer | None:
        """The answer to `query` where this process has it cached and no session is involved, or None.

        Runs no model, asks no server and does not block.
        """
        if self._cache is None or not self._is_cacheable(query) or query.session_id is not None:
            return None
        meter = QueryMeter()
        cached = self._cache.get_local(query)
        if cached is None:
            return None
        self._count(query, cached.answer, meter)
        return cached.answer

    async def answer(self, query: Query) -> Answer:
        """Answer one query. Raises ModelBroken, Overloaded."""
        return self.get_local(query) or await self.get_or_compute(query)

    async def get_or_compute(self, query: Query) -> Answer:
        """Answer a query that `get_local` has no answer to. Raises ModelBroken, Overloaded."""
        meter = QueryMeter()
        turns = await self._earlier_turns(query)
        if query.session_id is not None:
            meter.stage("session", NO_DOMAIN)
        answered = await self._answered(query, turns, meter)
        self._count(query, answered.answer, meter)
        if query.session_id is not None:
            turn = answered.turn()
            if turn is not None:
                await self._sessions.remember(query.customer, query.session_id, turn)
            meter.stage("session", NO_DOMAIN)
        return answered.answer

    async def answer_all(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer several queries, in order. Raises as `answer` does, for the whole batch.

        Those of one session are answered one after the other, as if they had come so; all others at once.
        """
        sessions: dict[object, list[int]] = {}
        for index, query in enumerate(queries):
            session = index if query.session_id is None else (query.customer, query.session_id)
            sessions.setdefault(session, []).append(index)
        answers: dict[int, Answer] = {}

        async def in_turn(indices: list[int]) -> None:
            for index in indices:
                with tracing.span("query", queries[index].traceparent):
                    answers[index] = await self.answer(queries[index])

        await asyncio.gather(*map(in_turn, sessions.values()))
        return [answers[index] for index in range(len(queries))]

    async def finish_checks(self) -> None:
        """Return once no cached answer is being computed anew."""
        await asyncio.gather(*self._checks)

    async def _answered(self, query: Query, turns: tuple[Turn, ...], meter: QueryMeter) -> Answered:
        if self._cache is None:
            return await self._compute(query, turns, meter)
        if turns or not self._is_cacheable(query):
            await self._cache.catch_up()
            return await self._compute(query, turns, meter)
        # Without a session `get_local` has looked here before.
        cached = None if query.session_id is None else self._cache.get_local(query)
        return cached or await self._cache.get_or_compute(query, lambda: self._compute(query, turns, meter))

    @staticmethod
    def _is_cacheable(query: Query) -> bool:
        """A query that is to be explained is not: a cached answer has no explanation."""
        return query.customer is None and not query.history and not query.explain

    def _count(self, query: Query, answer: Answer, meter: QueryMeter) -> None:
        if answer.cache == "hit":
            meter.stage("cache", NO_DOMAIN)
            self._check_some(query, answer)
        meter.answered(answer, has_cache=self._cache is not None)

    def _check_some(self, query: Query, answer: Answer) -> None:
        """Compute a sample of the cached answers anew, in the background."""
        if random.random() < self._check_rate:  # noqa: S311 - no secret depends on it
            task = asyncio.ensure_future(self._check(query, answer))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _check(self, query: Query, cached: Answer) -> None:
        with contextlib.suppress(SlmfleetError):
            anew = (await self._compute(query, (), QueryMeter())).answer
            same = (anew.status, anew.text) == (cached.status, cached.text)
            metrics.CACHE_CHECKS.add(1, "same" if same else "different")
            if not same:
                log.error("a cached answer of %s is not what is computed now", cached.route.domain)

    async def _earlier_turns(self, query: Query) -> tuple[Turn, ...]:
        """The turns that the client sends along, else those of the session; oldest first."""
        if query.history:
            return turns_from_history(query.history, self._gazetteers)
        if query.session_id is None:
            return ()
        return await self._sessions.turns(query.customer, query.session_id)

    async def _compute(self, query: Query, turns: tuple[Turn, ...], meter: QueryMeter) -> Answered:
        if self._cache is not None:
            meter.stage("cache", NO_DOMAIN)
        conversation = Conversation(query.text, turns, self._gazetteers)
        with tracing.span("router"):
            decision, cpu_s = await self._run(conversation.route, self._router)
            domain = decision.routes[0].domain
            tracing.note(domain=domain, abstained=decision.abstained)
        meter.stage("router", domain, cpu_s)
        meter.routed(decision)
        readings = conversation.understand(
            await self._read(decision, query.explain, conversation.may_offer, meter)
        )
        meter.mark()
        with tracing.span("reply"):
            reply, cpu_s = await self._run(self._replier.reply, query, decision, readings)
        meter.stage("reply", domain, cpu_s)
        explanation = await self._explain(decision, readings, meter) if query.explain else None
        answer = Answer(
            id=uuid.uuid4().hex,
            status=reply.status,
            text=reply.text,
            parts=reply.parts,
            route=decision.routing,
            cache="bypass",
            cost=Cost.measured(meter.elapsed_s(), meter.cpu_s, *self._energy.joules(meter.cpu_s)),
            session_id=query.session_id,
            explanation=explanation,
        )
        return Answered(answer, partial(conversation.remember, reply.parts))

    async def _read(
        self, decision: Decision, explain: bool, may_offer: bool, meter: QueryMeter
    ) -> list[tuple[Route, Reading]]:
        """Each route that has a specialist, with its reading of the route's text; all are read at once.

        Where the router abstained, a specialist reads only if it is likely and passages may be offered.
        """
        if decision.abstained and not (decision.likely and may_offer):
            return []
        routes = [route for route in decision.routes if route.domain in self._placement.domains]

        async def read(route: Route) -> tuple[Route, Reading]:
            started = time.perf_counter()
            with tracing.span("specialist", domain=route.domain):
                reading = await self._placement.read(route.domain, route.text, explain)
                tracing.note(intent=reading.intent, confidence=reading.confidence)
            meter.read(route.domain, started, reading.cpu_ms / 1e3)
            return route, reading

        return await asyncio.gather(*map(read, routes))

    async def _explain(
        self, decision: Decision, readings: Sequence[Reading], meter: QueryMeter
    ) -> Explanations:
        """The router's explanation of the first route, and those that the readings carry."""
        # The text that was routed: a clause of the query, or the query behind an earlier turn.
        first = decision.routes[0]
        route, cpu_s = await self._run(self._router.explain, first.text)
        meter.stage("explain", first.domain, cpu_s)
        parts = (one.explanation.for_part(one.domain) for one in readings if one.explanation is not None)
        return Explanations(route=route, parts=tuple(parts))

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """What `function` returns in the executor, and its CPU seconds there."""

        def timed() -> tuple[T, float]:
            started = time.thread_time()
            result = function(*args, **kwargs)
            return result, time.thread_time() - started

        return await asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, timed)
