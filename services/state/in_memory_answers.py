"""The cached answers of one process, for when the cache's server is away or need not be asked."""

from __future__ import annotations

import asyncio
import time

from cachetools import TLRUCache

from slmfleet.services.state.cache_entry import CacheEntry


class InMemoryAnswers:
    """At most `limit` entries, each until it expires; the least recently used is evicted first."""

    def __init__(self, limit: int) -> None:
        def expires(key: str, entry: CacheEntry, now: float) -> float:
            return now + entry.ttl_s

        self._entries: TLRUCache[str, CacheEntry] = TLRUCache(limit, expires, time.monotonic)
        self._epoch = ""
        #: Stores to the server that are still under way.
        self.background: set[asyncio.Future[None]] = set()

    def get(self, key: str) -> CacheEntry | None:
        """The entry, or None when there is none or it has expired."""
        entry: CacheEntry | None = self._entries.get(key)
        return entry

    def put(self, key: str, entry: CacheEntry) -> None:
        """Store an entry until it expires."""
        self._entries[key] = entry

    def set_epoch(self, epoch: str) -> None:
        """Drop every entry when `epoch` is not the one before."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
