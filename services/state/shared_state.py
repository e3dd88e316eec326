"""What a serving process shares with its replicas: cache, sessions, and the word of what has changed.

It outlives a reload of the fleet. Without a server, or while that is gone, each replica has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.dispatch import Indexed
from slmfleet.services.pipeline.pipeline import Cache
from slmfleet.services.pipeline.sessions import Sessions, SessionsHere
from slmfleet.services.settings import Settings
from slmfleet.services.state.answer_cache import AnswersHere, CacheCounts, SharedAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeHere
from slmfleet.services.state.redis_client import RedisLink
from slmfleet.services.state.redis_keys import Keyspace
from slmfleet.services.state.redis_sessions import SharedSessions
from slmfleet.services.state.replica_heartbeat import Replica


class SharedState:
    """`Shared` for `load_pipeline`. `counts` is what came of each query, for metrics."""

    def __init__(self, settings: Settings) -> None:
        """Connects later. Raises Unreachable for a URL that cannot be one."""
        self._settings = settings
        url = settings.redis_url
        self.link = None if url is None else RedisLink(url.get_secret_value(), settings.redis_timeout_s)
        self.counts = CacheCounts()
        self.here = AnswersHere(settings.cache_entries_max)
        self._sessions_here = SessionsHere(settings.session_ttl_s, settings.sessions_max)
        self._knowledge: KnowledgeHere | None = None
        self._replica: Replica | None = None

    def sessions(self, fleet: Fleet) -> Sessions:
        """The sessions of the fleet's customers."""
        if self.link is None:
            return self._sessions_here
        keys = Keyspace(fleet.config.retailer)
        return SharedSessions(self.link, keys, self._settings.session_ttl_s, self._sessions_here)

    def cache(self, fleet: Fleet, index: Indexed, models: Callable[[], Mapping[str, str] | None]) -> Cache:
        """The cache of a fleet that is loaded, which takes the place of the one before it."""
        knowledge = self._knowledge = KnowledgeHere(fleet, index)
        if self.link is not None and self._replica is None:
            keys = Keyspace(fleet.config.retailer)
            self._replica = Replica(self.link, keys, self._of_now, self.here, self.counts)
        replica = self._replica
        settings = self._settings
        return SharedAnswers(
            fleet,
            knowledge,
            models,
            self.here,
            self.link,
            self.counts,
            settings.cache_ttl_s,
            settings.core_watts,
            lambda: replica is not None and replica.vouches_for(knowledge),
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

    def told(self) -> dict[str, str]:
        """What an operator should know, for /readyz: a subject to `ok` or what is wrong with it."""
        told = {}
        if self.link is not None:
            gone = "cannot be reached: each replica has a cache and sessions of its own"
            told["redis"] = gone if self.link.open else "ok"
        if self._knowledge is not None and self._knowledge.faults:
            told["knowledge"] = "; ".join(self._knowledge.faults.values())
        return told

    def _of_now(self) -> KnowledgeHere:
        assert self._knowledge is not None
        return self._knowledge
