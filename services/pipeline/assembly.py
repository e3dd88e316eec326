"""What a serving process has loaded, and the one place where it is put together.

Parts come from a `FleetFactory`: the shipped ones, or a test's. Knows no HTTP and no Ray.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from slmfleet.models.errors import SlmfleetError
from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.dispatch import (
    ColocatedDispatcher,
    Dispatcher,
    Indexed,
    RemoteSpecialist,
    SpecialistModel,
    SplitDispatcher,
)
from slmfleet.services.pipeline.guarded_model import GuardedRouter, RouterModel
from slmfleet.services.pipeline.pipeline import Cache, Pipeline, Replier
from slmfleet.services.pipeline.sessions import InMemorySessions, Sessions
from slmfleet.services.schemas import DomainBody, FleetBody, HealthBody, RouterBody
from slmfleet.services.settings import Settings
from slmfleet.services.telemetry import metrics
from slmfleet.services.telemetry.energy import EnergyMeter


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is told of a model: its version, size (parameters; bytes on disk) and held-out metrics."""

    version: str
    parameters: int
    bytes: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    threshold: float = 0.0

    def measured(self, domain: str) -> None:
        """Tell the metrics of `domain`'s model (or `router`'s), now that it is loaded here."""
        metrics.MODEL_PARAMETERS.set(self.parameters, domain)
        metrics.MODEL_BYTES.set(self.bytes, domain)


class FleetFactory(Protocol):
    """Where the parts of a fleet come from. Travels to every replica, so it must pickle.

    Each method may raise FleetFault, BundleFault, ModelBroken or SettingsFault.
    """

    def fleet(self, settings: Settings) -> Fleet:
        """The fleet's configuration."""
        ...

    def router(self, settings: Settings, fleet: Fleet) -> tuple[RouterModel, ModelFacts]:
        """The router, and what is told of it."""
        ...

    def specialist(self, settings: Settings, fleet: Fleet, domain: str) -> tuple[SpecialistModel, ModelFacts]:
        """The domain's specialist, and what is told of it."""
        ...

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        """What decides and words the answers."""
        ...

    def customer_of(self, settings: Settings) -> Callable[[str], str]:
        """Token -> customer id. What is returned raises Unauthenticated."""
        ...

    def check_key(self, settings: Settings) -> Callable[[str], None] | None:
        """What passes an API key (raising Unauthenticated otherwise), or None when none is configured."""
        ...


class StateProvider(Protocol):
    """What replicas have in common; see services/state/shared_state.py."""

    def sessions(self, fleet: Fleet) -> Sessions:
        """The sessions of the fleet's customers."""
        ...

    def cache(self, fleet: Fleet, index: Indexed, models: Callable[[], Mapping[str, str] | None]) -> Cache:
        """The cache of a fleet that is loaded. `models`: name -> version, None while that is not known."""
        ...

    def told(self) -> dict[str, str]:
        """What an operator should know: a subject to `ok` or what is wrong with it."""
        ...


class RemoteModel(RemoteSpecialist, Protocol):
    """A specialist in another process that tells of its model."""

    async def facts(self) -> ModelFacts:
        """What is told of the model. Raises ModelBroken, DeadlineExceeded."""
        ...


@dataclass(frozen=True)
class LoadedFleet:
    """Everything a gateway answers from. Immutable: a reload makes another one.

    `notice` is what an operator should know of a reload that failed; the fleet serves on.
    """

    pipeline: Pipeline
    dispatcher: Dispatcher
    router: GuardedRouter
    executor: ThreadPoolExecutor
    describe: Callable[[], Awaitable[FleetBody]]
    notice: str | None = None
    shared: StateProvider | None = None

    def with_notice(self, notice: str | None) -> LoadedFleet:
        """The same fleet with a notice."""
        return self if notice == self.notice else replace(self, notice=notice)

    async def health(self) -> HealthBody:
        """Whether every model passes its probe, wherever it is; `checks` names each."""
        loop = asyncio.get_running_loop()
        router, faults = await asyncio.gather(
            loop.run_in_executor(self.executor, self.router.guard.check), self.dispatcher.faults()
        )
        checks = {"router": router, **faults}
        broken = any(fault is not None for fault in checks.values())
        told = {name: fault or "ok" for name, fault in checks.items()}
        if self.shared is not None:
            told |= self.shared.told()  # what is missed there makes nothing unavailable
        if self.notice:
            told["reload"] = self.notice
        return HealthBody(status="unavailable" if broken else "ok", checks=told)

    async def probe(self) -> str | None:
        """What is wrong with the models in this process by their probes alone, or None."""
        loop = asyncio.get_running_loop()
        faults = [await loop.run_in_executor(self.executor, self.router.guard.probe)]
        if isinstance(self.dispatcher, ColocatedDispatcher):
            faults += (await self.dispatcher.probe()).values()
        return "; ".join(fault for fault in faults if fault) or None


def load_pipeline(
    settings: Settings,
    parts: FleetFactory,
    executor: ThreadPoolExecutor,
    remotes: Mapping[str, RemoteModel] | None = None,
    shared: StateProvider | None = None,
) -> LoadedFleet:
    """Load what a gateway needs: specialists too, unless they are `remotes`. Blocking: reads models.

    Without `shared` there is no cache, and the sessions are this pipeline's own.
    Raises FleetFault, BundleFault, ModelBroken, SettingsFault.
    """
    fleet = parts.fleet(settings)
    model, router_facts = parts.router(settings, fleet)
    router_facts.measured("router")
    router = GuardedRouter(model)
    dispatcher: Dispatcher
    versions: Callable[[], Mapping[str, str] | None]
    if remotes is None:
        local = {name: parts.specialist(settings, fleet, name) for name in fleet.domains}
        for name, (_, told) in local.items():
            told.measured(name)
        dispatcher = ColocatedDispatcher(
            {name: specialist for name, (specialist, _) in local.items()}, executor
        )

        async def facts() -> dict[str, ModelFacts]:
            return {name: told for name, (_, told) in local.items()}

        loaded = {"router": router_facts.version} | {name: told.version for name, (_, told) in local.items()}
        versions = lambda: loaded  # noqa: E731
    else:
        dispatcher = SplitDispatcher(
            remotes,
            max_waiting=settings.max_queued_requests,
            lanes=max(settings.specialist_replicas, settings.specialist_max_replicas),
            knowledge={name: domain.knowledge_digest for name, domain in fleet.domains.items()},
        )

        async def facts() -> dict[str, ModelFacts]:
            told = await asyncio.gather(*(remote.facts() for remote in remotes.values()))
            return dict(zip(remotes, told, strict=True))

        versions = RemoteVersions(router_facts.version, facts)

    async def describe() -> FleetBody:
        return fleet_body(settings, fleet, router_facts, await facts())

    replier = parts.replier(settings, fleet)
    # Last: from here on nothing can fail, and what is shared follows this fleet and not the one before it.
    sessions: Sessions
    cache = None
    if shared is None:
        sessions = InMemorySessions(settings.session_ttl_s, settings.sessions_max)
    else:
        sessions, cache = shared.sessions(fleet), shared.cache(fleet, dispatcher, versions)
    pipeline = Pipeline(
        router,
        dispatcher,
        replier,
        executor,
        EnergyMeter(settings.core_watts),
        sessions,
        fleet.gazetteers,
        cache,
        settings.cache_check_rate,
    )
    return LoadedFleet(pipeline, dispatcher, router, executor, describe, shared=shared)


class RemoteVersions:
    """Versions of models in other processes, asked for again every few seconds while they are needed."""

    def __init__(
        self, router: str, facts: Callable[[], Awaitable[Mapping[str, ModelFacts]]], every_s: float = 2.0
    ) -> None:
        self._router = router
        self._facts = facts
        self._every_s = every_s
        self._known: dict[str, str] | None = None
        self._asked_at = -every_s
        self._asking: asyncio.Task[None] | None = None

    def __call__(self) -> Mapping[str, str] | None:
        """Name -> version; None until all have told it."""
        if self._asking is None and time.monotonic() - self._asked_at >= self._every_s:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return self._known

    async def _ask(self) -> None:
        try:
            told = {name: facts.version for name, facts in (await self._facts()).items()}
        except SlmfleetError:
            self._known = None
        else:
            known = {"router": self._router, **told}
            if known != self._known:
                self._known = known
        finally:
            self._asked_at, self._asking = time.monotonic(), None


def fleet_body(
    settings: Settings, fleet: Fleet, router: ModelFacts, domains: Mapping[str, ModelFacts]
) -> FleetBody:
    """What is loaded, for GET /v1/fleet."""
    return FleetBody(
        retailer=fleet.config.retailer,
        placement=settings.placement,
        router=RouterBody(
            version=router.version,
            parameters=router.parameters,
            bytes=router.bytes,
            threshold=router.threshold,
            max_wrong_domain_rate=fleet.config.router.max_wrong_domain_rate,
            metrics=dict(router.metrics),
        ),
        domains=[
            DomainBody(
                domain=name,
                title=fleet.domains[name].config.title,
                intents=sorted(fleet.domains[name].config.intents),
                passages=len(fleet.domains[name].passages),
                version=facts.version,
                parameters=facts.parameters,
                bytes=facts.bytes,
                metrics=dict(facts.metrics),
            )
            for name, facts in domains.items()
        ],
    )
