"""The circuit breaker: opened by the first failure, closed by a probe that succeeds."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from slmfleet.models.errors import Unreachable
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.state.redis_client import RedisClient


async def test_a_server_that_never_answers_holds_up_one_query_at_most() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = RedisClient(f"redis://127.0.0.1:{port}", timeout_s=0.05)
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(Unreachable, match="cannot be reached"):
            await client.call(lambda redis: redis.ping())
    assert time.monotonic() - started < 50 * 0.05
    assert client.is_open
    await client.close()
    server.close()


async def test_a_probe_closes_the_circuit_of_a_server_that_came_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedValkey("cache", tmp_path / "valkey")
    client = RedisClient(server.start(), timeout_s=2.0)
    try:
        await client.call(lambda redis: redis.set("k", "v"))
        server.kill()
        for _ in range(2):
            with pytest.raises(Unreachable):
                await client.probe(lambda redis: redis.get("k"))
        assert client.is_open
        await asyncio.to_thread(server.start)
        with pytest.raises(Unreachable):  # nobody has probed yet
            await client.call(lambda redis: redis.get("k"))
        assert await client.probe(lambda redis: redis.ping())
        assert not client.is_open
        assert await client.call(lambda redis: redis.set("k", "v"))
    finally:
        await client.close()
        server.stop()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([line for line in warnings if "cannot be reached" in line]) == 1
    assert warnings[-1] == "the cache's server answers again"


def test_a_url_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(Unreachable, match="the URL of the cache's server"):
        RedisClient("ftp://127.0.0.1", 1.0)
