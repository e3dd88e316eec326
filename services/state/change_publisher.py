"""What changed outside: it returns only when nobody answers from before the change any more."""

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

_LOOK_EVERY_S: Final = 0.02


class ChangePublisher:
    """Tells every replica of a change. `wait_s` bounds how long one that lives is waited for."""

    def __init__(self, settings: Settings, wait_s: float = 5.0) -> None:
        """Raises FleetFault; Unreachable when no server is set through which replicas could hear of it."""
        self._fleet = load_fleet(settings.fleet_dir)
        self._keys = RedisKeys(self._fleet.config.retailer)
        self._link = RedisClient(redis_url(settings), timeout_s=1.0)
        self._wait_s = wait_s

    async def knowledge_changed(self, domain: str) -> None:
        """Have every replica that lives read the domain's knowledge anew, and forget what quotes the old.

        A replica that is dead, or cannot reach the server, is not waited for: it asks, or looks at the files
        itself, before it answers again.
        Raises NotFound for an unknown domain; FleetFault for knowledge that cannot be served, which changes
        nothing; Unreachable when not every replica has confirmed in time: then the change must be told again.
        """
        if domain not in self._fleet.domains:
            known = ", ".join(self._fleet.domains)
            raise NotFound(f"there is no domain '{domain}'; there are {known}")
        await asyncio.to_thread(reread, self._fleet, domain)
        wanted = (await self._link.probe(lambda client: self._keys.renew(client, domain)))[domain]
        deadline = time.monotonic() + self._wait_s
        while late := await self._link.probe(lambda client: self._late(client, domain, wanted)):
            if time.monotonic() > deadline:
                raise Unreachable(f"{late} of the replicas have not read the new {domain} in time")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def order_changed(self, order_id: str) -> None:
        """Have nobody answer from the order as it was.

        Returns at once: an order is read from the records for each answer, and no cache holds one.
        """

    async def close(self) -> None:
        """Close the connections."""
        await self._link.close()

    async def _late(self, client: Redis, domain: str, wanted: str) -> int:
        """How many replicas that live have not indexed the token `wanted` or a later one of `domain`.

        One more while the server may not have heard of all. Raises Unreachable when it has lost the token.
        """
        unheard = await self._keys.is_new(client)
        heard = await self._keys.replicas_heard(client)
        latest = (await self._keys.tokens(client) or {}).get(domain)
        if latest is None:
            raise Unreachable(f"the cache's server has lost the news of {domain}")
        if any(domain in state["faults"] for state in heard):
            raise Unreachable(f"a replica cannot serve the new {domain}; its log says why")
        return unheard + sum(state["tokens"].get(domain) not in (wanted, latest) for state in heard)


def redis_url(settings: Settings) -> str:
    """The cache's server: the one that is set, else the embedded one. Raises Unreachable without either."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    url = embedded_url(settings.embedded_dir(), "cache")
    if url is None:
        raise Unreachable("no server for the cache is set: SLMFLEET_REDIS_URL, or start `slmfleet up`")
    return url
