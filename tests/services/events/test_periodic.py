from __future__ import annotations

import asyncio
import random
import time

from slmfleet.services.events.ledger import Ledger
from slmfleet.services.events.periodic import periodically
from slmfleet.services.events.redis_connection import retrying_client


async def test_it_ends_at_once_whatever_it_is_at(broker: str) -> None:
    """redis-py loses a cancellation now and then, which must keep nobody waiting."""
    client = retrying_client(broker)
    ledger = Ledger(client, 60, 0.2, 3)
    for _ in range(60):
        async with periodically(0.0005, lambda: ledger.renew(["a", "b"], "owner")):
            await asyncio.sleep(random.uniform(0, 0.02))
            ended = time.monotonic()
        assert time.monotonic() - ended < 0.9
    await client.aclose()


async def test_a_call_that_fails_is_made_again() -> None:
    calls = 0

    async def fail() -> None:
        nonlocal calls
        calls += 1
        raise OSError("away")

    async with periodically(0.001, fail):
        await asyncio.sleep(0.1)
    assert calls > 2
