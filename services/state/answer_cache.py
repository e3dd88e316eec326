"""Answers that anyone may get, kept for whoever asks the same again: before any model runs.

An answer is kept only when nothing in it is anybody's: no slots, no records, no customer, no conversation,
and every intent marked `cacheable: shared`. It is found again by the exact text (case-folded), never by a
text that is merely near. It holds for the models that gave it, which are in its key, and for the knowledge
that it quotes, which is checked each time.

The server keeps answers for all replicas, and each replica those that it met. From its own it answers while
whoever changes knowledge would wait for it (services/state/replica_heartbeat.py), or while the server is
gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import time
import unicodedata
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
from cachetools import TLRUCache

from slmfleet.models.contracts import Answer, Cost
from slmfleet.models.errors import Unreachable
from slmfleet.models.fleet.config import Fleet
from slmfleet.models.question import Query
from slmfleet.models.text.slots import exact_slots
from slmfleet.services.pipeline.pipeline import Answered
from slmfleet.services.pipeline.sessions import Turn
from slmfleet.services.state.knowledge_reload import KnowledgeReloader
from slmfleet.services.state.redis_client import RedisClient
from slmfleet.services.state.redis_keys import EVERYTHING, RedisKeys, token
from slmfleet.services.telemetry import metrics

#: Part of each key: another one when an entry's form changes.
SCHEMA: Final = 1

#: Seconds that "I can't help with that" is kept: long enough for a burst, too short to hide a repair.
_NEGATIVE_TTL_S: Final = (30.0, 60.0)
_JITTER: Final = 0.1
#: How long one who computes holds off the others, and how often those look.
_LEASE_MS: Final = 2_000
_LOOK_EVERY_S: Final = 0.005
#: Locales whose keys are remembered.
_LOCALES: Final = 64
#: An address, or the digits of an order: such a text is somebody's own, and need not even be looked up.
_PERSONAL: Final = re.compile(r"@|\d{5}")


@dataclass
class CacheCounts:
    """What came of each query since this process started. `unreachable`: looked up without the server.

    `by_domain`: hits that the server has not been told of yet.
    """

    hit: int = 0
    miss: int = 0
    bypass: int = 0
    unreachable: int = 0
    by_domain: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A kept answer, of nobody's asking. `versions`: domain -> version of the knowledge it stands on;
    `until`: when it ends, in seconds since 1970.
    """

    body: Answer
    versions: dict[str, str]
    turn: dict[str, Any] | None
    until: float

    @property
    def ttl_s(self) -> float:
        """Seconds until it ends."""
        return max(0.0, self.until - time.time())

    @property
    def domains(self) -> list[str]:
        """Domains whose knowledge is quoted; `-` stands for an answer that quotes none."""
        return list(self.versions) or ["-"]

    def packed(self) -> bytes:
        """As the server keeps it."""
        body = self.body.model_dump(mode="json")
        said = {"body": body, "versions": self.versions, "turn": self.turn, "until": self.until}
        return orjson.dumps(said)

    @classmethod
    def unpacked(cls, packed: bytes) -> CacheEntry:
        """From what the server kept."""
        said = orjson.loads(packed)
        return cls(Answer.model_validate(said["body"]), said["versions"], said["turn"], said["until"])


def text_key(text: str) -> str:
    """32 hex digits of a text: equal for texts that differ in case, form of characters or white space."""
    plain = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def models_key(fleet: Fleet, models: Mapping[str, str], locale: str) -> str:
    """16 hex digits of everything but text and knowledge that an answer depends on.

    `models`: name -> version of the router's bundle and of each specialist's.
    """
    said = [SCHEMA, fleet.config.model_dump(mode="json"), sorted(models.items()), locale]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]


class AnswerCache:
    """The cache of one loaded fleet: `Cache` for its pipeline.

    `here` are the answers that this process keeps, which outlive a reload as their keys tell them apart.
    `models`: what `models_key` needs; None while it is not known, and nothing is kept then. `level`: whether
    the knowledge here is certainly what was last published.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        knowledge: KnowledgeReloader,
        models: Callable[[], Mapping[str, str] | None],
        here: InMemoryAnswers,
        link: RedisClient | None,
        counts: CacheCounts,
        ttl_s: float,
        core_watts: float,
        level: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fleet = fleet
        self._knowledge = knowledge
        self._models = models
        self._here = here
        self._link = link
        self._counts = counts
        self._ttl_s = ttl_s
        self._core_watts = core_watts
        self._level = level
        self._keys = RedisKeys(fleet.config.retailer)
        self._locales: dict[str, tuple[Mapping[str, str], str]] = {}
        self._computing: dict[str, asyncio.Future[CacheEntry | None]] = {}

    def get_local(self, query: Query) -> Answered | None:
        """The kept answer that nobody has to be asked about, or None."""
        started, cpu_started = time.perf_counter(), time.thread_time()
        if not self._level():
            return None
        key = self._key(query)
        entry = None if key is None else self._here.get(key)
        if entry is None or not self._holds(entry):
            return None
        return self._hit(query, entry, started, cpu_started)

    async def get_or_compute(self, query: Query, compute: Callable[[], Awaitable[Answered]]) -> Answered:
        """The kept answer to `query`, not at hand, or what `compute` makes, kept if it may be.

        Raises what `compute` raises.
        """
        started, cpu_started = time.perf_counter(), time.thread_time()
        models = self._models()
        key = self._key(query)
        if models is None or key is None:
            await self.catch_up()
            return await compute()
        cpu_s = time.thread_time() - cpu_started
        other = self._computing.get(key)
        if other is not None:
            # Shielded: one who waits and goes away must not take the answer from the rest.
            entry = await asyncio.shield(other)
            if entry is not None and self._holds(entry):
                return self._hit(query, entry, started, time.thread_time() - cpu_s)
            return self._judged(query, await self._computed(compute), models)[0]
        mine = self._computing[key] = asyncio.get_running_loop().create_future()
        lease = token()
        entry, stores = None, False
        try:
            entry, stores = await self._look_up(key, lease)
            if entry is not None:
                return self._hit(query, entry, started, time.thread_time() - cpu_s)
            answered, entry = self._judged(query, await self._computed(compute), models)
            if entry is not None:
                self._here.keep(key, entry)
            return answered
        finally:
            del self._computing[key]
            mine.set_result(entry)
            if stores:
                # Whoever asked does not wait for it, and may be gone; it is done all the same.
                task = asyncio.ensure_future(self._store(key, lease, entry))
                self._here.background.add(task)
                task.add_done_callback(self._here.background.discard)

    async def catch_up(self) -> None:
        """Return once this process answers from what was last published as known.

        While the server counts this replica as alive, whoever changes knowledge waits for it, and nothing
        has to be asked.
        """
        self._counts.bypass += 1
        if self._level():
            return
        try:
            tokens = await self._call(lambda link: link.call(self._keys.tokens))
        except Unreachable:
            await self._knowledge.look()
            return
        if tokens is not None:
            await self._follow(tokens)

    async def _computed(self, compute: Callable[[], Awaitable[Answered]]) -> tuple[Answered, dict[str, str]]:
        """The answer, and the version of each domain's knowledge from before it was computed."""
        versions = {domain: self._knowledge.version(domain) for domain in self._fleet.domains}
        return await compute(), versions

    def _judged(
        self, query: Query, computed: tuple[Answered, dict[str, str]], models: Mapping[str, str]
    ) -> tuple[Answered, CacheEntry | None]:
        """The answer with its verdict, and what is kept of it."""
        answered, versions = computed
        entry = self._entry(query, answered, versions, models)
        if entry is None:
            self._counts.bypass += 1
            return answered, None
        self._counts.miss += 1
        return Answered(answered.answer.model_copy(update={"cache": "miss"}), answered.turn), entry

    async def _look_up(self, key: str, lease: str) -> tuple[CacheEntry | None, bool]:
        """A kept answer that holds; else whether what this query computes is to be stored."""
        deadline = time.monotonic() + _LEASE_MS / 1e3
        while True:
            try:
                found = await self._call(
                    lambda link: link.call(lambda client: self._keys.look_up(client, key, lease, _LEASE_MS))
                )
            except Unreachable:
                self._counts.unreachable += 1
                if self._link is not None:
                    metrics.CACHE_REQUESTS.add(1, "error")
                await self._knowledge.look()
                entry = self._here.get(key)
                return (entry if entry is not None and self._holds(entry) else None), False
            if found.generations is not None:
                await self._follow(found.generations)
            if found.entry is not None:
                entry = CacheEntry.unpacked(found.entry)
                if not self._holds(entry):
                    return None, True  # each who finds it computes it, and writes it over
                self._here.keep(key, entry)
                return entry, False
            if found.leased or time.monotonic() > deadline:
                return None, found.leased
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _call(self, command: Callable[[RedisClient], Awaitable[Any]]) -> Any:
        if self._link is None:
            raise Unreachable("no server for the cache is set")
        return await command(self._link)

    async def _follow(self, tokens: Mapping[str, str]) -> None:
        if not self._knowledge.is_current(tokens):
            await self._knowledge.catch_up(tokens)
        self._here.follow(tokens.get(EVERYTHING, ""))

    async def _store(self, key: str, lease: str, entry: CacheEntry | None) -> None:
        packed = b"" if entry is None else entry.packed()
        ttl_ms = 0 if entry is None else max(1, int(entry.ttl_s * 1e3))
        try:
            await self._call(
                lambda link: link.call(lambda client: self._keys.store(client, key, lease, packed, ttl_ms))
            )
        except Unreachable:
            return

    def _key(self, query: Query) -> str | None:
        """What the answer is kept under; None where none may be kept."""
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

    def _holds(self, entry: CacheEntry) -> bool:
        return all(
            domain in self._fleet.domains and self._knowledge.version(domain) == version
            for domain, version in entry.versions.items()
        )

    def _entry(
        self, query: Query, answered: Answered, versions: Mapping[str, str], models: Mapping[str, str]
    ) -> CacheEntry | None:
        """What is kept of an answer; None when it must not be.

        `versions` are those from before it was computed.
        """
        body = answered.answer
        domains = {part.domain for part in body.parts}
        if not self._shareable(body) or exact_slots(query.text, self._fleet.gazetteers):
            return None
        used = [body.route.model, *(part.model for part in body.parts)]
        if any(models.get(model.name) != model.version for model in used):
            return None  # a bundle was replaced meanwhile
        if any(self._knowledge.version(domain) != versions[domain] for domain in domains):
            return None
        ttl_s = random.uniform(1 - _JITTER, 1 + _JITTER) * self._ttl_s  # noqa: S311
        if body.status != "answered":
            ttl_s = min(ttl_s, random.uniform(*_NEGATIVE_TTL_S))  # noqa: S311
        said = answered.turn()
        turn = None if said is None else asdict(said)
        kept = body.model_copy(update={"id": "", "session_id": None, "cache": "hit"})
        return CacheEntry(
            kept, {domain: versions[domain] for domain in sorted(domains)}, turn, time.time() + ttl_s
        )

    def _shareable(self, body: Answer) -> bool:
        """Whether an answer is nobody's own: what is shared, or a no that anyone would have got."""
        for part in body.parts:
            domain = self._fleet.domains.get(part.domain)
            if domain is None or domain.config.intents[part.intent].cacheable != "shared" or part.slots:
                return False
            if any(evidence.kind != "knowledge" for evidence in part.evidence):
                return False
        # What needs input offers passages to anyone, or asks for what is somebody's own and has no evidence.
        return body.status in ("answered", "handed_off", "out_of_scope", "needs_input") and all(
            part.status in ("answered", "handed_off") or (part.status == "needs_input" and part.evidence)
            for part in body.parts
        )

    def _hit(self, query: Query, entry: CacheEntry, started: float, cpu_started: float) -> Answered:
        """`started` and `cpu_started`: when looking for it began, in seconds of time and of this thread."""
        self._counts.hit += 1
        for domain in entry.domains:
            self._counts.by_domain[domain] = self._counts.by_domain.get(domain, 0) + 1
        cpu_s = time.thread_time() - cpu_started
        cost = Cost.measured(time.perf_counter() - started, cpu_s, cpu_s * self._core_watts, "estimated")
        fresh = {"id": uuid.uuid4().hex, "session_id": query.session_id, "cost": cost}
        return Answered(
            entry.body.model_copy(update=fresh),
            lambda: None if entry.turn is None else Turn.from_json(entry.turn),
        )


class InMemoryAnswers:
    """Answers in this process: at most `limit`, those used longest ago forgotten first."""

    def __init__(self, limit: int) -> None:
        def ends(key: str, entry: CacheEntry, now: float) -> float:
            return now + entry.ttl_s

        self._held: TLRUCache[str, CacheEntry] = TLRUCache(limit, ends, time.monotonic)
        self._epoch = ""
        #: What is still being stored.
        self.background: set[asyncio.Future[None]] = set()

    def get(self, key: str) -> CacheEntry | None:
        """The entry, if it is kept still."""
        entry: CacheEntry | None = self._held.get(key)
        return entry

    def keep(self, key: str, entry: CacheEntry) -> None:
        """Keep an entry for its time."""
        self._held[key] = entry

    def follow(self, epoch: str) -> None:
        """Forget everything when another epoch has begun."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._held.clear()

    def __len__(self) -> int:
        return len(self._held)
