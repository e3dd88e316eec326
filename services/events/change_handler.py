"""Change events: what replicas hold of changed knowledge is invalidated before the event is acknowledged."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cloudevents.core.v1.event import CloudEvent

from slmfleet.models.errors import EventFault, FleetFault, NotFound, Unreachable
from slmfleet.services.events.cloudevents import (
    CHANGES,
    KNOWLEDGE_CHANGED,
    KnowledgeChangedData,
    OrderChangedData,
    data_of,
    key_of,
)
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.handler import Handler
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.transport import Delivery

log = logging.getLogger(__name__)

Change = Callable[[], Awaitable[None]]


class ChangeTarget(Protocol):
    """Invalidates what replicas hold of changed knowledge."""

    async def knowledge_changed(self, domain: str) -> None:
        """Returns once no replica gives a stale answer. Raises NotFound, FleetFault, Unreachable."""
        ...


class ChangeHandler(Handler):
    """Applies change events to `target`, one after the other, since they are few."""

    def __init__(self, target: ChangeTarget, ledger: Ledger, dead: DeadLetters, counts: EventCounts) -> None:
        super().__init__(CHANGES, ledger, dead, counts)
        self._target = target

    async def handle_all(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """For each delivery whether it is handled; the others are to be delivered again."""
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
            tries = 0
            while (handled := await self._attempt(delivery, event, change, owner)) is None:
                await self._back_off(tries, 0)
                if self._stopping.is_set():
                    return False
                tries += 1
            return handled

    def _change(self, event: CloudEvent) -> Change:
        """What the event has invalidated. Raises EventFault for data that are not those of its type."""
        if event.get_type() == KNOWLEDGE_CHANGED:
            domain = data_of(event, KnowledgeChangedData).domain
            return lambda: self._target.knowledge_changed(domain)
        data_of(event, OrderChangedData)
        return _nothing_to_invalidate

    async def _attempt(
        self, delivery: Delivery, event: CloudEvent, change: Change, owner: str
    ) -> bool | None:
        """Whether the delivery is handled; None when it is to be tried again."""
        key = key_of(event)
        state = await self._ledger.acquire(key, owner)
        if state.kind == "exhausted":
            detail = state.fault or f"{state.attempts} consumers ended while they applied it"
            await self._die(delivery, "failed" if state.fault else "crashed", detail, state.attempts, event)
            return True
        if state.kind == "held":
            return False
        # Applied even when it was before: to invalidate twice is harmless, to skip it might not be.
        try:
            await change()
        except (NotFound, FleetFault) as error:
            await self._ledger.failed(key, owner, str(error))
            await self._die(delivery, "refused", str(error), state.attempts, event)
            return True
        except Unreachable as error:
            log.warning("a change waits: %s", error)
            await self._ledger.release(key, owner)
            return None
        except Exception as error:
            log.exception("a change failed")
            await self._ledger.failed(key, owner, f"the change failed ({type(error).__name__})")
            return None
        await self._ledger.complete(key, b"{}")
        self._counts.handled(event.get_type(), "invalidated")
        return True


async def _nothing_to_invalidate() -> None:
    """An order is read from the records for each answer, and no cache holds one."""
