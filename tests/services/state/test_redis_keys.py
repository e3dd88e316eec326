"""The keys of a retailer and the scripts on them, on a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from redis.asyncio import Redis

from slmfleet.services.state.redis_keys import LEASE_S, RedisKeys, token

KEYS = RedisKeys("Corner & Shop")


@pytest.fixture
async def client(valkey: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey)
    yield client
    await client.aclose()


def test_all_keys_of_a_retailer_have_one_hash_tag() -> None:
    keys = [KEYS.generations, KEYS.new, KEYS.replicas, KEYS.hits, KEYS.answer("m:t"), KEYS.lease("m:t")]
    keys += [KEYS.replica("r"), KEYS.session("s")]
    assert all(key.startswith("slmfleet:{corner-shop}:") for key in keys)
    assert len(set(keys)) == len(keys)
    assert RedisKeys("***").prefix == "slmfleet:{shop}:"


async def test_one_of_many_gets_the_lease_and_all_get_what_it_stores(client: Redis) -> None:
    tokens = [token() for _ in range(5)]
    found = await asyncio.gather(*(KEYS.look_up(client, "m:t", lease, 2_000) for lease in tokens))
    assert [lookup.entry for lookup in found] == [None] * 5
    assert sum(lookup.leased for lookup in found) == 1
    holder = tokens[[lookup.leased for lookup in found].index(True)]
    await KEYS.store(client, "m:t", holder, b"entry", 60_000)
    lookup = await KEYS.look_up(client, "m:t", token(), 2_000)
    assert (lookup.entry, lookup.leased) == (b"entry", False)
    assert not await client.exists(KEYS.lease("m:t"))
    assert 0 < await client.pttl(KEYS.answer("m:t")) <= 60_000


async def test_storing_nothing_releases_only_the_own_lease(client: Redis) -> None:
    await KEYS.look_up(client, "m:t", "mine", 2_000)
    await KEYS.store(client, "m:t", "another", b"", 0)
    assert await client.exists(KEYS.lease("m:t"))
    await KEYS.store(client, "m:t", "mine", b"", 0)
    assert not await client.exists(KEYS.lease("m:t"))
    assert not await client.exists(KEYS.answer("m:t"))


async def test_tokens_are_renewed_one_by_one(client: Redis) -> None:
    assert await KEYS.tokens(client) is None
    first = await KEYS.renew_tokens(client, "shipping", "returns")
    second = await KEYS.renew_tokens(client, "returns")
    assert await KEYS.tokens(client) == {**first, **second}
    assert first["returns"] != second["returns"]


async def test_a_server_that_lost_its_data_warms_up_for_a_lease(client: Redis) -> None:
    await KEYS.renew_tokens(client, "shipping")
    assert await KEYS.is_warming_up(client)
    await asyncio.sleep(LEASE_S + 0.1)
    assert not await KEYS.is_warming_up(client)
    await KEYS.renew_tokens(client, "shipping")
    assert not await KEYS.is_warming_up(client)


async def test_a_replica_without_state_is_dead_and_removed(client: Redis) -> None:
    assert await KEYS.live_replicas(client) == []
    await client.zadd(KEYS.replicas, {"alive": 1, "dead": 2})
    state = {"tokens": {"shipping": "1"}, "faults": {}}
    await client.set(KEYS.replica("alive"), orjson.dumps(state))
    assert await KEYS.live_replicas(client) == [state]
    assert await client.zrange(KEYS.replicas, 0, -1) == [b"alive"]
