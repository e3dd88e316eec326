"""The keys of one retailer on the cache's server, and the scripts that change several at once.

All keys of a retailer share a hash tag, so that they are in one slot of a cluster.

    slmfleet:{retailer}:generations          JSON, domain -> token; a new token means changed knowledge
    slmfleet:{retailer}:new                  exists while replicas may be alive that this server does not know
    slmfleet:{retailer}:answer:MODELS:TEXT   an entry: see services/state/cache_entry.py
    slmfleet:{retailer}:lease:MODELS:TEXT    who computes that answer now
    slmfleet:{retailer}:replicas             sorted set, replica -> time of its last heartbeat
    slmfleet:{retailer}:replica:ID           JSON, tokens indexed and faults by domain; expires with the lease
    slmfleet:{retailer}:hits                 hash, domain -> how many answers came from the cache
    slmfleet:{retailer}:session:HASH         list, the last turns of a session
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from redis.asyncio import Redis

#: The domain whose token covers every answer: when it changes, each replica drops its own entries.
EVERYTHING: Final = "*"

#: Seconds for which a replica counts as alive after its last heartbeat. Whoever changes knowledge waits that
#: long for one that has died.
LEASE_S: Final = 0.75

#: Returns the generations and the entry; without an entry it takes the lease on computing it, if free.
_LOOK_UP: Final = """
local entry = redis.call('GET', KEYS[1])
local leased = 0
if not entry and ARGV[1] ~= '' then
  if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then leased = 1 end
end
return {redis.call('GET', KEYS[3]), entry, leased}
"""
#: Stores the entry unless it is empty, and releases the lease if it is still the caller's.
_STORE: Final = """
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
"""
#: Sets the tokens of some domains. A server without any was just started, or has lost its data.
_RENEW_TOKENS: Final = """
local held = redis.call('GET', KEYS[1])
if not held then redis.call('SET', KEYS[2], '1', 'PX', ARGV[1]) end
local tokens = held and cjson.decode(held) or {}
for index = 2, #ARGV, 2 do
  tokens[ARGV[index]] = ARGV[index + 1]
end
redis.call('SET', KEYS[1], cjson.encode(tokens))
return 1
"""


def token() -> str:
    """A random token, never used before: a counter could repeat after the server lost its data."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of `RedisKeys.look_up`.

    `generations`: domain -> token, None where the server has none. `leased`: the caller is to compute the
    answer.
    """

    generations: dict[str, str] | None
    entry: bytes | None
    leased: bool


class RedisKeys:
    """The keys of one retailer, and the commands on them. All raise Redis' own errors."""

    def __init__(self, retailer: str) -> None:
        tag = re.sub(r"[^a-z0-9]+", "-", retailer.casefold()).strip("-") or "shop"
        self.prefix = f"slmfleet:{{{tag}}}:"
        self.generations = f"{self.prefix}generations"
        self.new = f"{self.prefix}new"
        self.replicas = f"{self.prefix}replicas"
        self.hits = f"{self.prefix}hits"

    def answer(self, key: str) -> str:
        """The entry of `key`, MODELS:TEXT."""
        return f"{self.prefix}answer:{key}"

    def lease(self, key: str) -> str:
        """The lease of `key`, MODELS:TEXT."""
        return f"{self.prefix}lease:{key}"

    def replica(self, name: str) -> str:
        """The state that a replica reports."""
        return f"{self.prefix}replica:{name}"

    def session(self, digest: str) -> str:
        """The turns of a session."""
        return f"{self.prefix}session:{digest}"

    async def look_up(self, client: Redis, key: str, lease: str, lease_ms: int) -> Lookup:
        """The entry of `key`, in one round trip; an empty `lease` does not ask for the lease."""
        keys = (self.answer(key), self.lease(key), self.generations)
        generations, entry, leased = await client.eval(_LOOK_UP, 3, *keys, lease, str(lease_ms))
        return Lookup(_tokens(generations), entry, bool(leased))

    async def store(self, client: Redis, key: str, lease: str, entry: bytes, ttl_ms: int) -> None:
        """Store `entry` unless it is empty, and release the lease if it is still `lease`."""
        await client.eval(_STORE, 2, self.answer(key), self.lease(key), lease, entry, str(ttl_ms))

    async def tokens(self, client: Redis) -> dict[str, str] | None:
        """Domain -> token, None where the server has none."""
        return _tokens(cast("bytes | None", await client.get(self.generations)))

    async def live_replicas(self, client: Redis) -> list[dict[str, Any]]:
        """The state of each live replica: `tokens` and `faults`, by domain. Removes the dead ones."""
        names = [name.decode() for name in cast("list[bytes]", await client.zrange(self.replicas, 0, -1))]
        if not names:
            return []
        states = cast("list[bytes | None]", await client.mget([self.replica(name) for name in names]))
        dead = [name for name, state in zip(names, states, strict=True) if state is None]
        if dead:
            await client.zrem(self.replicas, *dead)
        return [orjson.loads(state) for state in states if state is not None]

    async def renew_tokens(self, client: Redis, *domains: str) -> dict[str, str]:
        """Set a new token for each of `domains`; returns domain -> token."""
        fresh = {domain: token() for domain in domains}
        pairs = [each for pair in fresh.items() for each in pair]
        await client.eval(_RENEW_TOKENS, 2, self.generations, self.new, str(int(LEASE_S * 1e3)), *pairs)
        return fresh

    async def is_warming_up(self, client: Redis) -> bool:
        """Whether a replica may hold a lease that this server does not know, since it lost its data."""
        return bool(await client.exists(self.new))


def _tokens(stored: bytes | None) -> dict[str, str] | None:
    return None if stored is None else orjson.loads(stored)
