"""Where the specialists run: all in this process (`Colocated`), or each in others (`Split`)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from slmfleet.models.contracts import Reading
from slmfleet.models.errors import ModelBroken, SlmfleetError
from slmfleet.models.fleet.config import Domain
from slmfleet.services.pipeline.guarded_model import ModelHealth
from slmfleet.services.pipeline.guarded_specialist import (
    GuardedSpecialist,
    SpecialistModel,
    SpecialistRequest,
)
from slmfleet.services.pipeline.microbatch import MicroBatcher
from slmfleet.services.telemetry import logs, metrics, tracing

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model's version, size (parameters; bytes on disk), held-out metrics and threshold."""

    version: str
    parameters: int
    bytes: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.0

    def record(self, domain: str) -> None:
        """Set the size metrics of the model of `domain` (or `router`), which is loaded in this process."""
        metrics.MODEL_PARAMETERS.set(self.parameters, domain)
        metrics.MODEL_BYTES.set(self.bytes, domain)


class Placement(Protocol):
    """The specialists of a fleet, wherever they run."""

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist."""
        ...

    async def read(self, domain: str, text: str, explain: bool = False) -> Reading:
        """The specialist's reading of `text`. Raises ModelBroken, Overloaded, DeadlineExceeded."""
        ...

    def reindex(self, domain: Domain) -> None:
        """Search the new knowledge of `domain` from now on. Blocking. Raises BundleFault."""
        ...

    async def facts(self) -> dict[str, ModelFacts]:
        """Domain -> facts of its model. Raises ModelBroken, DeadlineExceeded."""
        ...

    def versions(self) -> Mapping[str, str] | None:
        """`router` and each domain -> version of its model; None while one is unknown.

        The same object as long as no version changes.
        """
        ...

    async def health(self) -> dict[str, ModelHealth]:
        """Domain -> probe and recent failed call of its specialist."""
        ...

    async def probe(self) -> dict[str, str | None]:
        """Domain -> why its specialist fails its probe, or None: of those in this process."""
        ...


class RemoteSpecialist(Protocol):
    """One domain's specialist elsewhere. Each method raises ModelBroken, Overloaded, DeadlineExceeded."""

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question, in order: a text that breaks the model does not fail the others."""
        ...

    async def check(self) -> ModelHealth:
        """The specialist's probe and recent failed call."""
        ...

    async def facts(self) -> ModelFacts:
        """Facts of the specialist's model."""
        ...


class Colocated:
    """Specialists in this process. They compute in `executor`, off the event loop."""

    def __init__(
        self,
        specialists: Mapping[str, SpecialistModel],
        executor: Executor,
        facts: Mapping[str, ModelFacts] | None = None,
        router_version: str = "",
    ) -> None:
        self._specialists = {name: GuardedSpecialist(name, model) for name, model in specialists.items()}
        self._executor = executor
        self._facts = dict(facts or {})
        versions = {domain: known.version for domain, known in self._facts.items()}
        self._versions = {"router": router_version, **versions}

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist."""
        return frozenset(self._specialists)

    async def read(self, domain: str, text: str, explain: bool = False) -> Reading:
        """The reading of `text` by the domain's specialist. Raises ModelBroken."""
        specialist = self._specialists.get(domain)
        if specialist is None:
            raise ModelBroken(f"there is no specialist for {domain}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, copy_context().run, specialist.read, text, explain)

    def reindex(self, domain: Domain) -> None:
        """Search the new knowledge of `domain` from now on. Blocking. Raises BundleFault."""
        self._specialists[domain.name].reindex(domain)

    async def facts(self) -> dict[str, ModelFacts]:
        """Domain -> facts of its model."""
        return self._facts

    def versions(self) -> Mapping[str, str]:
        """`router` and each domain -> version of its model."""
        return self._versions

    async def health(self) -> dict[str, ModelHealth]:
        """Domain -> probe and recent failed call of its specialist."""
        return await self._of_each(lambda specialist: specialist.guard.check())

    async def probe(self) -> dict[str, str | None]:
        """Domain -> why its specialist fails its probe, or None: what justifies a restart."""
        return await self._of_each(lambda specialist: specialist.guard.probe())

    async def _of_each(self, function: Callable[[GuardedSpecialist], Result]) -> dict[str, Result]:
        loop = asyncio.get_running_loop()
        calls = (loop.run_in_executor(self._executor, function, one) for one in self._specialists.values())
        return dict(zip(self._specialists, await asyncio.gather(*calls), strict=True))


class Split:
    """Specialists in other processes, with one micro-batcher a domain.

    `max_batch`, `max_waiting` and `max_calls` bound each micro-batcher. `probe_timeout_s` bounds how long a
    specialist that does not answer can hold up `health`. `knowledge`: domain -> digest of what is quoted in
    this process; each request carries it, so that the specialist searches the same.
    """

    def __init__(
        self,
        remotes: Mapping[str, RemoteSpecialist],
        *,
        max_batch: int = 64,
        max_waiting: int = 1_024,
        max_calls: int = 1,
        probe_timeout_s: float = 2.0,
        knowledge: Mapping[str, str] | None = None,
        router_version: str = "",
    ) -> None:
        self._remotes = dict(remotes)
        self._knowledge = dict(knowledge or {})
        self._batchers = {
            domain: MicroBatcher(remote.read_all, max_batch, max_waiting, max_calls)
            for domain, remote in self._remotes.items()
        }
        self._probe_timeout_s = probe_timeout_s
        self._versions = RemoteVersions(router_version, self.facts)

    @property
    def domains(self) -> frozenset[str]:
        """Domains that have a specialist."""
        return frozenset(self._remotes)

    async def read(self, domain: str, text: str, explain: bool = False) -> Reading:
        """The specialist's reading of `text`. Raises ModelBroken, Overloaded, DeadlineExceeded."""
        batcher = self._batchers.get(domain)
        if batcher is None:
            raise ModelBroken(f"there is no specialist for {domain}")
        request = SpecialistRequest(
            text, explain, self._knowledge.get(domain, ""), tracing.traceparent(), logs.request_id.get()
        )
        outcome = await batcher.read(request)
        if isinstance(outcome, ModelBroken):
            raise outcome
        return outcome

    def reindex(self, domain: Domain) -> None:
        """Have the specialist search the new knowledge of `domain` from its next request on."""
        self._knowledge[domain.name] = domain.knowledge_digest

    async def facts(self) -> dict[str, ModelFacts]:
        """Domain -> facts of its model. Raises ModelBroken, DeadlineExceeded."""
        facts = await asyncio.gather(*(remote.facts() for remote in self._remotes.values()))
        return dict(zip(self._remotes, facts, strict=True))

    def versions(self) -> Mapping[str, str] | None:
        """`router` and each domain -> version of its model; None while one is unknown."""
        return self._versions.latest()

    async def health(self) -> dict[str, ModelHealth]:
        """Domain -> probe and recent failed call of its specialist, of all at once."""
        found = await asyncio.gather(*(self._check(domain) for domain in self._remotes))
        return dict(zip(self._remotes, found, strict=True))

    async def probe(self) -> dict[str, str | None]:
        """No specialist is in this process: those elsewhere are restarted by themselves."""
        return {}

    async def _check(self, domain: str) -> ModelHealth:
        timeout_s = self._probe_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._remotes[domain].check()
        except TimeoutError:
            return ModelHealth(f"the {domain} specialist did not answer its probe within {timeout_s:g} s")
        except SlmfleetError as error:
            return ModelHealth(str(error))
        except Exception:
            log.exception("the %s specialist cannot be asked", domain)
            return ModelHealth(f"the {domain} specialist cannot be reached")


class RemoteVersions:
    """Versions of models in other processes, refreshed every `every_s` seconds while they are needed."""

    def __init__(
        self, router: str, facts: Callable[[], Awaitable[Mapping[str, ModelFacts]]], every_s: float = 2.0
    ) -> None:
        self._router = router
        self._facts = facts
        self._every_s = every_s
        self._known: dict[str, str] | None = None
        self._refreshed_at = -every_s
        self._refreshing: asyncio.Task[None] | None = None

    def latest(self) -> Mapping[str, str] | None:
        """Name -> version; None until all are known. Starts a refresh when one is due."""
        if self._refreshing is None and time.monotonic() - self._refreshed_at >= self._every_s:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        return self._known

    async def _refresh(self) -> None:
        try:
            versions = {name: facts.version for name, facts in (await self._facts()).items()}
        except SlmfleetError:
            self._known = None
        else:
            known = {"router": self._router, **versions}
            if known != self._known:
                self._known = known
        finally:
            self._refreshed_at, self._refreshing = time.monotonic(), None
