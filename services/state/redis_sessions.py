"""Sessions that all replicas share, in the cache's server; each replica's own while that is gone."""

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
    """`Sessions` for several replicas. The server sees neither a customer's name nor the session's id."""

    def __init__(self, link: RedisClient, keys: RedisKeys, ttl_s: float, here: InMemorySessions) -> None:
        self._link = link
        self._keys = keys
        self._ttl_ms = max(1, int(ttl_s * 1e3))
        self._here = here

    async def turns(self, customer: str | None, session_id: str) -> tuple[Turn, ...]:
        """The last turns of the session, oldest first; none when it is new, or too old."""
        key = self._key(customer, session_id)
        try:
            said = await self._link.call(lambda client: _turns(client, key))
        except Unreachable:
            said = []
        # Without the server's, those that this replica heard itself are better than none.
        return tuple(filter(None, map(_read, said))) or await self._here.turns(customer, session_id)

    async def remember(self, customer: str | None, session_id: str, turn: Turn) -> None:
        """Add a turn to the session."""
        key = self._key(customer, session_id)
        await self._here.remember(customer, session_id, turn)

        async def push(client: Redis) -> None:
            pipe = client.pipeline(transaction=True)
            pipe.rpush(key, orjson.dumps(asdict(turn)))
            pipe.ltrim(key, -MAX_TURNS, -1)
            pipe.pexpire(key, self._ttl_ms)
            await pipe.execute()

        try:
            await self._link.call(push)
        except Unreachable:
            return

    def _key(self, customer: str | None, session_id: str) -> str:
        said = orjson.dumps([customer or "", session_id])
        return self._keys.session(hashlib.sha256(said).hexdigest()[:32])


def _read(said: bytes) -> Turn | None:
    """The turn, or None where a version that this one does not understand wrote it: it is as if forgotten."""
    try:
        return Turn.from_json(orjson.loads(said))
    except (KeyError, TypeError, ValueError):
        return None


async def _turns(client: Redis, key: str) -> list[bytes]:
    return cast("list[bytes]", await cast("Awaitable[Any]", client.lrange(key, 0, -1)))
