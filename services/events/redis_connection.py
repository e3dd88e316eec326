"""Connections to Redis that outlast a restart of the server, for the ledger and the Redis broker."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

RETRY_FOR_S: Final = 30.0
_MAX_CONNECTIONS: Final = 16
_LONGEST_BACK_OFF_S: Final = 0.5


def retrying_client(url: str, retry_for_s: float = RETRY_FOR_S) -> Redis:
    """A client whose commands are retried for about `retry_for_s` seconds while the server is away."""
    pool = BlockingConnectionPool.from_url(
        url, max_connections=_MAX_CONNECTIONS, timeout=None, **retry_options(retry_for_s)
    )
    return Redis.from_pool(pool)


def retry_options(retry_for_s: float = RETRY_FOR_S) -> dict[str, Any]:
    """Time-outs and retries as options of a Redis connection."""
    retries = max(int(retry_for_s / 0.4), 1)
    return {
        "socket_connect_timeout": 2.0,
        "socket_timeout": 10.0,
        "retry": Retry(ExponentialWithJitterBackoff(cap=_LONGEST_BACK_OFF_S, base=0.02), retries),
    }
