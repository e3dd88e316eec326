"""What the handlers of queries and of changes share: reading, dead letters, leases and back-off."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, cast

from cloudevents.core.v1.event import CloudEvent

from slmfleet.services.events.cloudevents import Reason, dead_letter_event, read_event, traceparent_of
from slmfleet.services.events.counts import EventCounts
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.periodic import periodically
from slmfleet.services.events.transport import Delivery

log = logging.getLogger(__name__)

_FIRST_BACK_OFF_S: Final = 0.1
_LONGEST_BACK_OFF_S: Final = 5.0


class Handler:
    """Handles the deliveries of one stream. Knows no broker: a transport passes and acknowledges them."""

    def __init__(self, stream: str, ledger: Ledger, dead: DeadLetters, counts: EventCounts) -> None:
        self._stream = stream
        self._ledger = ledger
        self._dead = dead
        self._counts = counts
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stop waiting: what cannot be handled now is left to be delivered again."""
        self._stopping.set()

    def _read(self, delivery: Delivery) -> CloudEvent:
        """The event, with the broker's traceparent where it has none itself. Raises EventFault."""
        event = read_event(delivery.body, self._stream)
        if delivery.traceparent and traceparent_of(event) is None:
            event.get_attributes()["traceparent"] = delivery.traceparent
        return event

    async def _die(
        self, delivery: Delivery, reason: str, detail: str, attempts: int, event: CloudEvent | None
    ) -> None:
        """Store a dead letter about the delivery, whose `event` is None when it cannot be read."""
        known = cast("Reason", reason)
        await self._dead.add(dead_letter_event(delivery.body, self._stream, known, detail, attempts, event))
        self._counts.died(reason)
        log.warning("an event of %s is dead (%s): %s", self._stream, reason, detail)

    def _leased(self, keys: Sequence[str], owner: str) -> AbstractAsyncContextManager[None]:
        """Renew the leases of `keys` for as long as this is open."""
        return periodically(self._ledger.lease_s / 3, lambda: self._ledger.renew([*keys], owner))

    async def _back_off(self, tries: int, after_s: float) -> None:
        """Wait at least `after_s` seconds, longer with each try, with jitter; no longer than until `stop`."""
        longest = max(after_s, min(_LONGEST_BACK_OFF_S, _FIRST_BACK_OFF_S * 2 ** min(tries, 10)))
        try:
            async with asyncio.timeout(longest * random.uniform(0.7, 1.0)):  # noqa: S311 - spreads load only
                await self._stopping.wait()
        except TimeoutError:
            pass


def dead_letter_writer(dead: DeadLetters, counts: EventCounts) -> Callable[[str, bytes], Awaitable[None]]:
    """Stores a dead letter about an event that the broker gave up: the stream it was on, and its body."""

    async def write(stream: str, body: bytes) -> None:
        detail = "the broker gave it up after many deliveries; was the ledger away?"
        await dead.add(dead_letter_event(body, stream, "undeliverable", detail, 0, None))
        counts.died("undeliverable")

    return write
