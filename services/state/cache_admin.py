"""What the cache's server holds, and eviction: `slmfleet cache show` and `evict`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar, cast

import orjson
from pydantic import BaseModel
from redis.asyncio import Redis

from slmfleet.models.errors import NotFound
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.settings import Settings
from slmfleet.services.state.cache_entry import CacheEntry, text_key
from slmfleet.services.state.change_publisher import redis_url
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import EVERYTHING, LEASE_S, RedisKeys

T = TypeVar("T")
_PAGE: Final = 500


class CacheContents(BaseModel):
    """`by_domain`: entries, `hits`: since the server started, both by domain; `memory_max_bytes` 0: no limit.

    An answer of several domains counts for each; `-` counts answers that quote no knowledge.
    """

    retailer: str
    entries: int
    replicas: int
    by_domain: dict[str, int]
    hits: dict[str, int]
    entry_bytes: int
    memory_bytes: int
    memory_max_bytes: int


def show(settings: Settings) -> CacheContents:
    """What the server holds. Raises FleetFault, Unreachable."""
    fleet = load_fleet(settings.fleet_dir)
    return _with_server(settings, lambda client: _show(client, fleet))


def evict(settings: Settings, domain: str | None = None, text: str | None = None) -> int:
    """Evict a domain's answers, those to a text, or all, from each replica too. Returns how many there were.

    Raises NotFound for an unknown domain, FleetFault, Unreachable.
    """
    fleet = load_fleet(settings.fleet_dir)
    if domain is not None and domain not in fleet.domains:
        raise NotFound(f"there is no domain '{domain}'; there are {', '.join(fleet.domains)}")
    return _with_server(settings, lambda client: _evict(client, fleet, domain, text))


def render(contents: CacheContents) -> str:
    """The contents as lines for a terminal."""
    of = f" of {contents.memory_max_bytes / 1e6:.0f} MB" if contents.memory_max_bytes else ""
    lines = [
        f"{contents.retailer}: {contents.entries} answers, {contents.entry_bytes / 1e3:.1f} kB of their own; "
        f"the server uses {contents.memory_bytes / 1e6:.1f} MB{of}",
        f"{contents.replicas} replica{'' if contents.replicas == 1 else 's'} in touch",
    ]
    for name in sorted({*contents.by_domain, *contents.hits}, key=lambda name: (name == "-", name)):
        label = "no knowledge" if name == "-" else name
        entries, hits = contents.by_domain.get(name, 0), contents.hits.get(name, 0)
        lines.append(f"  {label:<14} {entries:>7} answers {hits:>9} hits")
    return "\n".join(lines)


def _with_server(settings: Settings, command: Callable[[Redis], Awaitable[T]]) -> T:
    async def run() -> T:
        redis = RedisClient(redis_url(settings), timeout_s=5.0)
        try:
            return await redis.call(command)
        finally:
            await redis.close()

    return asyncio.run(run())


async def _show(client: Redis, fleet: Fleet) -> CacheContents:
    keys = RedisKeys(fleet.config.retailer)
    by_domain: Counter[str] = Counter()
    entries = entry_bytes = 0
    async for _, packed in _entries(client, keys):
        entries += 1
        entry_bytes += len(packed)
        by_domain.update(CacheEntry.unpacked(packed).domains)
    hits = cast("dict[bytes, bytes]", await cast("Awaitable[Any]", client.hgetall(keys.hits)))
    memory = await client.info("memory")
    return CacheContents(
        retailer=fleet.config.retailer,
        entries=entries,
        replicas=len(await keys.live_replicas(client)),
        by_domain=dict(by_domain),
        hits={name.decode(): int(count) for name, count in hits.items()},
        entry_bytes=entry_bytes,
        memory_bytes=int(memory["used_memory"]),
        memory_max_bytes=int(memory.get("maxmemory", 0)),
    )


async def _evict(client: Redis, fleet: Fleet, domain: str | None, text: str | None) -> int:
    keys = RedisKeys(fleet.config.retailer)
    # First, so that entries that a replica holds or is about to store are void. An eviction by text leaves
    # the other entries on the server valid.
    domains = [] if text is not None else [domain] if domain else [*fleet.domains]
    await keys.renew_tokens(client, *domains, EVERYTHING)
    wanted = None if text is None else text_key(text)
    evicted = [
        key
        async for key, packed in _entries(client, keys)
        if (domain is None or domain in orjson.loads(packed)["versions"])
        and (wanted is None or key.endswith(wanted.encode()))
    ]
    count = int(await client.unlink(*evicted)) if evicted else 0
    # By then every live replica has had a heartbeat.
    await asyncio.sleep(LEASE_S)
    return count


async def _entries(client: Redis, keys: RedisKeys) -> AsyncIterator[tuple[bytes, bytes]]:
    """Every entry with its key, in pages."""
    page: list[bytes] = []
    async for key in client.scan_iter(match=keys.answer("*"), count=_PAGE):
        page.append(key)
        if len(page) == _PAGE:
            for pair in await _page(client, page):
                yield pair
            page = []
    for pair in await _page(client, page):
        yield pair


async def _page(client: Redis, page: list[bytes]) -> list[tuple[bytes, bytes]]:
    if not page:
        return []
    found = cast("list[bytes | None]", await client.mget(page))
    return [(key, packed) for key, packed in zip(page, found, strict=True) if packed is not None]
