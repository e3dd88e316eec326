"""A replica among others: it says that it lives and what it has indexed, and hears what has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

import orjson
from redis.asyncio import Redis

from slmfleet.models.errors import Unreachable
from slmfleet.services.state.answer_cache import CacheCounts, InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import EVERYTHING, LEASE_S, RedisKeys, token

_BEAT_EVERY_S: Final = 0.15
log = logging.getLogger(__name__)


class ReplicaHeartbeat:
    """The beat of one replica. `knowledge` gives what it serves now, which a reload replaces."""

    def __init__(
        self,
        link: RedisClient,
        keys: RedisKeys,
        knowledge: Callable[[], KnowledgeReloader],
        here: InMemoryAnswers,
        counts: CacheCounts,
    ) -> None:
        self._link = link
        self._keys = keys
        self._knowledge = knowledge
        self._here = here
        self._counts = counts
        self._name = token()
        self._alive_until = 0.0
        self._alive_with: KnowledgeReloader | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat, in the running loop; once."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._beats())

    async def stop(self) -> None:
        """Beat no more, and be counted out at once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._alive_until = 0.0
            with contextlib.suppress(Unreachable):
                await self._link.call(lambda client: client.delete(self._keys.replica(self._name)))

    def has_lease(self, knowledge: KnowledgeReloader) -> bool:
        """Whether whoever changes knowledge waits until this is level, by the most careful reckoning."""
        return self._alive_with is knowledge and time.monotonic() < self._alive_until

    async def beat(self) -> None:
        """Follow what has changed, then say so. Raises Unreachable."""
        knowledge = self._knowledge()
        sent = time.monotonic()
        tokens = await self._link.probe(lambda client: self._hear(client, knowledge))
        self._here.follow(tokens.get(EVERYTHING, ""))
        if not knowledge.is_current(tokens):
            await knowledge.catch_up(tokens)
            sent = time.monotonic()
            await self._link.probe(lambda client: self._hear(client, knowledge))
        # Counted from before it was sent, so that the server ends the lease later than this replica does.
        self._alive_until, self._alive_with = sent + LEASE_S, knowledge

    async def _hear(self, client: Redis, knowledge: KnowledgeReloader) -> dict[str, str]:
        """Say what is indexed here, and hear what should be."""
        told = orjson.dumps({"tokens": knowledge.tokens, "faults": knowledge.faults})
        hits, self._counts.by_domain = self._counts.by_domain, {}
        pipe = client.pipeline(transaction=False)
        pipe.get(self._keys.generations)
        pipe.set(self._keys.replica(self._name), told, px=int(LEASE_S * 1e3))
        pipe.zadd(self._keys.replicas, {self._name: time.time()})
        for domain, count in hits.items():
            pipe.hincrby(self._keys.hits, domain, count)
        stored, *_ = await pipe.execute()
        tokens: dict[str, str] = {} if stored is None else orjson.loads(stored)
        missing = [name for name in knowledge.domains if name not in tokens]
        if missing:
            # The server is new, or has lost them: what any replica indexed before is of no account.
            await self._keys.renew(client, *missing)
            tokens = await self._keys.tokens(client) or {}
        return tokens

    async def _beats(self) -> None:
        while self._task is not None:  # redis-py loses a cancellation that comes while it reads an answer
            try:
                await self.beat()
            except Unreachable:
                pass
            except Exception:
                log.exception("the replica could not say that it lives")
            await asyncio.sleep(_BEAT_EVERY_S)
