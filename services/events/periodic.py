"""Something done over and over beside other work, such as saying that one is still at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_END_WITHIN_S = 1.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def periodically(every_s: float, call: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Call `call` every `every_s` seconds for as long as this is open; a call that fails is made again."""
    over = False

    async def repeat() -> None:
        while not over:
            await asyncio.sleep(every_s)
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - it is tried again soon
                log.warning("could not say that work goes on: %s", error)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        # Waited for, so that it lets go of its connection before others close it. A cancellation alone would
        # not do: redis-py loses one that comes while it reads an answer.
        over = True
        task.cancel()
        await asyncio.wait([task], timeout=_END_WITHIN_S)
