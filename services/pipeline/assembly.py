"""The loaded fleet of a serving process, and the one place where it is put together.

The models come from a `FleetFactory`: the default one, or a test's. Knows no HTTP and no Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from slmfleet.models.fleet.config import Fleet
from slmfleet.services.pipeline.guarded_model import GuardedRouter, RouterModel
from slmfleet.services.pipeline.guarded_specialist import KnowledgeIndex, SpecialistModel
from slmfleet.services.pipeline.pipeline import Cache, Pipeline, Replier
from slmfleet.services.pipeline.placement import Colocated, ModelFacts, Placement, RemoteSpecialist, Split
from slmfleet.services.pipeline.sessions import InMemorySessions, Sessions
from slmfleet.services.schemas import DomainBody, FleetBody, HealthBody, RouterBody
from slmfleet.services.settings import Settings
from slmfleet.services.telemetry.energy import EnergyMeter


class FleetFactory(Protocol):
    """Makes the models and services of a fleet. It is sent to every replica, so it must pickle.

    Each method may raise FleetFault, BundleFault, ModelBroken or SettingsFault.
    """

    def fleet(self, settings: Settings) -> Fleet:
        """The fleet's configuration."""
        ...

    def router(self, settings: Settings, fleet: Fleet) -> tuple[RouterModel, ModelFacts]:
        """The router and its facts."""
        ...

    def specialist(self, settings: Settings, fleet: Fleet, domain: str) -> tuple[SpecialistModel, ModelFacts]:
        """The domain's specialist and its facts."""
        ...

    def replier(self, settings: Settings, fleet: Fleet) -> Replier:
        """The replier over the fleet's policies and records."""
        ...

    def customer_of(self, settings: Settings) -> Callable[[str], str]:
        """A function from a customer's token to its id, which raises Unauthenticated."""
        ...

    def check_key(self, settings: Settings) -> Callable[[str], None] | None:
        """A function that raises Unauthenticated for a wrong API key; None where no keys are set up."""
        ...


class StateProvider(Protocol):
    """State that replicas share; see services/state/shared_state.py."""

    def sessions(self, fleet: Fleet) -> Sessions:
        """The sessions of the fleet's customers."""
        ...

    def cache(
        self, fleet: Fleet, index: KnowledgeIndex, models: Callable[[], Mapping[str, str] | None]
    ) -> Cache:
        """The cache of a loaded fleet. `models` returns name -> version, None while one is unknown."""
        ...

    def notices(self) -> dict[str, str]:
        """For /readyz: a subject -> `ok`, or what is wrong with it, which makes nothing unavailable."""
        ...


@dataclass(frozen=True)
class LoadedFleet:
    """Everything a gateway answers from. Immutable: a reload makes another one.

    `notice` is shown on /readyz: why a reload failed, while the fleet serves on.
    """

    pipeline: Pipeline
    placement: Placement
    router: GuardedRouter
    executor: ThreadPoolExecutor
    describe: Callable[[], Awaitable[FleetBody]]
    shared: StateProvider | None = None
    notice: str | None = None

    def with_notice(self, notice: str | None) -> LoadedFleet:
        """The same fleet with a notice."""
        return self if notice == self.notice else replace(self, notice=notice)

    async def health(self) -> HealthBody:
        """Whether every model passes its probe, wherever it is; `checks` also has what breaks nothing."""
        loop = asyncio.get_running_loop()
        router, specialists = await asyncio.gather(
            loop.run_in_executor(self.executor, self.router.guard.check), self.placement.health()
        )
        models = {"router": router, **specialists}
        checks = {name: str(health) for name, health in models.items()}
        if self.shared is not None:
            checks |= self.shared.notices()
        if self.notice:
            checks["reload"] = self.notice
        broken = any(health.fault is not None for health in models.values())
        return HealthBody(status="unavailable" if broken else "ok", checks=checks)

    async def probe(self) -> str | None:
        """Why models of this process fail their probes, or None."""
        loop = asyncio.get_running_loop()
        router = await loop.run_in_executor(self.executor, self.router.guard.probe)
        faults = [router, *(await self.placement.probe()).values()]
        return "; ".join(fault for fault in faults if fault) or None


def load_pipeline(
    settings: Settings,
    factory: FleetFactory,
    executor: ThreadPoolExecutor,
    remotes: Mapping[str, RemoteSpecialist] | None = None,
    shared: StateProvider | None = None,
) -> LoadedFleet:
    """Load the router, the replier, and the specialists unless they are `remotes`. Blocking: reads models.

    Without `shared` there is no cache, and the sessions are this pipeline's own.
    Raises FleetFault, BundleFault, ModelBroken, SettingsFault.
    """
    fleet = factory.fleet(settings)
    model, router_facts = factory.router(settings, fleet)
    router_facts.record("router")
    router = GuardedRouter(model)
    placement = _place(settings, factory, fleet, executor, remotes, router_facts.version)
    replier = factory.replier(settings, fleet)
    # Last, since nothing can fail from here on: the shared state then follows this fleet, not the one before.
    pipeline = Pipeline(
        router=router,
        placement=placement,
        replier=replier,
        executor=executor,
        energy=EnergyMeter(settings.core_watts),
        sessions=shared.sessions(fleet) if shared else _own_sessions(settings),
        gazetteers=fleet.gazetteers,
        cache=shared.cache(fleet, placement, placement.versions) if shared else None,
        check_rate=settings.cache_check_rate,
    )

    async def describe() -> FleetBody:
        return fleet_body(settings, fleet, router_facts, await placement.facts())

    return LoadedFleet(pipeline, placement, router, executor, describe, shared)


def _place(
    settings: Settings,
    factory: FleetFactory,
    fleet: Fleet,
    executor: ThreadPoolExecutor,
    remotes: Mapping[str, RemoteSpecialist] | None,
    router_version: str,
) -> Placement:
    if remotes is not None:
        return Split(
            remotes,
            max_waiting=settings.max_queued_requests,
            max_calls=max(settings.specialist_replicas, settings.specialist_max_replicas),
            knowledge={name: domain.knowledge_digest for name, domain in fleet.domains.items()},
            router_version=router_version,
        )
    specialists: dict[str, SpecialistModel] = {}
    facts: dict[str, ModelFacts] = {}
    for name in fleet.domains:
        specialists[name], facts[name] = factory.specialist(settings, fleet, name)
        facts[name].record(name)
    return Colocated(specialists, executor, facts, router_version)


def _own_sessions(settings: Settings) -> Sessions:
    return InMemorySessions(settings.session_ttl_s, settings.sessions_max)


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
