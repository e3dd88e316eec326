"""From deliveries of a broker to answers, dead letters, and which deliveries are done with.

Knows no broker: a transport hands in what was delivered, and acknowledges those for which True comes back.
The order is what loses nothing: the answer is stored, then published, and only then is the query
acknowledged. Whatever breaks off in between is delivered again, and gets the stored answer word for word.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol, cast

from cloudevents.core.v1.event import CloudEvent

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import EventFault, FleetFault, NotFound, Unreachable
from slmfleet.services.events.answerer import Failed, QueryClient, Rejected, Request, Unavailable
from slmfleet.services.events.cloudevents import (
    CHANGES,
    KNOWLEDGE_CHANGED,
    QUERIES,
    STREAM_OF,
    KnowledgeChangedData,
    OrderChangedData,
    QueryData,
    Reason,
    answer_event,
    data_of,
    death_event,
    key_of,
    read_event,
    serialized,
    traceparent_of,
)
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.periodic import periodically
from slmfleet.services.events.transport import Delivery, Publish

log = logging.getLogger(__name__)

_FIRST_BACK_OFF_S: Final = 0.1
_LONGEST_BACK_OFF_S: Final = 5.0


class ChangeTarget(Protocol):
    """What is to be dropped and indexed anew, in every replica."""

    async def knowledge_changed(self, domain: str) -> None:
        """Returns once nobody gives a stale answer. Raises NotFound, FleetFault, Unreachable."""
        ...

    async def order_changed(self, order_id: str) -> None:
        """Returns once no stale answer about the order can be given. Raises Unreachable."""
        ...


class _Handler:
    """What both handlers share: dying, leases, and waiting while nobody is there to answer."""

    def __init__(self, stream: str, ledger: Ledger, dead: DeadLetters, counts: EventCounts) -> None:
        self._stream = stream
        self._ledger = ledger
        self._dead = dead
        self._counts = counts
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wait for nobody any more: what cannot be answered now is left to be delivered again."""
        self._stopping.set()

    def _read(self, delivery: Delivery) -> CloudEvent:
        event = read_event(delivery.body, self._stream)
        if delivery.traceparent and traceparent_of(event) is None:
            event.get_attributes()["traceparent"] = delivery.traceparent
        return event

    async def _die(
        self, delivery: Delivery, reason: str, detail: str, attempts: int, event: CloudEvent | None
    ) -> None:
        letter = death_event(delivery.body, self._stream, cast("Reason", reason), detail, attempts, event)
        await self._dead.add(letter)
        self._counts.died(reason)
        log.warning("an event of %s is dead (%s): %s", self._stream, reason, detail)

    def _leased(self, keys: Sequence[str], owner: str) -> AbstractAsyncContextManager[None]:
        """Keep the leases of `keys` for as long as this goes on."""
        return periodically(self._ledger.lease_s / 3, lambda: self._ledger.renew([*keys], owner))

    async def _pause(self, tries: int, after_s: float) -> None:
        """Wait longer with each try, with jitter, but no longer than until `stop`."""
        longest = max(after_s, min(_LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * 2 ** min(tries, 10)))
        try:
            async with asyncio.timeout(longest * random.uniform(0.7, 1.0)):  # noqa: S311 - spreads load only
                await self._stopping.wait()
        except TimeoutError:
            pass


def dead_letter_writer(dead: DeadLetters, counts: EventCounts) -> Callable[[str, bytes], Awaitable[None]]:
    """Makes a dead letter of an event that the broker gave up: the stream it was on, and its body."""

    async def bury(stream: str, body: bytes) -> None:
        detail = "the broker gave it up after many deliveries; was the ledger away?"
        await dead.add(death_event(body, stream, "undeliverable", detail, 0, None))
        counts.died("undeliverable")

    return bury


@dataclass(slots=True)
class _Open:
    """A query event that has no answer yet, and the deliveries that wait for one."""

    key: str
    event: CloudEvent
    asked: Request
    places: list[int]
    attempts: int = 0


class QueryHandler(_Handler):
    """Answers query events. `publish` puts the answers on their streams."""

    def __init__(
        self, answerer: QueryClient, ledger: Ledger, dead: DeadLetters, publish: Publish, counts: EventCounts
    ) -> None:
        super().__init__(QUERIES, ledger, dead, counts)
        self._answerer = answerer
        self._publish = publish

    async def handle_all(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """For each delivery whether it is done with; the others are to be delivered again.

        Returns only when every event was answered, is dead, or is to be left: while the gateway is away it
        waits, which is what keeps a consumer from taking more than can be answered.
        """
        done = [False] * len(deliveries)
        events: dict[str, _Open] = {}
        for place, delivery in enumerate(deliveries):
            try:
                event = self._read(delivery)
                asked = Request(data_of(event, QueryData), traceparent_of(event))
            except EventFault as fault:
                await self._die(delivery, fault.reason, str(fault), 0, None)
                done[place] = True
                continue
            events.setdefault(key_of(event), _Open(key_of(event), event, asked, [])).places.append(place)
        owner = uuid.uuid4().hex
        tries = 0
        async with self._leased([*events], owner):
            while events and not self._stopping.is_set():
                after_s = await self._attempt(events, owner, deliveries, done)
                if events:
                    self._counts.unavailable()
                    await self._pause(tries, after_s)
                    tries += 1
                    while not self._stopping.is_set() and await self._answerer.unready() is not None:
                        await self._pause(tries, 0)
                        tries += 1
        return done

    async def _attempt(
        self, events: dict[str, _Open], owner: str, deliveries: Sequence[Delivery], done: list[bool]
    ) -> float:
        """Try every event once, and take out of `events` what need not be tried again here.

        Returns for how many seconds whoever answers wants to be left alone.
        """
        begun: list[_Open] = []
        standings = await asyncio.gather(*(self._ledger.begin(key, owner) for key in events))
        for one, standing in zip([*events.values()], standings, strict=True):
            one.attempts = standing.attempts
            if standing.kind == "begun":
                begun.append(one)
                continue
            del events[one.key]
            if standing.kind == "answered":
                await self._tell(one, standing.answer, done, "duplicate")
            elif standing.kind == "spent":
                reason = "failed" if standing.fault else "crashed"
                detail = standing.fault or f"{standing.attempts} consumers ended while they answered it"
                await self._bury(one, deliveries, done, reason, detail)
        outcomes = await self._answerer.answer_all([one.asked for one in begun]) if begun else []
        after_s = 0.0
        settling = []
        for one, outcome in zip(begun, outcomes, strict=True):
            if isinstance(outcome, Unavailable):
                settling.append(self._ledger.give_back(one.key, owner))
                after_s = max(after_s, outcome.after_s)
            else:
                settling.append(self._settle(events.pop(one.key), outcome, owner, deliveries, done))
        await asyncio.gather(*settling)
        return after_s

    async def _settle(
        self,
        one: _Open,
        outcome: Answer | Rejected | Failed,
        owner: str,
        deliveries: Sequence[Delivery],
        done: list[bool],
    ) -> None:
        if isinstance(outcome, Answer):
            stored = await self._ledger.complete(one.key, serialized(answer_event(one.event, outcome)))
            await self._tell(
                one, stored, done, "handed_off" if outcome.status == "handed_off" else "answered"
            )
            return
        await self._ledger.failed(one.key, owner, outcome.detail)
        if isinstance(outcome, Rejected):
            await self._bury(one, deliveries, done, outcome.reason, outcome.detail)
        elif one.attempts >= self._ledger.max_attempts:
            await self._bury(one, deliveries, done, "failed", outcome.detail)
        else:
            self._counts.handled(one.event.get_type(), "retried")

    async def _tell(self, one: _Open, stored: bytes, done: list[bool], result: str) -> None:
        """Publish the answer that stands, once a delivery."""
        answer = read_event(stored)
        for place in one.places:
            await self._publish(STREAM_OF[answer.get_type()], answer)
            done[place] = True
            self._counts.handled(one.event.get_type(), result)

    async def _bury(
        self, one: _Open, deliveries: Sequence[Delivery], done: list[bool], reason: str, detail: str
    ) -> None:
        for place in one.places:
            await self._die(deliveries[place], reason, detail, one.attempts, one.event)
            done[place] = True


class ChangeHandler(_Handler):
    """Passes change events on to what has to forget. They are few, and taken one after the other."""

    def __init__(self, changes: ChangeTarget, ledger: Ledger, dead: DeadLetters, counts: EventCounts) -> None:
        super().__init__(CHANGES, ledger, dead, counts)
        self._changes = changes

    async def handle_all(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """For each delivery whether it is done with; the others are to be delivered again."""
        return [await self._handle(delivery) for delivery in deliveries]

    async def _handle(self, delivery: Delivery) -> bool:
        try:
            event = self._read(delivery)
            change = self._change(event)
        except EventFault as fault:
            await self._die(delivery, fault.reason, str(fault), 0, None)
            return True
        key, owner = key_of(event), uuid.uuid4().hex
        async with self._leased([key], owner):
            return await self._carry_out(delivery, event, change, owner)

    def _change(self, event: CloudEvent) -> Callable[[], Awaitable[None]]:
        if event.get_type() == KNOWLEDGE_CHANGED:
            domain = data_of(event, KnowledgeChangedData).domain
            return lambda: self._changes.knowledge_changed(domain)
        order_id = data_of(event, OrderChangedData).order_id
        return lambda: self._changes.order_changed(order_id)

    async def _carry_out(
        self, delivery: Delivery, event: CloudEvent, change: Callable[[], Awaitable[None]], owner: str
    ) -> bool:
        key = key_of(event)
        for tries in range(1_000_000):
            standing = await self._ledger.begin(key, owner)
            if standing.kind == "spent":
                detail = standing.fault or f"{standing.attempts} consumers ended while they carried it out"
                await self._die(
                    delivery, "failed" if standing.fault else "crashed", detail, standing.attempts, event
                )
                return True
            if standing.kind == "held":
                return False
            # Also where it was carried out before: to forget twice is harmless, to skip it might not be.
            try:
                await change()
            except (NotFound, FleetFault) as error:
                await self._ledger.failed(key, owner, str(error))
                await self._die(delivery, "refused", str(error), standing.attempts, event)
                return True
            except Unreachable as error:
                log.warning("a change waits: %s", error)
                await self._ledger.give_back(key, owner)
            except Exception as error:
                log.exception("a change failed")
                await self._ledger.failed(key, owner, f"the change failed ({type(error).__name__})")
            else:
                await self._ledger.complete(key, b"{}")
                self._counts.handled(event.get_type(), "invalidated")
                return True
            await self._pause(tries, 0)
            if self._stopping.is_set():
                return False
        return False
