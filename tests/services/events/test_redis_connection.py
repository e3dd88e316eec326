"""A client that outlasts a restart of its server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.events.redis_connection import retrying_client


async def test_a_command_is_retried_until_the_server_is_back(tmp_path: Path) -> None:
    server = EmbeddedValkey("broker", tmp_path / "valkey")
    client = retrying_client(server.start())
    try:
        await client.set("stored", "yes")
        server.kill()
        reading = asyncio.ensure_future(client.get("stored"))
        await asyncio.sleep(0.3)
        assert not reading.done()
        await asyncio.to_thread(server.start)
        assert await reading == b"yes"
    finally:
        await client.aclose()
        server.stop()


async def test_the_retries_are_bounded() -> None:
    client = retrying_client("redis://127.0.0.1:1", retry_for_s=0.4)
    started = time.monotonic()
    with pytest.raises(RedisError):
        await client.get("x")
    assert time.monotonic() - started < 3
    await client.aclose()
