"""What became of each event: who answers it now, how often that was tried, and the answer once there is one.

Kept in Redis or Valkey, since it must outlive any consumer. The first answer that is stored is the answer:
a consumer that was paused while another one took over gets that one's words, not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from redis.asyncio import Redis

_PREFIX: Final = "slmfleet:event:"

# One hash a key: answer, owner, until (ms by the server's clock), attempts, fault.
_BEGIN: Final = """
local answer = redis.call('HGET', KEYS[1], 'answer')
if answer then return {'answered', answer, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > now then return {'held', '', 0} end
local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts') or '0')
if attempts >= tonumber(ARGV[4]) then
  return {'spent', redis.call('HGET', KEYS[1], 'fault') or '', attempts}
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + ARGV[2], 'attempts', attempts + 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'begun', '', attempts + 1}
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


@dataclass(frozen=True, slots=True)
class LedgerState:
    """How an event stands when a consumer wants to begin with it.

    `begun`: it is this consumer's now, for the `attempts`-th time. `held`: another one answers it.
    `answered`: `answer` is what was said. `spent`: it was tried `attempts` times; `fault` is the last one's,
    empty when the consumer ended in the middle of it.
    """

    kind: Literal["begun", "held", "answered", "spent"]
    answer: bytes = b""
    attempts: int = 0
    fault: str = ""


class Ledger:
    """The standing of events by their key. `keep_s`: how long an answer is remembered.

    `lease_s` is how long an event stays a consumer's without `renew`. Raises Redis' own errors when the
    server stays away for longer than the client's retries.
    """

    def __init__(self, client: Redis, keep_s: float, lease_s: float, max_attempts: int) -> None:
        self._keep_ms = int(keep_s * 1e3)
        self.lease_s = lease_s
        self._lease_ms = int(lease_s * 1e3)
        self.max_attempts = max_attempts
        self._client = client
        self._begin = client.register_script(_BEGIN)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)
        self._complete = client.register_script(_COMPLETE)

    async def begin(self, key: str, owner: str) -> LedgerState:
        """Make the event `owner`'s and count an attempt, if nobody has it and tries are left."""
        arguments: list[Any] = [owner, self._lease_ms, self._keep_ms, self.max_attempts]
        kind, text, attempts = await self._begin(keys=[_PREFIX + key], args=arguments)
        name = cast('Literal["begun", "held", "answered", "spent"]', kind.decode())
        if name == "answered":
            return LedgerState(name, answer=text)
        return LedgerState(name, attempts=attempts, fault=text.decode())

    async def renew(self, keys: list[str], owner: str) -> None:
        """Keep those of `keys` that are still `owner`'s for another lease."""
        if keys:
            await self._renew(keys=[_PREFIX + key for key in keys], args=[owner, self._lease_ms])

    async def give_back(self, key: str, owner: str) -> None:
        """Let go of an event that could not be tried: the attempt does not count."""
        await self._release(keys=[_PREFIX + key], args=[owner, ""])

    async def failed(self, key: str, owner: str, fault: str) -> None:
        """Let go of an event after an attempt that counts."""
        await self._release(keys=[_PREFIX + key], args=[owner, fault or "failed"])

    async def complete(self, key: str, answer: bytes) -> bytes:
        """Store `answer` unless there is one already; returns the one that stands."""
        stored: bytes = await self._complete(keys=[_PREFIX + key], args=[answer, self._keep_ms])
        return stored

    async def forget(self, key: str) -> None:
        """Forget the attempts of an event that has no answer, so that it can be tried anew."""
        await self._client.hdel(_PREFIX + key, "attempts", "fault")
