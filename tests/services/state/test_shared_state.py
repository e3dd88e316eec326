"""What a serving process shares: with a server over Redis, without one in memory, across reloads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from fakes.serving import write_word_shop
from fakes.sharing import sharing_settings
from redis.asyncio import Redis

from slmfleet.models.errors import Unreachable
from slmfleet.models.fleet.config import Domain, Fleet, load_fleet
from slmfleet.services.pipeline.sessions import InMemorySessions, Turn
from slmfleet.services.state.redis_keys import RedisKeys
from slmfleet.services.state.shared_state import SharedState


class Index:
    def reindex(self, domain: Domain) -> None:
        """Nothing: these tests search no passages."""


def models() -> Mapping[str, str]:
    return {"router": "1", "shipping": "1", "returns": "1"}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    write_word_shop(tmp_path / "fleet", cacheable="shared")
    return load_fleet(tmp_path / "fleet")


async def test_without_a_server_each_process_has_its_own(tmp_path: Path, fleet: Fleet) -> None:
    shared = SharedState(sharing_settings(tmp_path, None))
    sessions = shared.sessions(fleet)
    assert isinstance(sessions, InMemorySessions)
    assert shared.sessions(fleet) is sessions  # it outlives a reload
    shared.cache(fleet, Index(), models)
    shared.start()
    await shared.heartbeat()
    assert shared.told() == {}
    await shared.stop()


async def test_sessions_are_shared_over_the_server(tmp_path: Path, fleet: Fleet, valkey: str) -> None:
    one, two = (SharedState(sharing_settings(tmp_path, valkey)) for _ in range(2))
    await one.sessions(fleet).remember("ann", "s", Turn("where is it?"))
    assert await two.sessions(fleet).turns("ann", "s") == (Turn("where is it?"),)
    for shared in (one, two):
        await shared.stop()


async def test_one_heartbeat_a_process_whatever_is_reloaded(
    tmp_path: Path, fleet: Fleet, valkey: str
) -> None:
    shared = SharedState(sharing_settings(tmp_path, valkey))
    keys = RedisKeys(fleet.config.retailer)
    async with Redis.from_url(valkey) as client:
        for _ in range(2):
            shared.cache(fleet, Index(), models)
            await shared.heartbeat()
        assert len(await keys.live_replicas(client)) == 1
        assert shared.told() == {"redis": "ok"}
        shared.start()
        await shared.stop()
        assert await keys.live_replicas(client) == []


async def test_a_server_that_is_away_and_knowledge_that_is_broken_are_reported(
    tmp_path: Path, fleet: Fleet
) -> None:
    shared = SharedState(sharing_settings(tmp_path, "redis://127.0.0.1:1"))
    cache = shared.cache(fleet, Index(), models)
    fleet.domains["shipping"].knowledge_path.write_text("## track\n\n## speed\n\nFast.\n")
    with pytest.raises(Unreachable):
        await shared.heartbeat()
    await cache.bypass()
    checks = shared.told()
    assert "cannot be reached" in checks["redis"]
    assert "knowledge of shipping cannot be served" in checks["knowledge"]
    await shared.stop()
