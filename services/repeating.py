"""Something done over and over beside other work, such as saying that one is still at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)


@asynccontextmanager
async def repeating(every_s: float, call: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Call `call` every `every_s` seconds for as long as this is open; a call that fails is made again."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - it is tried again soon
                log.warning("could not say that work goes on: %s", error)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])  # so that it lets go of its connection before others close it
