from __future__ import annotations

import asyncio
from typing import NoReturn

from slmfleet.services.state.answer_cache import CacheCounts, InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys
from slmfleet.services.state.replica_heartbeat import ReplicaHeartbeat


def no_knowledge() -> KnowledgeReloader:
    raise AssertionError("nothing is heard here")


class Deaf(ReplicaHeartbeat):
    """Loses one cancellation, as redis-py does now and then."""

    beats = 0
    deaf = True

    async def beat(self) -> None:
        """Until it is cancelled."""
        self.beats += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not self.deaf:
                raise
            self.deaf = False


class Broken(ReplicaHeartbeat):
    beats = 0

    async def beat(self) -> NoReturn:
        """Fails in a way that nobody thought of."""
        self.beats += 1
        raise RuntimeError("a fault of its own")


async def test_it_stops_though_a_cancellation_is_lost(valkey: str) -> None:
    link = RedisClient(valkey, 1.0)
    replica = Deaf(link, RedisKeys("shop"), no_knowledge, InMemoryAnswers(8), CacheCounts())
    for again in (1, 2):
        replica.deaf = True
        replica.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await replica.stop()
        assert replica.beats == again
    await link.close()


async def test_it_beats_on_after_a_fault(valkey: str) -> None:
    link = RedisClient(valkey, 1.0)
    replica = Broken(link, RedisKeys("shop"), no_knowledge, InMemoryAnswers(8), CacheCounts())
    replica.start()
    await asyncio.sleep(0.5)
    async with asyncio.timeout(5):
        await replica.stop()
    assert replica.beats > 1
    await link.close()
