"""A replica's heartbeat: reports what it has indexed, learns what has changed, and so holds a lease."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import orjson
from redis.asyncio import Redis

from slmfleet.models.errors import Unreachable
from slmfleet.services.state.in_memory_answers import InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import EVERYTHING, LEASE_S, RedisKeys, token

_INTERVAL_S: Final = 0.15
log = logging.getLogger(__name__)


class ReplicaHeartbeat:
    """The heartbeat of one replica, every 0.15 s.

    `knowledge` returns what the replica serves now, which a reload replaces. `unreported_hits`: cache hits by
    domain, which are sent and cleared.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: RedisKeys,
        knowledge: Callable[[], KnowledgeReloader],
        local: InMemoryAnswers,
        unreported_hits: Counter[str],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._knowledge = knowledge
        self._local = local
        self._unreported_hits = unreported_hits
        self._name = token()
        self._lease_until = 0.0
        self._lease_for: KnowledgeReloader | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send heartbeats from now on, in the running loop; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Send no more, and remove this replica from the server at once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._lease_until = 0.0
            with contextlib.suppress(Unreachable):
                await self._redis.call(lambda client: client.delete(self._keys.replica(self._name)))

    def has_lease(self, knowledge: KnowledgeReloader) -> bool:
        """Whether whoever changes knowledge still waits for this replica, with `knowledge`, to follow."""
        return self._lease_for is knowledge and time.monotonic() < self._lease_until

    async def send(self) -> None:
        """Send one heartbeat; where knowledge has changed, read it and send another. Raises Unreachable."""
        knowledge = self._knowledge()
        sent = time.monotonic()
        tokens = await self._redis.probe(lambda client: self._exchange(client, knowledge))
        self._local.set_epoch(tokens.get(EVERYTHING, ""))
        if not knowledge.is_current(tokens):
            await knowledge.catch_up(tokens)
            sent = time.monotonic()
            await self._redis.probe(lambda client: self._exchange(client, knowledge))
        # Counted from before it was sent, so that the lease ends here before it ends on the server.
        self._lease_until, self._lease_for = sent + LEASE_S, knowledge

    async def _exchange(self, client: Redis, knowledge: KnowledgeReloader) -> dict[str, str]:
        """Write what is indexed here, and read domain -> token of what should be."""
        state = orjson.dumps({"tokens": knowledge.tokens, "faults": knowledge.faults})
        hits = dict(self._unreported_hits)
        self._unreported_hits.clear()
        pipe = client.pipeline(transaction=False)
        pipe.get(self._keys.generations)
        pipe.set(self._keys.replica(self._name), state, px=int(LEASE_S * 1e3))
        pipe.zadd(self._keys.replicas, {self._name: time.time()})
        for domain, count in hits.items():
            pipe.hincrby(self._keys.hits, domain, count)
        stored, *_ = await pipe.execute()
        tokens: dict[str, str] = {} if stored is None else orjson.loads(stored)
        missing = [name for name in knowledge.domains if name not in tokens]
        if missing:
            # The server is new, or has lost its data: tokens that replicas hold from before are void.
            await self._keys.renew_tokens(client, *missing)
            tokens = await self._keys.tokens(client) or {}
        return tokens

    async def _run(self) -> None:
        while self._task is not None:  # redis-py loses a cancellation that comes while it reads a reply
            try:
                await self.send()
            except Unreachable:
                pass
            except Exception:
                log.exception("the replica's heartbeat failed")
            await asyncio.sleep(_INTERVAL_S)
