"""For brokers that deliver one event at a time: puts deliveries that arrive together into one batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from slmfleet.services.events.transport import Delivery, HandleAll
from slmfleet.services.pipeline.microbatch import MicroBatcher

log = logging.getLogger(__name__)


class Rebatcher:
    """Hands single deliveries to `handle_all` in batches of at most `max_batch`.

    A delivery that was not handled is returned to the broker after `retry_s`, since most brokers deliver it
    again at once.
    """

    def __init__(self, handle_all: HandleAll, max_batch: int, retry_s: float) -> None:
        self._retry_s = retry_s

        async def call(deliveries: list[Delivery]) -> list[bool]:
            return await handle_all(deliveries)

        # Unbounded here: the broker's limit of unacknowledged events bounds what waits.
        self._batcher: MicroBatcher[Delivery, bool] = MicroBatcher(call, max_batch, max_waiting=1_000_000)

    async def handle(
        self, delivery: Delivery, ack: Callable[[], Awaitable[None]], nack: Callable[[], Awaitable[None]]
    ) -> None:
        """Handle one delivery, then call `ack`, or `nack` when it was not handled or handling it failed."""
        try:
            handled = await self._batcher.read(delivery)
        except Exception as error:  # noqa: BLE001 - the broker delivers it again
            log.warning("an event could not be handled and is requeued: %s", error)
            handled = False
        if handled:
            await ack()
            return
        await asyncio.sleep(self._retry_s)
        await nack()
