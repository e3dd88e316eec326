"""How the cache's server is laid out: the keys of one retailer, and the scripts that change several at once.

Everything of a retailer has one hash tag, so that it lies in one slot of a cluster.

    slmfleet:{retailer}:generations          JSON, domain -> token; another token, other knowledge
    slmfleet:{retailer}:new                  while replicas may live that this server has not heard of
    slmfleet:{retailer}:answer:MODELS:TEXT   an entry: see services/state/answer_cache.py
    slmfleet:{retailer}:lease:MODELS:TEXT    who computes that answer now
    slmfleet:{retailer}:replicas             when each replica was last heard of
    slmfleet:{retailer}:replica:ID           JSON, domain -> the token it has indexed; gone when it is
    slmfleet:{retailer}:hits                 domain -> how many answers came from the cache
    slmfleet:{retailer}:session:HASH         the last turns of a session
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from redis.asyncio import Redis

#: The token that stands for every answer: another one, and no replica serves what it kept for itself.
EVERYTHING: Final = "*"

#: Seconds for which a replica counts as alive after it was last heard of. Whoever changes knowledge waits
#: that long for one that has died.
LEASE_S: Final = 0.75

#: The entry and the generations; without an entry also the lease on computing it, if it is free.
_LOOK_UP: Final = """
local entry = redis.call('GET', KEYS[1])
local leased = 0
if not entry and ARGV[1] ~= '' then
  if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then leased = 1 end
end
return {redis.call('GET', KEYS[3]), entry, leased}
"""
#: Let the lease go if it is still ours, having stored the entry unless it is empty.
_STORE: Final = """
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
"""
#: Give some domains another token. A server without any was just started, or has lost all it knew.
_RENEW: Final = """
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
    """One that was never used before: what was lost cannot come back by being counted again."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class LookedUp:
    """`generations` is None where the server has none; `leased`: this caller is to compute the answer."""

    generations: dict[str, str] | None
    entry: bytes | None
    leased: bool


class RedisKeys:
    """The keys of one retailer."""

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
        """What the replica has indexed."""
        return f"{self.prefix}replica:{name}"

    def session(self, digest: str) -> str:
        """The turns of a session."""
        return f"{self.prefix}session:{digest}"

    async def look_up(self, client: Redis, key: str, lease: str, lease_ms: int) -> LookedUp:
        """One round trip. An empty `lease` asks for none."""
        keys = (self.answer(key), self.lease(key), self.generations)
        told, entry, leased = await client.eval(_LOOK_UP, 3, *keys, lease, str(lease_ms))
        return LookedUp(_tokens(told), entry, bool(leased))

    async def store(self, client: Redis, key: str, lease: str, entry: bytes, ttl_ms: int) -> None:
        """Store `entry` unless it is empty, and let the lease go if it is still this one."""
        await client.eval(_STORE, 2, self.answer(key), self.lease(key), lease, entry, str(ttl_ms))

    async def tokens(self, client: Redis) -> dict[str, str] | None:
        """Domain -> token, None where the server has none."""
        return _tokens(cast("bytes | None", await client.get(self.generations)))

    async def replicas_heard(self, client: Redis) -> list[dict[str, Any]]:
        """What each replica that lives says of itself: `tokens` and `faults`, by domain. Drops the dead."""
        names = [name.decode() for name in cast("list[bytes]", await client.zrange(self.replicas, 0, -1))]
        if not names:
            return []
        said = cast("list[bytes | None]", await client.mget([self.replica(name) for name in names]))
        gone = [name for name, state in zip(names, said, strict=True) if state is None]
        if gone:
            await client.zrem(self.replicas, *gone)
        return [orjson.loads(state) for state in said if state is not None]

    async def renew(self, client: Redis, *domains: str) -> dict[str, str]:
        """Give each of `domains` a new token. Returns those tokens."""
        fresh = {domain: token() for domain in domains}
        pairs = [each for pair in fresh.items() for each in pair]
        await client.eval(_RENEW, 2, self.generations, self.new, str(int(LEASE_S * 1e3)), *pairs)
        return fresh

    async def is_new(self, client: Redis) -> bool:
        """Whether a replica may count itself alive that this server has not heard of: it may have lost it."""
        return bool(await client.exists(self.new))


def _tokens(stored: bytes | None) -> dict[str, str] | None:
    return None if stored is None else orjson.loads(stored)
