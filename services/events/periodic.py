"""A call repeated at an interval while other work goes on, such as the renewal of a lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_END_TIMEOUT_S = 1.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def periodically(every_s: float, call: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Call `call` every `every_s` seconds for as long as this is open; a call that fails is logged."""
    ended = False

    async def repeat() -> None:
        while not ended:
            await asyncio.sleep(every_s)
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - it is called again soon
                log.warning("a periodic call failed: %s", error)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        # Awaited, so that it returns its connection before the pool is closed. Cancelling alone is not
        # enough: redis-py loses a cancellation that comes while it reads a reply.
        ended = True
        task.cancel()
        await asyncio.wait([task], timeout=_END_TIMEOUT_S)
