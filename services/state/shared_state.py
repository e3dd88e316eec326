"""What a serving process shares with its replicas: cache, sessions, and the word of what has changed.

It outlives a reload of the fleet. Without a server, or while that is gone, each replica has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.guarded_specialist import KnowledgeIndex
from slmfleet.services.pipeline.pipeline import Cache
from slmfleet.services.pipeline.sessions import InMemorySessions, Sessions
from slmfleet.services.settings import Settings
from slmfleet.services.state.answer_cache import AnswerCache, CacheCounts, InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys
from slmfleet.services.state.redis_sessions import RedisSessions
from slmfleet.services.state.replica_heartbeat import ReplicaHeartbeat


class SharedState:
    """`Shared` for `load_pipeline`. `counts` is what came of each query, for metrics."""

    def __init__(self, settings: Settings) -> None:
        """Connects later. Raises Unreachable for a URL that cannot be one."""
        self._settings = settings
        url = settings.redis_url
        self.link = None if url is None else RedisClient(url.get_secret_value(), settings.redis_timeout_s)
        self.counts = CacheCounts()
        self.here = InMemoryAnswers(settings.cache_entries_max)
        self._sessions_here = InMemorySessions(settings.session_ttl_s, settings.sessions_max)
        self._knowledge: KnowledgeReloader | None = None
        self._replica: ReplicaHeartbeat | None = None

    def sessions(self, fleet: Fleet) -> Sessions:
        """The sessions of the fleet's customers."""
        if self.link is None:
            return self._sessions_here
        keys = RedisKeys(fleet.config.retailer)
        return RedisSessions(self.link, keys, self._settings.session_ttl_s, self._sessions_here)

    def cache(
        self, fleet: Fleet, index: KnowledgeIndex, models: Callable[[], Mapping[str, str] | None]
    ) -> Cache:
        """The cache of a fleet that is loaded, which takes the place of the one before it."""
        knowledge = self._knowledge = KnowledgeReloader(fleet, index)
        if self.link is not None and self._replica is None:
            keys = RedisKeys(fleet.config.retailer)
            self._replica = ReplicaHeartbeat(self.link, keys, self._of_now, self.here, self.counts)
        replica = self._replica
        settings = self._settings
        return AnswerCache(
            fleet=fleet,
            knowledge=knowledge,
            models=models,
            here=self.here,
            link=self.link,
            counts=self.counts,
            ttl_s=settings.cache_ttl_s,
            core_watts=settings.core_watts,
            level=lambda: replica is not None and replica.has_lease(knowledge),
        )

    async def beat(self) -> None:
        """Hear of what has changed now, instead of at the next beat. Raises Unreachable."""
        if self._replica is not None:
            await self._replica.beat()

    def start(self) -> None:
        """Take part from now on, in the running loop."""
        if self._replica is not None:
            self._replica.start()

    async def stop(self) -> None:
        """Take part no more, once what was computed is kept."""
        await self.kept()
        if self._replica is not None:
            await self._replica.stop()
        if self.link is not None:
            await self.link.close()

    async def kept(self) -> None:
        """Wait until nothing is being stored."""
        await asyncio.gather(*self.here.background)

    def notices(self) -> dict[str, str]:
        """What an operator should know, for /readyz: a subject to `ok` or what is wrong with it."""
        told = {}
        if self.link is not None:
            gone = "cannot be reached: each replica has a cache and sessions of its own"
            told["redis"] = gone if self.link.open else "ok"
        if self._knowledge is not None and self._knowledge.faults:
            told["knowledge"] = "; ".join(self._knowledge.faults.values())
        return told

    def _of_now(self) -> KnowledgeReloader:
        assert self._knowledge is not None
        return self._knowledge
