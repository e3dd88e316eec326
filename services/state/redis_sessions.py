"""Sessions shared by all replicas on the cache's server; each replica's own while that is away."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any, cast

import orjson
from redis.asyncio import Redis

from slmfleet.models.errors import Unreachable
from slmfleet.services.pipeline.sessions import MAX_TURNS, InMemorySessions, Turn
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys


class RedisSessions:
    """`Sessions` of several replicas. Keys are digests: the server sees neither customer nor session id.

    Every turn is also in `local`, which answers while the server is away.
    """

    def __init__(self, redis: RedisClient, keys: RedisKeys, ttl_s: float, local: InMemorySessions) -> None:
        self._redis = redis
        self._keys = keys
        self._ttl_ms = max(1, int(ttl_s * 1e3))
        self._local = local

    async def turns(self, customer: str | None, session_id: str) -> tuple[Turn, ...]:
        """The last turns of the session, oldest first; empty when it is new or has expired."""
        key = self._key(customer, session_id)
        try:
            stored = await self._redis.call(lambda client: _turns(client, key))
        except Unreachable:
            stored = []
        # Without the server's turns, those that this replica saw itself are better than none.
        return tuple(filter(None, map(_turn, stored))) or await self._local.turns(customer, session_id)

    async def remember(self, customer: str | None, session_id: str, turn: Turn) -> None:
        """Add a turn to the session."""
        key = self._key(customer, session_id)
        await self._local.remember(customer, session_id, turn)

        async def push(client: Redis) -> None:
            pipe = client.pipeline(transaction=True)
            pipe.rpush(key, orjson.dumps(asdict(turn)))
            pipe.ltrim(key, -MAX_TURNS, -1)
            pipe.pexpire(key, self._ttl_ms)
            await pipe.execute()

        try:
            await self._redis.call(push)
        except Unreachable:
            return

    def _key(self, customer: str | None, session_id: str) -> str:
        identity = orjson.dumps([customer or "", session_id])
        return self._keys.session(hashlib.sha256(identity).hexdigest()[:32])


def _turn(stored: bytes) -> Turn | None:
    """The stored turn; None when another version of slmfleet wrote it in a format not known here."""
    try:
        return Turn.from_json(orjson.loads(stored))
    except (KeyError, TypeError, ValueError):
        return None


async def _turns(client: Redis, key: str) -> list[bytes]:
    return cast("list[bytes]", await cast("Awaitable[Any]", client.lrange(key, 0, -1)))
