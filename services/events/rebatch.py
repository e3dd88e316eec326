"""For brokers that deliver one event at a time: those that come together are handled together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from slmfleet.services.events.transport import Delivery, HandleAll
from slmfleet.services.pipeline.microbatch import MicroBatcher

log = logging.getLogger(__name__)


class Rebatcher:
    """Hands single deliveries to `handle_all`, at most `cap` at once.

    What is not done with is kept for `retry_s` before it is given back, so that it does not come round at
    once and without end.
    """

    def __init__(self, handle_all: HandleAll, cap: int, retry_s: float) -> None:
        self._retry_s = retry_s

        async def call(deliveries: list[Delivery]) -> list[bool]:
            return await handle_all(deliveries)

        # The broker's own limit of unacknowledged events is what bounds those that wait.
        self._collector: MicroBatcher[Delivery, bool] = MicroBatcher(call, cap, max_waiting=1_000_000)

    async def handle(
        self, delivery: Delivery, ack: Callable[[], Awaitable[None]], give_back: Callable[[], Awaitable[None]]
    ) -> None:
        """Handle one delivery, then `ack` it, or `give_back`."""
        try:
            done = await self._collector.read(delivery)
        except Exception as error:  # noqa: BLE001 - it goes back to the broker, which delivers it again
            log.warning("an event could not be handled and is given back: %s", error)
            done = False
        if done:
            await ack()
            return
        await asyncio.sleep(self._retry_s)
        await give_back()
