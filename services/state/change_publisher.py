"""Publishes changes of knowledge, and waits until no replica answers from before the change."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from redis.asyncio import Redis

from slmfleet.models.errors import NotFound, Unreachable
from slmfleet.models.fleet.loading import load_fleet, reread
from slmfleet.services.settings import Settings, embedded_url
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import RedisKeys

_POLL_EVERY_S: Final = 0.02


class ChangePublisher:
    """Makes every live replica read changed knowledge. `wait_s`: how long it waits for them at most."""

    def __init__(self, settings: Settings, wait_s: float = 5.0) -> None:
        """Raises FleetFault, and Unreachable when no server is set over which replicas could be reached."""
        self._fleet = load_fleet(settings.fleet_dir)
        self._keys = RedisKeys(self._fleet.config.retailer)
        self._redis = RedisClient(redis_url(settings), timeout_s=1.0)
        self._wait_s = wait_s

    async def knowledge_changed(self, domain: str) -> None:
        """Return once every live replica has read the domain's knowledge again.

        From then on no answer that quotes the old one is given.

        A replica that is dead, or cannot reach the server, is not waited for: before it answers again it asks
        the server, or checks the files itself.
        Raises NotFound for an unknown domain; FleetFault for knowledge that cannot be served, which changes
        nothing; Unreachable when not every replica has confirmed in time: the call must then be repeated.
        """
        if domain not in self._fleet.domains:
            known = ", ".join(self._fleet.domains)
            raise NotFound(f"there is no domain '{domain}'; there are {known}")
        await asyncio.to_thread(reread, self._fleet, domain)
        wanted = (await self._redis.probe(lambda client: self._keys.renew_tokens(client, domain)))[domain]
        deadline = time.monotonic() + self._wait_s
        while behind := await self._redis.probe(lambda client: self._behind(client, domain, wanted)):
            if time.monotonic() > deadline:
                raise Unreachable(f"{behind} of the replicas have not read the new {domain} in time")
            await asyncio.sleep(_POLL_EVERY_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.close()

    async def _behind(self, client: Redis, domain: str, wanted: str) -> int:
        """How many live replicas have not indexed the token `wanted` of `domain`, or a later one.

        One more while the server may not know all replicas. Raises Unreachable when it has lost the token, or
        a replica cannot serve the new knowledge.
        """
        unknown = await self._keys.is_warming_up(client)
        replicas = await self._keys.live_replicas(client)
        latest = (await self._keys.tokens(client) or {}).get(domain)
        if latest is None:
            raise Unreachable(f"the cache's server has lost the change of {domain}")
        if any(domain in state["faults"] for state in replicas):
            raise Unreachable(f"a replica cannot serve the new {domain}; its log says why")
        return unknown + sum(state["tokens"].get(domain) not in (wanted, latest) for state in replicas)


def redis_url(settings: Settings) -> str:
    """The URL of the cache's server: the one that is set, else the embedded one. Raises Unreachable."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    url = embedded_url(settings.embedded_dir(), "cache")
    if url is None:
        raise Unreachable("no server for the cache is set: SLMFLEET_REDIS_URL, or start `slmfleet up`")
    return url
