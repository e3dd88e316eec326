"""Query events: from deliveries to answers or dead letters, and which deliveries are handled.

The order loses nothing: the answer is stored, then published, and only then is the query acknowledged. After
an interruption the query is delivered again, and gets the stored answer word for word.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloudevents.core.v1.event import CloudEvent

from slmfleet.models.errors import EventFault
from slmfleet.services.events.answerer import Failed, QueryClient, Rejected, Request, Unavailable
from slmfleet.services.events.cloudevents import (
    QUERIES,
    STREAM_OF,
    QueryData,
    Reason,
    answer_event,
    data_of,
    key_of,
    read_event,
    serialized,
    traceparent_of,
)
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.handler import Handler
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.transport import Delivery, Publish
from slmfleet.services.schemas import AnswerBody


@dataclass(slots=True)
class _Query:
    """A query event without an answer yet. `indices`: its deliveries in the batch."""

    key: str
    event: CloudEvent
    request: Request
    indices: list[int]
    attempts: int = 0


@dataclass(slots=True)
class _Batch:
    """Deliveries, for each whether it is handled, and the queries that still are to be: key -> query.

    `owner` names this batch to the ledger.
    """

    deliveries: Sequence[Delivery]
    handled: list[bool]
    queries: dict[str, _Query] = field(default_factory=dict)
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)


class QueryHandler(Handler):
    """Answers query events. `publish` puts the answers on their streams."""

    def __init__(
        self, answerer: QueryClient, ledger: Ledger, dead: DeadLetters, publish: Publish, counts: EventCounts
    ) -> None:
        super().__init__(QUERIES, ledger, dead, counts)
        self._answerer = answerer
        self._publish = publish

    async def handle_all(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """For each delivery whether it is handled; the others are to be delivered again.

        Returns only when every event was answered, is dead, or is to be left. While the gateway is away it
        waits, so that a consumer takes no more than can be answered.
        """
        batch = await self._batch(deliveries)
        tries = 0
        async with self._leased([*batch.queries], batch.owner):
            while batch.queries and not self._stopping.is_set():
                after_s = await self._attempt(batch)
                if batch.queries:
                    await self._back_off(tries, after_s)
                    tries += 1
                    while not self._stopping.is_set() and await self._answerer.unready() is not None:
                        await self._back_off(tries, 0)
                        tries += 1
        return batch.handled

    async def _batch(self, deliveries: Sequence[Delivery]) -> _Batch:
        """The queries of the deliveries; those that cannot be read become dead letters."""
        batch = _Batch(deliveries, [False] * len(deliveries))
        for index, delivery in enumerate(deliveries):
            try:
                event = self._read(delivery)
                request = Request(data_of(event, QueryData), traceparent_of(event))
            except EventFault as fault:
                await self._die(delivery, fault.reason, str(fault), 0, None)
                batch.handled[index] = True
                continue
            key = key_of(event)
            batch.queries.setdefault(key, _Query(key, event, request, [])).indices.append(index)
        return batch

    async def _attempt(self, batch: _Batch) -> float:
        """Try every query once, and take out of the batch what need not be tried again here.

        Returns for how many seconds the answerer asks not to be called.
        """
        acquired = await self._acquire(batch)
        requests = [query.request for query in acquired]
        outcomes = await self._answerer.answer_all(requests) if requests else []
        after_s = 0.0
        settling = []
        for query, outcome in zip(acquired, outcomes, strict=True):
            if isinstance(outcome, Unavailable):
                settling.append(self._ledger.release(query.key, batch.owner))
                after_s = max(after_s, outcome.after_s)
            else:
                del batch.queries[query.key]
                settling.append(self._settle(batch, query, outcome))
        await asyncio.gather(*settling)
        return after_s

    async def _acquire(self, batch: _Batch) -> list[_Query]:
        """The queries that this batch may try now.

        Those answered before are answered again, those without attempts left become dead letters, and those
        that another consumer has are left.
        """
        queries = [*batch.queries.values()]
        states = await asyncio.gather(*(self._ledger.acquire(query.key, batch.owner) for query in queries))
        acquired: list[_Query] = []
        for query, state in zip(queries, states, strict=True):
            query.attempts = state.attempts
            if state.kind == "acquired":
                acquired.append(query)
                continue
            del batch.queries[query.key]
            if state.kind == "answered":
                await self._publish_answer(batch, query, state.answer, "duplicate")
            elif state.kind == "exhausted":
                detail = state.fault or f"{state.attempts} consumers ended while they answered it"
                await self._bury(batch, query, "failed" if state.fault else "crashed", detail)
        return acquired

    async def _settle(self, batch: _Batch, query: _Query, outcome: AnswerBody | Rejected | Failed) -> None:
        if isinstance(outcome, AnswerBody):
            answer = serialized(answer_event(query.event, outcome))
            stored = await self._ledger.complete(query.key, answer)
            result = "handed_off" if outcome.status == "handed_off" else "answered"
            await self._publish_answer(batch, query, stored, result)
            return
        await self._ledger.failed(query.key, batch.owner, outcome.detail)
        if isinstance(outcome, Rejected):
            await self._bury(batch, query, outcome.reason, outcome.detail)
        elif query.attempts >= self._ledger.max_attempts:
            await self._bury(batch, query, "failed", outcome.detail)
        else:
            self._counts.handled(query.event.get_type(), "retried")

    async def _publish_answer(self, batch: _Batch, query: _Query, stored: bytes, result: str) -> None:
        """Publish the stored answer, once a delivery."""
        answer = read_event(stored)
        for index in query.indices:
            await self._publish(STREAM_OF[answer.get_type()], answer)
            batch.handled[index] = True
            self._counts.handled(query.event.get_type(), result)

    async def _bury(self, batch: _Batch, query: _Query, reason: Reason, detail: str) -> None:
        """Store a dead letter for each delivery of the query."""
        for index in query.indices:
            await self._die(batch.deliveries[index], reason, detail, query.attempts, query.event)
            batch.handled[index] = True
