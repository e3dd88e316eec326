from __future__ import annotations

import asyncio
from typing import NoReturn

from slmfleet.services.state.answer_cache import AnswersHere, CacheCounts
from slmfleet.services.state.knowledge_reload import KnowledgeHere
from slmfleet.services.state.redis_client import RedisLink
from slmfleet.services.state.redis_keys import Keyspace
from slmfleet.services.state.replica_heartbeat import Replica


def no_knowledge() -> KnowledgeHere:
    raise AssertionError("nothing is heard here")


class Deaf(Replica):
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


class Broken(Replica):
    beats = 0

    async def beat(self) -> NoReturn:
        """Fails in a way that nobody thought of."""
        self.beats += 1
        raise RuntimeError("a fault of its own")


async def test_it_stops_though_a_cancellation_is_lost(valkey: str) -> None:
    link = RedisLink(valkey, 1.0)
    replica = Deaf(link, Keyspace("shop"), no_knowledge, AnswersHere(8), CacheCounts())
    for again in (1, 2):
        replica.deaf = True
        replica.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await replica.stop()
        assert replica.beats == again
    await link.close()


async def test_it_beats_on_after_a_fault(valkey: str) -> None:
    link = RedisLink(valkey, 1.0)
    replica = Broken(link, Keyspace("shop"), no_knowledge, AnswersHere(8), CacheCounts())
    replica.start()
    await asyncio.sleep(0.5)
    async with asyncio.timeout(5):
        await replica.stop()
    assert replica.beats > 1
    await link.close()
