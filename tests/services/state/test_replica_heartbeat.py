from __future__ import annotations

import asyncio
from collections import Counter
from typing import NoReturn

from slmfleet.services.state.in_memory_answers import InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys
from slmfleet.services.state.replica_heartbeat import ReplicaHeartbeat


def no_knowledge() -> KnowledgeReloader:
    raise AssertionError("no heartbeat is sent here")


class Deaf(ReplicaHeartbeat):
    """Loses one cancellation, as redis-py does now and then."""

    sent = 0
    deaf = True

    async def send(self) -> None:
        """Until it is cancelled."""
        self.sent += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not self.deaf:
                raise
            self.deaf = False


class Broken(ReplicaHeartbeat):
    sent = 0

    async def send(self) -> NoReturn:
        """Fails in a way that nobody thought of."""
        self.sent += 1
        raise RuntimeError("a fault of its own")


async def test_it_stops_though_a_cancellation_is_lost(valkey: str) -> None:
    client = RedisClient(valkey, 1.0)
    heartbeat = Deaf(client, RedisKeys("shop"), no_knowledge, InMemoryAnswers(8), Counter())
    for again in (1, 2):
        heartbeat.deaf = True
        heartbeat.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await heartbeat.stop()
        assert heartbeat.sent == again
    await client.close()


async def test_it_goes_on_after_a_fault(valkey: str) -> None:
    client = RedisClient(valkey, 1.0)
    heartbeat = Broken(client, RedisKeys("shop"), no_knowledge, InMemoryAnswers(8), Counter())
    heartbeat.start()
    await asyncio.sleep(0.5)
    async with asyncio.timeout(5):
        await heartbeat.stop()
    assert heartbeat.sent > 1
    await client.close()
