"""The one connection of a process to the cache's server, which may be gone at any time.

A query must never wait for a server that is down: time-outs are short, no query tries twice, and after a
failure nothing is tried at all until the server has answered again to `probe`, which runs behind the scenes.
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
    """A client behind a breaker. `failures` counts what failed and what was not tried since."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Connects later, when it is first used. Raises Unreachable for a URL that cannot be one."""
        try:
            self.client: Redis = Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise Unreachable(f"the URL of the cache's server cannot be used: {error}") from None
        self.open = False
        self.failures = 0

    async def call(self, command: Callable[[Redis], Awaitable[T]]) -> T:
        """What `command` returns. Raises Unreachable, at once while the breaker is open."""
        if self.open:
            self.failures += 1
            raise Unreachable("the cache's server cannot be reached")
        try:
            return await command(self.client)
        except (RedisError, OSError) as error:
            self.failures += 1
            self.open = True
            log.warning("the cache's server cannot be reached, each replica uses its own: %s", error)
            raise Unreachable("the cache's server cannot be reached") from error

    async def probe(self, command: Callable[[Redis], Awaitable[T]]) -> T:
        """As `call`, but also tried while the breaker is open, which it closes. Raises Unreachable."""
        try:
            try:
                answer = await command(self.client)
            except ConnectionError:
                # Perhaps of a connection that a server had which was started again since.
                await self.client.connection_pool.disconnect(inuse_connections=False)
                answer = await command(self.client)
        except (RedisError, OSError) as error:
            if not self.open:
                log.warning("the cache's server cannot be reached, each replica uses its own: %s", error)
            self.open = True
            raise Unreachable("the cache's server cannot be reached") from error
        if self.open:
            log.warning("the cache's server answers again")
        self.open = False
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
