"""From a query to its answer: route, read, reply. Knows no HTTP, no Ray, no Redis.

Every channel (HTTP, command line, queue, voice) calls the same object, so that the same words get the
same decision everywhere.
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

from slmfleet.models.contracts import Answer, Decision, Explanation, ModelVersion, Reading, Route
from slmfleet.models.errors import SlmfleetError
from slmfleet.models.text.gazetteer import Gazetteers
from slmfleet.services.pipeline import conversation
from slmfleet.services.pipeline.conversation import (
    make_turn,
    merge_readings,
    readings_in_query,
    route_in_context,
    turns_from_history,
)
from slmfleet.services.pipeline.dispatch import Dispatcher
from slmfleet.services.pipeline.explanations import explanations_body
from slmfleet.services.pipeline.query_meter import QueryMeter
from slmfleet.services.pipeline.sessions import Sessions, Turn
from slmfleet.services.schemas import (
    AnswerBody,
    CostBody,
    EvidenceBody,
    ExplanationsBody,
    ModelBody,
    PartBody,
    RouteBody,
    RunnerUpBody,
    SlotBody,
)
from slmfleet.services.telemetry import metrics, tracing
from slmfleet.services.telemetry.energy import EnergyMeter
from slmfleet.services.telemetry.metrics import NO_DOMAIN

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Query:
    """A question and who asks. `customer` is None, or was taken from a verified token.

    `history` is what the same person said before, oldest first, where the asker keeps track of that; it then
    stands for what the session remembers. A query that is to be explained is always computed: a cached
    answer has no explanation.
    """

    text: str
    customer: str | None = None
    session_id: str | None = None
    locale: str = "en-US"
    history: tuple[str, ...] = ()
    explain: bool = False
    #: W3C trace context of whoever asks, where it is not that of the whole batch.
    traceparent: str | None = None


class Router(conversation.Router, Protocol):
    """Decides which specialists read a text, and can say why."""

    def explain(self, text: str) -> Explanation:
        """Why `text`, taken for one request, goes where it goes. Raises ModelBroken."""
        ...


class Replier(Protocol):
    """Decides and words the answer."""

    def reply(self, query: Query, decision: Decision, readings: Sequence[Reading]) -> Answer:
        """The answer that stands on evidence, or says what is missing for one."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and what makes of it the turn that a session remembers: worked out only where one does."""

    body: AnswerBody
    turn: Callable[[], Turn | None]


class Cache(Protocol):
    """Answers that need not be computed again."""

    def get_local(self, query: Query) -> Answered | None:
        """The kept answer to a query that nothing came before, if it is here and known to hold."""
        ...

    async def answered(self, query: Query, compute: Callable[[], Awaitable[Answered]]) -> Answered:
        """The kept answer that is not at hand, or what `compute` makes, kept then.

        Raises what `compute` raises.
        """
        ...

    async def bypass(self) -> None:
        """For a query that is computed whatever is kept: return once this process answers from what was last
        published as known.
        """
        ...


class Pipeline:
    """The one way from query to answer.

    Blocking work (models, records) runs in `executor`, so that an event loop around this object keeps
    serving health checks and deadlines. `energy` turns CPU time into joules; `gazetteers` are the phrases
    that name the retailer's products. Of what `cache` answers, the share `check_rate` is computed all the
    same, afterwards, and counted as same or different.
    """

    def __init__(
        self,
        router: Router,
        dispatcher: Dispatcher,
        replier: Replier,
        executor: ThreadPoolExecutor,
        energy: EnergyMeter,
        sessions: Sessions,
        gazetteers: Gazetteers,
        cache: Cache | None = None,
        check_rate: float = 0.0,
    ) -> None:
        self._router = router
        self._dispatcher = dispatcher
        self._replier = replier
        self._executor = executor
        self._energy = energy
        self._sessions = sessions
        self._gazetteers = gazetteers
        self._cache = cache
        self._check_rate = check_rate
        self._checks: set[asyncio.Task[None]] = set()

    def get_local(self, query: Query) -> AnswerBody | None:
        """The answer to `query` where it is kept in this process and belongs to no conversation, or None.

        It takes no model, no server and no waiting.
        """
        if self._cache is None or not self._may_be_kept(query) or query.session_id is not None:
            return None
        meter = QueryMeter()
        answered = self._cache.get_local(query)
        if answered is None:
            return None
        return self._told(query, answered.body, meter)

    async def answer(self, query: Query) -> AnswerBody:
        """Answer one query. Raises ModelBroken, Overloaded."""
        return self.get_local(query) or await self.look_up(query)

    async def look_up(self, query: Query) -> AnswerBody:
        """Answer a query whose answer is not at hand. Raises ModelBroken, Overloaded."""
        meter = QueryMeter()
        turns = await self._before(query)
        if query.session_id is not None:
            meter.stage("session", NO_DOMAIN)
        if self._cache is None:
            answered = await self._compute(query, turns, meter)
        elif self._may_be_kept(query) and not turns:
            # Without a session it was looked for before it came here.
            kept = None if query.session_id is None else self._cache.get_local(query)
            answered = kept or await self._cache.answered(query, lambda: self._compute(query, turns, meter))
        else:
            await self._cache.bypass()
            answered = await self._compute(query, turns, meter)
        body = self._told(query, answered.body, meter)
        if query.session_id is not None:
            turn = answered.turn()
            if turn is not None:
                await self._sessions.remember(query.customer, query.session_id, turn)
            meter.stage("session", NO_DOMAIN)
        return body

    def _told(self, query: Query, body: AnswerBody, meter: QueryMeter) -> AnswerBody:
        """The answer, once it is counted."""
        if body.cache == "hit":
            meter.stage("cache", NO_DOMAIN)
            self._check_some(query, body)
        meter.answered(body, looked_up=self._cache is not None)
        return body

    async def checked(self) -> None:
        """Return once no answer of the cache is being computed anew."""
        await asyncio.gather(*self._checks)

    @staticmethod
    def _may_be_kept(query: Query) -> bool:
        return query.customer is None and not query.history and not query.explain

    def _check_some(self, query: Query, body: AnswerBody) -> None:
        """Compute a sample of what the cache answered anew, while nobody waits for it."""
        if random.random() < self._check_rate:  # noqa: S311 - which ones is no secret
            task = asyncio.ensure_future(self._check(query, body))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _check(self, query: Query, body: AnswerBody) -> None:
        with contextlib.suppress(SlmfleetError):
            anew = (await self._compute(query, (), QueryMeter())).body
            same = (anew.status, anew.text) == (body.status, body.text)
            metrics.CACHE_CHECKS.add(1, "same" if same else "different")
            if not same:
                log.error("a kept answer of %s is not what is computed now", body.route.domain)

    async def _compute(self, query: Query, turns: tuple[Turn, ...], meter: QueryMeter) -> Answered:
        if self._cache is not None:
            meter.stage("cache", NO_DOMAIN)
        with tracing.span("router"):
            routed, cpu_s = await self._run(route_in_context, self._router, query.text, turns)
            decision = routed.decision
            domain = decision.routes[0].domain
            tracing.note(domain=domain, abstained=decision.abstained)
        meter.stage("router", domain, cpu_s)
        meter.routed(decision)
        # Who was offered passages, and is not understood again, is not asked a third time.
        offer = not (turns and turns[-1].choices)
        read = merge_readings(routed, await self._read(decision, query.explain, offer, meter))
        readings = readings_in_query(routed, query.text, read, turns)
        meter.mark()
        with tracing.span("reply"):
            answer, cpu_s = await self._run(self._replier.reply, query, decision, readings)
        meter.stage("reply", domain, cpu_s)
        turn = partial(make_turn, query.text, read, readings, answer.parts, self._gazetteers)
        explanation = None
        if query.explain:
            # What the first route was decided from: a clause of the text, or the text behind an earlier turn.
            route, cpu_s = await self._run(self._router.explain, decision.routes[0].text)
            meter.stage("explain", domain, cpu_s)
            explanation = explanations_body(route, readings)
        joules, source = self._energy.joules(meter.cpu_s)
        cost = CostBody(
            latency_ms=round(meter.elapsed_s() * 1e3, 3),
            cpu_ms=round(meter.cpu_s * 1e3, 3),
            energy_mj=round(joules * 1e3, 3),
            energy_source=source,
        )
        return Answered(self._body(query, decision, answer, cost, explanation), turn)

    async def answer_all(self, queries: Sequence[Query]) -> list[AnswerBody]:
        """Answer several queries, in order. Raises as `answer` does, for the whole batch.

        Those of one session are answered one after the other, as if they had come so; all others at once.
        """
        lines: dict[object, list[int]] = {}
        for index, query in enumerate(queries):
            session = index if query.session_id is None else (query.customer, query.session_id)
            lines.setdefault(session, []).append(index)
        answers: dict[int, AnswerBody] = {}

        async def in_turn(indices: list[int]) -> None:
            for index in indices:
                with tracing.span("query", queries[index].traceparent):
                    answers[index] = await self.answer(queries[index])

        await asyncio.gather(*map(in_turn, lines.values()))
        return [answers[index] for index in range(len(queries))]

    async def _before(self, query: Query) -> tuple[Turn, ...]:
        if query.history:
            return turns_from_history(query.history, self._gazetteers)
        if query.session_id is None:
            return ()
        return await self._sessions.turns(query.customer, query.session_id)

    async def _read(
        self, decision: Decision, explain: bool, offer: bool, meter: QueryMeter
    ) -> list[tuple[Route, Reading]]:
        """Each route that has a specialist, with what it made of the route's text; all at once.

        What the router abstained from is read to `offer` passages only.
        """
        if decision.abstained and not (decision.likely and offer):
            return []
        routes = [route for route in decision.routes if route.domain in self._dispatcher.domains]

        async def read(route: Route) -> tuple[Route, Reading]:
            started = time.perf_counter()
            with tracing.span("specialist", domain=route.domain):
                reading = await self._dispatcher.read(route.domain, route.text, explain)
                tracing.note(intent=reading.intent, confidence=reading.confidence)
            meter.read(route.domain, started, reading.cpu_ms / 1e3)
            return route, reading

        return await asyncio.gather(*map(read, routes))

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """What `function` returns in the executor, and its CPU seconds there."""

        def timed() -> tuple[T, float]:
            started = time.thread_time()
            result = function(*args, **kwargs)
            return result, time.thread_time() - started

        return await asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, timed)

    def _body(
        self,
        query: Query,
        decision: Decision,
        answer: Answer,
        cost: CostBody,
        explanation: ExplanationsBody | None,
    ) -> AnswerBody:
        first = decision.routes[0]
        return AnswerBody(
            id=uuid.uuid4().hex,
            status=answer.status,
            text=answer.text,
            parts=[
                PartBody(
                    domain=part.domain,
                    intent=part.intent,
                    confidence=round(part.confidence, 4),
                    slots=[
                        SlotBody(name=s.name, value=s.value, start=s.start, end=s.end) for s in part.slots
                    ],
                    status=part.status,
                    text=part.text,
                    evidence=[EvidenceBody(kind=e.kind, ref=e.ref, quote=e.quote) for e in part.evidence],
                    model=_model(part.model),
                )
                for part in answer.parts
            ],
            route=RouteBody(
                domain=first.domain,
                confidence=round(first.confidence, 4),
                threshold=round(decision.threshold, 4),
                abstained=decision.abstained,
                runner_up=RunnerUpBody(
                    domain=decision.runner_up[0], confidence=round(decision.runner_up[1], 4)
                ),
                model=_model(decision.model),
            ),
            cache="bypass",
            cost=cost,
            session_id=query.session_id,
            explanation=explanation,
        )


def _model(model: ModelVersion) -> ModelBody:
    return ModelBody(name=model.name, version=model.version)
