from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest
import redis

from slmfleet.models.contracts import ModelVersion
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.pipeline.sessions import MAX_TURNS, InMemorySessions, Turn
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys
from slmfleet.services.state.redis_sessions import RedisSessions

MODEL = ModelVersion("orders", "1")
TURN = Turn(
    "where is it?",
    (("order_id", "#W1"), ("product", "é")),
    "orders",
    "track",
    0.9,
    0.8,
    MODEL,
    True,
    (("p", "Ä"),),
)


@pytest.fixture
async def pair(valkey: str) -> AsyncIterator[tuple[RedisSessions, RedisSessions]]:
    clients = [RedisClient(valkey, timeout_s=2) for _ in range(2)]
    keys = RedisKeys("Corner & Shop")
    one, two = (RedisSessions(client, keys, 60, InMemorySessions(60, 10)) for client in clients)
    yield one, two
    for client in clients:
        await client.close()


async def test_another_replica_has_the_turns(pair: tuple[RedisSessions, RedisSessions]) -> None:
    one, two = pair
    await one.remember("ann", "s", TURN)
    await two.remember("ann", "s", Turn("and then?"))
    assert await one.turns("ann", "s") == await two.turns("ann", "s") == (TURN, Turn("and then?"))
    for number in range(MAX_TURNS):
        await one.remember("ann", "s", Turn(str(number)))
    assert [turn.text for turn in await two.turns("ann", "s")] == ["0", "1", "2", "3", "4"]


async def test_a_session_is_its_customers_alone(pair: tuple[RedisSessions, RedisSessions]) -> None:
    one, two = pair
    await one.remember("ann", "s", TURN)
    for other in ("bob", None, "", 'ann","s'):
        assert await two.turns(other, "s") == ()
    assert await two.turns("ann", "t") == ()


async def test_turns_expire_on_the_server_which_sees_no_names(
    pair: tuple[RedisSessions, RedisSessions], valkey: str
) -> None:
    await pair[0].remember("noah_brown", "my-session", TURN)
    with redis.Redis.from_url(valkey, decode_responses=True) as client:
        (key,) = client.keys("*")
        assert key.startswith("slmfleet:{corner-shop}:session:")
        assert 0 < client.pttl(key) <= 60_000
        kept = key + "".join(client.lrange(key, 0, -1))
        assert "noah" not in kept
        assert "my-session" not in kept


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (asdict(TURN) | {"mood": "cross"}, TURN),
        (asdict(TURN) | {"model": {"name": "orders", "version": "1", "size": 3}}, TURN),
        (
            {name: told for name, told in asdict(TURN).items() if name != "choices"},
            replace(TURN, choices=()),
        ),
        ({"words": "where is it?"}, None),
        (asdict(TURN) | {"references": [["order_id"]]}, None),
        (asdict(TURN) | {"references": 7}, None),
        (asdict(TURN) | {"model": {"name": "orders"}}, None),
        (["where is it?"], None),
        ("{", None),
    ],
)
async def test_what_a_replica_of_another_version_wrote_is_read_as_far_as_it_is_understood(
    pair: tuple[RedisSessions, RedisSessions], valkey: str, written: object, read: Turn | None
) -> None:
    await pair[0].remember("ann", "s", Turn("hello"))
    with redis.Redis.from_url(valkey) as client:
        (key,) = client.keys("*")
        client.rpush(key, "{" if written == "{" else orjson.dumps(written))
    assert await pair[1].turns("ann", "s") == (Turn("hello"), *([read] if read else []))


async def test_while_the_server_is_away_a_replica_has_its_own_turns(tmp_path: Path) -> None:
    server = EmbeddedValkey("cache", tmp_path)
    link = RedisClient(await asyncio.to_thread(server.start), timeout_s=2)
    sessions = RedisSessions(link, RedisKeys("Shop"), 60, InMemorySessions(60, 10))
    await sessions.remember("ann", "s", TURN)
    server.stop()
    assert await sessions.turns("ann", "s") == (TURN,)
    await sessions.remember("ann", "s", Turn("and then?"))
    assert await sessions.turns("ann", "s") == (TURN, Turn("and then?"))
    await link.close()
