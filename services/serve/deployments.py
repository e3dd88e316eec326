"""The Ray Serve deployments: a gateway replica, and a specialist of its own where placement is `split`.

Everything a replica needs arrives as an argument: its node's environment may be another's.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict, TypeVar

from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from slmfleet.models.contracts import Reading
from slmfleet.models.errors import DeadlineExceeded, ModelBroken, Overloaded
from slmfleet.services.gateway.app import Gateway
from slmfleet.services.pipeline.assembly import FleetFactory, LoadedFleet, load_pipeline
from slmfleet.services.pipeline.guarded_model import ModelHealth
from slmfleet.services.pipeline.guarded_specialist import GuardedSpecialist, SpecialistRequest
from slmfleet.services.pipeline.placement import ModelFacts
from slmfleet.services.serve.hedge import hedged
from slmfleet.services.serve.hot_reload import Reloadable
from slmfleet.services.settings import Settings
from slmfleet.services.state.knowledge_reload import KnowledgeFollower
from slmfleet.services.state.shared_state import SharedState
from slmfleet.services.telemetry import logs, metrics, ray_export, tracing

Result = TypeVar("Result")
#: Far above what a read takes, far below what a customer waits.
_HEDGE_AFTER_S = 0.5
log = logging.getLogger(__name__)


class UserConfig(TypedDict):
    """Ray Serve's user_config: another `revision` makes every replica load its bundles anew."""

    revision: str


class GatewayReplica:
    """The ingress: HTTP, router and reply, and the specialists too unless they are `remotes`."""

    def __init__(
        self, settings: Settings, factory: FleetFactory, remotes: Mapping[str, DeploymentHandle] | None = None
    ) -> None:
        """Loads at once. Raises FleetFault, BundleFault, ModelBroken, SettingsFault."""
        _observe(settings, "gateway")
        _set_price_metrics(settings)
        self._settings = settings
        self._factory = factory
        self._executor = ThreadPoolExecutor(_cores(), thread_name_prefix="models")
        self._remotes = None
        if remotes is not None:
            self._remotes = {
                domain: RaySpecialist(domain, handle, settings.request_timeout_s)
                for domain, handle in remotes.items()
            }
        self._shared = SharedState(settings)
        self._current: Reloadable[LoadedFleet] = Reloadable(self._load)

    def _load(self) -> LoadedFleet:
        return load_pipeline(self._settings, self._factory, self._executor, self._remotes, self._shared)

    def __serve_build_asgi_app__(self) -> Gateway:
        """The ASGI application, made inside the replica: one made outside would be pickled by value."""
        customer_of = self._factory.customer_of(self._settings)
        check_key = self._factory.check_key(self._settings)
        return Gateway(self._settings, self._loaded, customer_of, check_key)

    def _loaded(self) -> LoadedFleet:
        return self._current.value.with_notice(self._current.notice)

    async def reconfigure(self, user_config: UserConfig) -> None:
        """Ray Serve's hot reload. A revision that cannot be loaded is logged and shown on /readyz."""
        metrics.watch_thread("event_loop")  # the first time Serve calls on the loop that requests run on
        self._shared.start()
        await self._current.announce(str(user_config["revision"]))

    async def check_health(self) -> None:
        """Raises ModelBroken when a model in this process fails its probe; Ray Serve then restarts it."""
        fault = await self._current.value.probe()
        if fault is not None:
            raise ModelBroken(fault)


class SpecialistReplica:
    """One domain's specialist in a process of its own."""

    def __init__(self, settings: Settings, factory: FleetFactory, domain: str) -> None:
        """Loads at once. Raises FleetFault, BundleFault, ModelBroken, SettingsFault."""
        _observe(settings, f"specialist-{domain}")
        self._settings = settings
        self._factory = factory
        self._domain = domain
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._current: Reloadable[tuple[GuardedSpecialist, ModelFacts, KnowledgeFollower]] = Reloadable(
            self._load
        )

    def _load(self) -> tuple[GuardedSpecialist, ModelFacts, KnowledgeFollower]:
        fleet = self._factory.fleet(self._settings)
        specialist, facts = self._factory.specialist(self._settings, fleet, self._domain)
        facts.record(self._domain)
        guarded = GuardedSpecialist(self._domain, specialist)
        return guarded, facts, KnowledgeFollower(fleet, self._domain, guarded)

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question, in order."""
        specialist, _, follower = self._current.value

        def read() -> list[Reading | ModelBroken]:
            follower.follow(questions[-1].knowledge)
            return specialist.read_all(questions)

        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

    async def check(self) -> ModelHealth:
        """The model's probe and recent failed call."""
        specialist, _, _ = self._current.value
        return await asyncio.get_running_loop().run_in_executor(self._executor, specialist.guard.check)

    async def facts(self) -> ModelFacts:
        """Facts of the loaded model."""
        return self._current.value[1]

    async def reconfigure(self, user_config: UserConfig) -> None:
        """Ray Serve's hot reload. A revision that cannot be loaded is logged; the one before it stays."""
        metrics.watch_thread("event_loop")  # the first time Serve calls on the loop that requests run on
        await self._current.announce(str(user_config["revision"]))

    async def check_health(self) -> None:
        """Raises ModelBroken when the model fails its probe; Ray Serve then restarts it."""
        specialist, _, _ = self._current.value
        fault = await asyncio.get_running_loop().run_in_executor(self._executor, specialist.guard.probe)
        if fault is not None:
            raise ModelBroken(fault)


class RaySpecialist:
    """A specialist behind a deployment handle; whatever Ray raises becomes one of our own errors.

    A replica that is lost or silent is not waited for: the call is repeated at another. `timeout_s` bounds
    that: a specialist without a running replica would otherwise hold up every caller without end.
    """

    def __init__(self, domain: str, handle: DeploymentHandle, timeout_s: float) -> None:
        self._domain = domain
        self._handle = handle
        self._timeout_s = timeout_s

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question. Raises ModelBroken, Overloaded, DeadlineExceeded."""
        outcomes: list[Reading | ModelBroken] = await self._call(
            lambda: self._handle.read_all.remote(questions)
        )
        return outcomes

    async def check(self) -> ModelHealth:
        """The specialist's probe and recent failed call. Raises as `read_all` does."""
        health: ModelHealth = await self._call(self._handle.check.remote)
        return health

    async def facts(self) -> ModelFacts:
        """Facts of the specialist's model. Raises as `read_all` does."""
        facts: ModelFacts = await self._call(self._handle.facts.remote)
        return facts

    async def _call(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await hedged(ask, _HEDGE_AFTER_S, (RayActorError,))
        except TimeoutError:
            message = f"the {self._domain} specialist did not answer within {self._timeout_s:g} s"
            raise DeadlineExceeded(message) from None
        except BackPressureError as error:
            raise Overloaded(f"too many questions are waiting for the {self._domain} specialist") from error
        except (RayError, RayServeException) as error:
            log.exception("the %s specialist cannot be reached", self._domain)
            raise ModelBroken(f"the {self._domain} specialist cannot be reached") from error


def _observe(settings: Settings, process: str) -> None:
    logs.log_json(settings.log_level)
    tracing.start(settings.otlp_endpoint, f"slmfleet-{process}")
    metrics.record(settings.metrics)
    if settings.metrics:
        ray_export.bind_to_ray(settings.metrics_interval_s)


def _set_price_metrics(settings: Settings) -> None:
    prices = {
        "core_hour": settings.price_core_hour,
        "gib_hour": settings.price_gib_hour,
        "kwh": settings.price_kwh,
    }
    for resource, price in prices.items():
        if price is not None:
            metrics.PRICE.set(price, resource)
    metrics.BASELINE.set(settings.baseline_cpu_s, settings.baseline_model, "cpu_seconds")
    metrics.BASELINE.set(settings.baseline_cpu_s * settings.core_watts, settings.baseline_model, "joules")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
