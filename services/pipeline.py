"""From a query to its answer: route, read, reply. Knows no HTTP, no Ray, no Redis.

Every channel (HTTP, command line, queue, voice) calls the same object, so that the same words get the
same decision everywhere.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from slmfleet.models.contracts import Answer, Decision, Explanation, ModelVersion, Reading, Route
from slmfleet.models.phrases import Gazetteers
from slmfleet.services import conversation
from slmfleet.services.conversation import in_query, merged, route_in_context, told, turn_of
from slmfleet.services.dispatch import Dispatcher
from slmfleet.services.explaining import explanations_body
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
from slmfleet.services.sessions import Sessions, Turn

P = ParamSpec("P")
T = TypeVar("T")


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

    async def answered(self, query: Query, compute: Callable[[], Awaitable[Answered]]) -> Answered:
        """The answer to a query that nothing came before: a kept one, or what `compute` makes, kept then.

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
    serving health checks and deadlines. `core_watts` turns CPU time into an estimate of energy; `gazetteers`
    are the phrases that name the retailer's products.
    """

    def __init__(
        self,
        router: Router,
        dispatcher: Dispatcher,
        replier: Replier,
        executor: ThreadPoolExecutor,
        core_watts: float,
        sessions: Sessions,
        gazetteers: Gazetteers,
        cache: Cache | None = None,
    ) -> None:
        self._router = router
        self._dispatcher = dispatcher
        self._replier = replier
        self._executor = executor
        self._core_watts = core_watts
        self._sessions = sessions
        self._gazetteers = gazetteers
        self._cache = cache

    async def answer(self, query: Query) -> AnswerBody:
        """Answer one query. Raises ModelBroken, Overloaded."""
        turns = await self._before(query)
        if self._cache is None:
            answered = await self._compute(query, turns)
        elif query.customer is None and not turns and not query.explain:
            answered = await self._cache.answered(query, lambda: self._compute(query, turns))
        else:
            await self._cache.bypass()
            answered = await self._compute(query, turns)
        if query.session_id is not None:
            turn = answered.turn()
            if turn is not None:
                await self._sessions.remember(query.customer, query.session_id, turn)
        return answered.body

    async def _compute(self, query: Query, turns: tuple[Turn, ...]) -> Answered:
        started = time.perf_counter()
        routed = await self._run(route_in_context, self._router, query.text, turns)
        decision = routed.decision
        read = merged(routed, await self._read(decision, query.explain))
        readings = in_query(routed, query.text, read, turns)
        answer, reply_cpu_ms = await self._run(self._timed_reply, query, decision, readings)
        turn = partial(turn_of, query.text, read, readings, answer.parts, self._gazetteers)
        cpu_ms = decision.cpu_ms + sum(reading.cpu_ms for reading in readings) + reply_cpu_ms
        explanation = None
        if query.explain:
            # What the first route was decided from: a clause of the text, or the text behind an earlier turn.
            route = await self._run(self._router.explain, decision.routes[0].text)
            cpu_ms += route.cpu_ms
            explanation = explanations_body(route, readings)
        latency_ms = (time.perf_counter() - started) * 1e3
        return Answered(self._body(query, decision, answer, cpu_ms, latency_ms, explanation), turn)

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
                answers[index] = await self.answer(queries[index])

        await asyncio.gather(*map(in_turn, lines.values()))
        return [answers[index] for index in range(len(queries))]

    async def _before(self, query: Query) -> tuple[Turn, ...]:
        if query.history:
            return told(query.history, self._gazetteers)
        if query.session_id is None:
            return ()
        return await self._sessions.turns(query.customer, query.session_id)

    async def _read(self, decision: Decision, explain: bool) -> list[tuple[Route, Reading]]:
        """Each route that has a specialist, with what it made of the route's text; all at once."""
        if decision.abstained:
            return []
        routes = [route for route in decision.routes if route.domain in self._dispatcher.domains]
        readings = await asyncio.gather(
            *(self._dispatcher.read(route.domain, route.text, explain) for route in routes)
        )
        return list(zip(routes, readings, strict=True))

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def _timed_reply(
        self, query: Query, decision: Decision, readings: Sequence[Reading]
    ) -> tuple[Answer, float]:
        started = time.thread_time()
        answer = self._replier.reply(query, decision, readings)
        return answer, (time.thread_time() - started) * 1e3

    def _body(
        self,
        query: Query,
        decision: Decision,
        answer: Answer,
        cpu_ms: float,
        latency_ms: float,
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
            cost=CostBody(
                latency_ms=round(latency_ms, 3),
                cpu_ms=round(cpu_ms, 3),
                energy_mj=round(cpu_ms * self._core_watts, 3),
                energy_source="estimated",
            ),
            session_id=query.session_id,
            explanation=explanation,
        )


def _model(model: ModelVersion) -> ModelBody:
    return ModelBody(name=model.name, version=model.version)
