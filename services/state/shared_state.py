"""What the replicas of a fleet share: the answer cache, the sessions, and which knowledge is current.

It outlives a reload of the fleet. Without a server, or while that is away, each replica has its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.dispatch import Indexed
from slmfleet.services.pipeline.pipeline import Cache
from slmfleet.services.pipeline.sessions import InMemorySessions, Sessions
from slmfleet.services.settings import Settings
from slmfleet.services.state.answer_cache import AnswerCache
from slmfleet.services.state.in_memory_answers import InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys
from slmfleet.services.state.redis_sessions import RedisSessions
from slmfleet.services.state.replica_heartbeat import ReplicaHeartbeat


class SharedState:
    """The `StateProvider` of a serving process, over the Redis of its settings or in memory."""

    def __init__(self, settings: Settings) -> None:
        """Connects later. Raises Unreachable for a URL that cannot be one."""
        self._settings = settings
        url = settings.redis_url
        self.redis = None if url is None else RedisClient(url.get_secret_value(), settings.redis_timeout_s)
        self.local_answers = InMemoryAnswers(settings.cache_entries_max)
        self._local_sessions = InMemorySessions(settings.session_ttl_s, settings.sessions_max)
        self._unreported_hits: Counter[str] = Counter()
        self._knowledge: KnowledgeReloader | None = None
        self._heartbeat: ReplicaHeartbeat | None = None

    def sessions(self, fleet: Fleet) -> Sessions:
        """The sessions of the fleet's customers."""
        if self.redis is None:
            return self._local_sessions
        keys = RedisKeys(fleet.config.retailer)
        return RedisSessions(self.redis, keys, self._settings.session_ttl_s, self._local_sessions)

    def cache(self, fleet: Fleet, index: Indexed, models: Callable[[], Mapping[str, str] | None]) -> Cache:
        """The cache of a loaded fleet, which replaces the one before it.

        `index` searches the passages; `models`: name -> version, None while that is not known.
        """
        knowledge = self._knowledge = KnowledgeReloader(fleet, index)
        if self.redis is not None and self._heartbeat is None:
            self._heartbeat = ReplicaHeartbeat(
                self.redis,
                RedisKeys(fleet.config.retailer),
                self._current_knowledge,
                self.local_answers,
                self._unreported_hits,
            )
        heartbeat = self._heartbeat
        return AnswerCache(
            fleet=fleet,
            knowledge=knowledge,
            models=models,
            local=self.local_answers,
            redis=self.redis,
            unreported_hits=self._unreported_hits,
            ttl_s=self._settings.cache_ttl_s,
            core_watts=self._settings.core_watts,
            has_lease=lambda: heartbeat is not None and heartbeat.has_lease(knowledge),
        )

    async def heartbeat(self) -> None:
        """Send a heartbeat now instead of at the next interval. Raises Unreachable."""
        if self._heartbeat is not None:
            await self._heartbeat.send()

    def start(self) -> None:
        """Send heartbeats from now on, in the running loop."""
        if self._heartbeat is not None:
            self._heartbeat.start()

    async def stop(self) -> None:
        """Finish what is being stored, end the heartbeat and close the connections."""
        await self.flush()
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        if self.redis is not None:
            await self.redis.close()

    async def flush(self) -> None:
        """Wait until no answer is being stored."""
        await asyncio.gather(*self.local_answers.background)

    def told(self) -> dict[str, str]:
        """The checks of /readyz: `redis` and `knowledge` to `ok` or what is wrong with them."""
        checks = {}
        if self.redis is not None:
            away = "cannot be reached: each replica has a cache and sessions of its own"
            checks["redis"] = away if self.redis.is_open else "ok"
        if self._knowledge is not None and self._knowledge.faults:
            checks["knowledge"] = "; ".join(self._knowledge.faults.values())
        return checks

    def _current_knowledge(self) -> KnowledgeReloader:
        assert self._knowledge is not None
        return self._knowledge
