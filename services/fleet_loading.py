"""What a serving process has loaded, and the one place where it is put together.

Parts come from a `Parts`: the shipped ones, or a test's. Knows no HTTP and no Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from slmfleet.models.fleet import Fleet
from slmfleet.services import metrics
from slmfleet.services.dispatch import (
    ColocatedDispatcher,
    Dispatcher,
    RemoteSpecialist,
    Specialist,
    SplitDispatcher,
)
from slmfleet.services.energy import EnergyMeter
from slmfleet.services.guard import GuardedRouter, RouterModel
from slmfleet.services.pipeline import Pipeline, Replier
from slmfleet.services.schemas import DomainBody, FleetBody, HealthBody, RouterBody
from slmfleet.services.sessions import Sessions, SessionsHere
from slmfleet.services.settings import Settings


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


class Parts(Protocol):
    """Where the parts of a fleet come from. Travels to every replica, so it must pickle.

    Each method may raise FleetFault, BundleFault, ModelBroken or SettingsFault.
    """

    def fleet(self, settings: Settings) -> Fleet:
        """The fleet's configuration."""
        ...

    def router(self, settings: Settings, fleet: Fleet) -> tuple[RouterModel, ModelFacts]:
        """The router, and what is told of it."""
        ...

    def specialist(self, settings: Settings, fleet: Fleet, domain: str) -> tuple[Specialist, ModelFacts]:
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

    def noticing(self, notice: str | None) -> LoadedFleet:
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
    parts: Parts,
    executor: ThreadPoolExecutor,
    remotes: Mapping[str, RemoteModel] | None = None,
    sessions: Sessions | None = None,
) -> LoadedFleet:
    """Load what a gateway needs: specialists too, unless they are `remotes`. Blocking: reads models.

    `sessions` are those of the fleet before it, on a reload; new ones otherwise.
    Raises FleetFault, BundleFault, ModelBroken, SettingsFault.
    """
    fleet = parts.fleet(settings)
    model, router_facts = parts.router(settings, fleet)
    router_facts.measured("router")
    router = GuardedRouter(model)
    dispatcher: Dispatcher
    if remotes is None:
        local = {name: parts.specialist(settings, fleet, name) for name in fleet.domains}
        for name, (_, told) in local.items():
            told.measured(name)
        dispatcher = ColocatedDispatcher(
            {name: specialist for name, (specialist, _) in local.items()}, executor
        )

        async def facts() -> dict[str, ModelFacts]:
            return {name: told for name, (_, told) in local.items()}
    else:
        lanes = max(settings.specialist_replicas, settings.specialist_max_replicas)
        dispatcher = SplitDispatcher(remotes, max_waiting=settings.max_queued_requests, lanes=lanes)

        async def facts() -> dict[str, ModelFacts]:
            told = await asyncio.gather(*(remote.facts() for remote in remotes.values()))
            return dict(zip(remotes, told, strict=True))

    async def describe() -> FleetBody:
        return fleet_body(settings, fleet, router_facts, await facts())

    if sessions is None:
        sessions = SessionsHere(settings.session_ttl_s, settings.sessions_max)
    replier = parts.replier(settings, fleet)
    pipeline = Pipeline(
        router, dispatcher, replier, executor, EnergyMeter(settings.core_watts), sessions, fleet.gazetteers
    )
    return LoadedFleet(pipeline, dispatcher, router, executor, describe)


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
