"""The answer cache: answers that anyone may get, found by the exact question before any model runs.

An answer is cached only when nothing in it belongs to a customer: no slots, no records, no conversation, and
every intent marked `cacheable: shared`. It is found by the exact text (case-folded), never by a similar one.
The key names the models that gave it; the knowledge that it quotes is compared at each hit.

The server holds the entries of all replicas, and each replica those that it has met. A replica answers from
its own without asking the server while it holds a lease (services/state/replica_heartbeat.py), since whoever
changes knowledge then waits for it; and while the server is away.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from slmfleet.models.errors import Unreachable
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.text.slots import exact_slots
from slmfleet.services.pipeline.pipeline import Answered, Query
from slmfleet.services.pipeline.sessions import Turn
from slmfleet.services.schemas import CostBody
from slmfleet.services.state.cache_entry import CacheEntry, is_shareable, models_key, text_key
from slmfleet.services.state.in_memory_answers import InMemoryAnswers
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import EVERYTHING, RedisKeys, token
from slmfleet.services.telemetry import metrics

#: Seconds for which "I can't help with that" is cached: long enough for a burst, too short to hide a repair.
_NEGATIVE_TTL_S: Final = (30.0, 60.0)
_JITTER: Final = 0.1
#: How long the lease on computing an answer lasts, and how often those who wait for it poll.
_LEASE_MS: Final = 2_000
_POLL_EVERY_S: Final = 0.005
#: At most so many locales have their key memoized.
_LOCALES: Final = 64
#: An address, or the digits of an order: such a text is personal, and is not even looked up.
_PERSONAL: Final = re.compile(r"@|\d{5}")


class AnswerCache:
    """The cache of one loaded fleet: `Cache` for its pipeline.

    `local`: the entries of this process, which outlive a reload, since their keys name the models. `models`:
    what `models_key` needs; while it returns None nothing is cached. `unreported_hits`: hits by domain, which
    the heartbeat sends. `has_lease`: whether the knowledge here is certainly the one published last.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        knowledge: KnowledgeReloader,
        models: Callable[[], Mapping[str, str] | None],
        local: InMemoryAnswers,
        redis: RedisClient | None,
        unreported_hits: Counter[str],
        ttl_s: float,
        core_watts: float,
        has_lease: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fleet = fleet
        self._knowledge = knowledge
        self._models = models
        self._local = local
        self._redis = redis
        self._unreported_hits = unreported_hits
        self._ttl_s = ttl_s
        self._core_watts = core_watts
        self._has_lease = has_lease
        self._keys = RedisKeys(fleet.config.retailer)
        self._locales: dict[str, tuple[Mapping[str, str], str]] = {}
        self._computing: dict[str, asyncio.Future[CacheEntry | None]] = {}

    def get_local(self, query: Query) -> Answered | None:
        """The cached answer of this process, when the server need not be asked; else None."""
        started, cpu_started = time.perf_counter(), time.thread_time()
        if not self._has_lease():
            return None
        key = self._key(query)
        entry = None if key is None else self._local.get(key)
        if entry is None or not self._is_valid(entry):
            return None
        return self._hit(query, entry, started, cpu_started)

    async def answered(self, query: Query, compute: Callable[[], Awaitable[Answered]]) -> Answered:
        """The cached answer to `query`, else what `compute` returns, cached where that is allowed.

        Of several that ask the same at once one computes. Raises what `compute` raises.
        """
        started, cpu_started = time.perf_counter(), time.thread_time()
        models = self._models()
        key = self._key(query)
        if models is None or key is None:
            await self.bypass()
            return await compute()
        cpu_s = time.thread_time() - cpu_started
        other = self._computing.get(key)
        if other is not None:
            # Shielded: a waiting caller that is cancelled must not cancel the computation for the rest.
            entry = await asyncio.shield(other)
            if entry is not None and self._is_valid(entry):
                return self._hit(query, entry, started, time.thread_time() - cpu_s)
            return self._with_entry(query, await self._computed(compute), models)[0]
        computed = self._computing[key] = asyncio.get_running_loop().create_future()
        lease = token()
        entry, stores = None, False
        try:
            entry, stores = await self._look_up(key, lease)
            if entry is not None:
                return self._hit(query, entry, started, time.thread_time() - cpu_s)
            answered, entry = self._with_entry(query, await self._computed(compute), models)
            if entry is not None:
                self._local.put(key, entry)
            return answered
        finally:
            del self._computing[key]
            computed.set_result(entry)
            if stores:
                # In the background: the caller does not wait for it, and may have been cancelled.
                task = asyncio.ensure_future(self._store(key, lease, entry))
                self._local.background.add(task)
                task.add_done_callback(self._local.background.discard)

    async def bypass(self) -> None:
        """Return once this process answers from the knowledge published last.

        With a lease that is at once: whoever changes knowledge waits for this replica.
        """
        if self._has_lease():
            return
        try:
            tokens = await self._call(lambda redis: redis.call(self._keys.tokens))
        except Unreachable:
            await self._knowledge.check_files()
            return
        if tokens is not None:
            await self._apply_tokens(tokens)

    async def _computed(self, compute: Callable[[], Awaitable[Answered]]) -> tuple[Answered, dict[str, str]]:
        """The answer, and the version of each domain's knowledge from before it was computed."""
        versions = {domain: self._knowledge.version(domain) for domain in self._fleet.domains}
        return await compute(), versions

    def _with_entry(
        self, query: Query, computed: tuple[Answered, dict[str, str]], models: Mapping[str, str]
    ) -> tuple[Answered, CacheEntry | None]:
        """The answer, marked as a miss when it can be cached, and its entry."""
        answered, versions = computed
        entry = self._entry(query, answered, versions, models)
        if entry is None:
            return answered, None
        return Answered(answered.body.model_copy(update={"cache": "miss"}), answered.turn), entry

    async def _look_up(self, key: str, lease: str) -> tuple[CacheEntry | None, bool]:
        """A valid entry; else None, and whether this caller is to store what it computes."""
        deadline = time.monotonic() + _LEASE_MS / 1e3
        while True:
            try:
                found = await self._call(
                    lambda redis: redis.call(lambda client: self._keys.look_up(client, key, lease, _LEASE_MS))
                )
            except Unreachable:
                if self._redis is not None:
                    metrics.CACHE_REQUESTS.add(1, "error")
                await self._knowledge.check_files()
                entry = self._local.get(key)
                return (entry if entry is not None and self._is_valid(entry) else None), False
            if found.generations is not None:
                await self._apply_tokens(found.generations)
            if found.entry is not None:
                entry = CacheEntry.unpacked(found.entry)
                if not self._is_valid(entry):
                    return None, True  # everyone who finds it computes it anew and overwrites it
                self._local.put(key, entry)
                return entry, False
            if found.leased or time.monotonic() > deadline:
                return None, found.leased
            await asyncio.sleep(_POLL_EVERY_S)

    async def _call(self, command: Callable[[RedisClient], Awaitable[Any]]) -> Any:
        if self._redis is None:
            raise Unreachable("no server for the cache is set")
        return await command(self._redis)

    async def _apply_tokens(self, tokens: Mapping[str, str]) -> None:
        if not self._knowledge.is_current(tokens):
            await self._knowledge.catch_up(tokens)
        self._local.set_epoch(tokens.get(EVERYTHING, ""))

    async def _store(self, key: str, lease: str, entry: CacheEntry | None) -> None:
        packed = b"" if entry is None else entry.packed()
        ttl_ms = 0 if entry is None else max(1, int(entry.ttl_s * 1e3))
        try:
            await self._call(
                lambda redis: redis.call(lambda client: self._keys.store(client, key, lease, packed, ttl_ms))
            )
        except Unreachable:
            return

    def _key(self, query: Query) -> str | None:
        """MODELS:TEXT, the key of the query's entry; None when its answer must not be cached."""
        models = self._models()
        if models is None or query.history or _PERSONAL.search(query.text):
            return None
        return f"{self._models_key(models, query.locale)}:{text_key(query.text)}"

    def _models_key(self, models: Mapping[str, str], locale: str) -> str:
        known = self._locales.get(locale)
        if known is None or known[0] is not models:
            if len(self._locales) > _LOCALES:
                self._locales.clear()
            known = self._locales[locale] = (models, models_key(self._fleet, models, locale))
        return known[1]

    def _is_valid(self, entry: CacheEntry) -> bool:
        """Whether the knowledge that the entry quotes is still the current one."""
        return all(
            domain in self._fleet.domains and self._knowledge.version(domain) == version
            for domain, version in entry.versions.items()
        )

    def _entry(
        self, query: Query, answered: Answered, versions: Mapping[str, str], models: Mapping[str, str]
    ) -> CacheEntry | None:
        """The entry of an answer; None when it must not be cached.

        `versions`: domain -> version of its knowledge from before the answer was computed.
        """
        body = answered.body
        domains = {part.domain for part in body.parts}
        if not is_shareable(body, self._fleet) or exact_slots(query.text, self._fleet.gazetteers):
            return None
        used = [body.route.model, *(part.model for part in body.parts)]
        if any(models.get(model.name) != model.version for model in used):
            return None  # a bundle was replaced meanwhile
        if any(self._knowledge.version(domain) != versions[domain] for domain in domains):
            return None
        ttl_s = random.uniform(1 - _JITTER, 1 + _JITTER) * self._ttl_s  # noqa: S311
        if body.status != "answered":
            ttl_s = min(ttl_s, random.uniform(*_NEGATIVE_TTL_S))  # noqa: S311
        turn = answered.turn()
        return CacheEntry(
            body=body.model_copy(update={"id": "", "session_id": None, "cache": "hit"}),
            versions={domain: versions[domain] for domain in sorted(domains)},
            turn=None if turn is None else asdict(turn),
            until=time.time() + ttl_s,
        )

    def _hit(self, query: Query, entry: CacheEntry, started: float, cpu_started: float) -> Answered:
        """The entry as an answer to `query`.

        `started`, `cpu_started`: when the look-up began, by `perf_counter` and by the thread's CPU clock.
        """
        self._unreported_hits.update(entry.domains)
        cpu_ms = (time.thread_time() - cpu_started) * 1e3
        cost = CostBody(
            latency_ms=round((time.perf_counter() - started) * 1e3, 3),
            cpu_ms=round(cpu_ms, 3),
            energy_mj=round(cpu_ms * self._core_watts, 3),
            energy_source="estimated",
        )
        fresh = {"id": uuid.uuid4().hex, "session_id": query.session_id, "cost": cost}
        return Answered(
            entry.body.model_copy(update=fresh),
            lambda: None if entry.turn is None else Turn.from_json(entry.turn),
        )
