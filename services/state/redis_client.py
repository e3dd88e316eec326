"""A Redis client behind a circuit breaker: a query must never wait for a server that is down.

Time-outs are short and no query retries. The first failure opens the circuit: every `call` then fails at
once, without a connection, until a `probe` (the heartbeat's) gets an answer and closes it again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError

from slmfleet.models.errors import Unreachable

T = TypeVar("T")
log = logging.getLogger(__name__)


class RedisClient:
    """A client behind a circuit breaker. `is_open`: the server is taken to be away."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Connects at the first command. Raises Unreachable for a URL that cannot be one."""
        try:
            self.client: Redis = Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise Unreachable(f"the URL of the cache's server cannot be used: {error}") from None
        self.is_open = False

    async def call(self, command: Callable[[Redis], Awaitable[T]]) -> T:
        """What `command` returns. Raises Unreachable, at once while the circuit is open."""
        if self.is_open:
            raise Unreachable("the cache's server cannot be reached")
        try:
            return await command(self.client)
        except (RedisError, OSError) as error:
            self._trip(error)
            raise Unreachable("the cache's server cannot be reached") from error

    async def probe(self, command: Callable[[Redis], Awaitable[T]]) -> T:
        """As `call`, but also tried while the circuit is open; success closes it. Raises Unreachable."""
        try:
            try:
                answer = await command(self.client)
            except ConnectionError:
                # Perhaps a pooled connection to a server that was restarted since.
                await self.client.connection_pool.disconnect(inuse_connections=False)
                answer = await command(self.client)
        except (RedisError, OSError) as error:
            self._trip(error)
            raise Unreachable("the cache's server cannot be reached") from error
        if self.is_open:
            log.warning("the cache's server answers again")
        self.is_open = False
        return answer

    def _trip(self, error: Exception) -> None:
        if not self.is_open:
            log.warning("the cache's server cannot be reached, each replica uses its own: %s", error)
        self.is_open = True

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
