"""The ledger: of each event who answers it now, how often it was tried, and the answer once there is one.

It is in Redis or Valkey, since it must outlive any consumer. The first answer stored is the answer: a
consumer that was paused while another took over publishes the other's answer, not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from redis.asyncio import Redis

_PREFIX: Final = "slmfleet:event:"

# One hash a key: answer, owner, until (ms by the server's clock), attempts, fault.
_ACQUIRE: Final = """
local answer = redis.call('HGET', KEYS[1], 'answer')
if answer then return {'answered', answer, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > now then return {'held', '', 0} end
local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts') or '0')
if attempts >= tonumber(ARGV[4]) then
  return {'exhausted', redis.call('HGET', KEYS[1], 'fault') or '', attempts}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + ARGV[2], 'attempts', attempts + 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'acquired', '', attempts + 1}
"""
_RENEW: Final = """
for _, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'owner') == ARGV[1] then
    local time = redis.call('TIME')
    redis.call('HSET', key, 'until', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
  end
end
return 0
"""
_RELEASE: Final = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'until')
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'fault', ARGV[2])
else redis.call('HINCRBY', KEYS[1], 'attempts', -1) end
return 1
"""
_COMPLETE: Final = """
redis.call('HSETNX', KEYS[1], 'answer', ARGV[1])
redis.call('HDEL', KEYS[1], 'owner', 'until', 'fault')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HGET', KEYS[1], 'answer')
"""


Kind = Literal["acquired", "held", "answered", "exhausted"]


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The result of `Ledger.acquire`.

    `acquired`: the event is the caller's, for the `attempts`-th attempt. `held`: another consumer has it.
    `answered`: `answer` is the stored answer. `exhausted`: it was tried `attempts` times; `fault` is that of
    the last attempt, empty when the consumer ended during it.
    """

    kind: Kind
    answer: bytes = b""
    attempts: int = 0
    fault: str = ""


class Ledger:
    """The state of events by their key.

    `keep_s`: how long an answer is stored. `lease_s`: how long an event stays a consumer's without `renew`.
    Every method raises Redis' own errors when the server stays away for longer than the client's retries.
    """

    def __init__(self, client: Redis, keep_s: float, lease_s: float, max_attempts: int) -> None:
        self._keep_ms = int(keep_s * 1e3)
        self.lease_s = lease_s
        self._lease_ms = int(lease_s * 1e3)
        self.max_attempts = max_attempts
        self._client = client
        self._acquire = client.register_script(_ACQUIRE)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)
        self._complete = client.register_script(_COMPLETE)

    async def acquire(self, key: str, owner: str) -> LedgerState:
        """Lease the event to `owner` and count an attempt, if nobody has it and attempts are left."""
        arguments: list[Any] = [owner, self._lease_ms, self._keep_ms, self.max_attempts]
        name, text, attempts = await self._acquire(keys=[_PREFIX + key], args=arguments)
        kind = cast("Kind", name.decode())
        if kind == "answered":
            return LedgerState(kind, answer=text)
        return LedgerState(kind, attempts=attempts, fault=text.decode())

    async def renew(self, keys: list[str], owner: str) -> None:
        """Extend the lease of those of `keys` that are still `owner`'s."""
        if keys:
            await self._renew(keys=[_PREFIX + key for key in keys], args=[owner, self._lease_ms])

    async def release(self, key: str, owner: str) -> None:
        """End the lease of an event that could not be tried: the attempt does not count."""
        await self._release(keys=[_PREFIX + key], args=[owner, ""])

    async def failed(self, key: str, owner: str, fault: str) -> None:
        """End the lease of an event after an attempt that counts, and store its `fault`."""
        await self._release(keys=[_PREFIX + key], args=[owner, fault or "failed"])

    async def complete(self, key: str, answer: bytes) -> bytes:
        """Store `answer` unless there is one already; returns the stored one."""
        stored: bytes = await self._complete(keys=[_PREFIX + key], args=[answer, self._keep_ms])
        return stored

    async def reset_attempts(self, key: str) -> None:
        """Count attempts from 0 again, so that an event that died can be replayed."""
        await self._client.hdel(_PREFIX + key, "attempts", "fault")
