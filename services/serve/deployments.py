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
from slmfleet.services.pipeline.assembly import FleetFactory, LoadedFleet, ModelFacts, load_pipeline
from slmfleet.services.pipeline.dispatch import GuardedSpecialist, SpecialistRequest
from slmfleet.services.serve.hedge import hedged
from slmfleet.services.serve.hot_reload import Reloadable
from slmfleet.services.settings import Settings
from slmfleet.services.state.knowledge_reload import KnowledgeFollower
from slmfleet.services.state.shared_state import SharedState
from slmfleet.services.telemetry import logs, metrics, ray_export, tracing

Result = TypeVar("Result")
#: Far above what a read takes, far below what a customer waits.
_ASK_AGAIN_AFTER_S = 0.5
log = logging.getLogger(__name__)


class UserConfig(TypedDict):
    """What a new `user_config` announces: another `revision` makes every replica load its bundles anew."""

    revision: str


class GatewayReplica:
    """The ingress: HTTP, router and reply, and the specialists too unless they are `remotes`."""

    def __init__(
        self, settings: Settings, parts: FleetFactory, remotes: Mapping[str, DeploymentHandle] | None = None
    ) -> None:
        """Loads at once. Raises FleetFault, BundleFault, ModelBroken, SettingsFault."""
        _observe(settings, "gateway")
        _tell_prices(settings)
        self._settings = settings
        self._parts = parts
        self._executor = ThreadPoolExecutor(_cores(), thread_name_prefix="models")
        self._remotes = None
        if remotes is not None:
            self._remotes = {
                domain: AcrossRay(domain, handle, settings.request_timeout_s)
                for domain, handle in remotes.items()
            }
        self._shared = SharedState(settings)
        self._current: Reloadable[LoadedFleet] = Reloadable(self._load)

    def _load(self) -> LoadedFleet:
        return load_pipeline(self._settings, self._parts, self._executor, self._remotes, self._shared)

    def __serve_build_asgi_app__(self) -> Gateway:
        """The ASGI application, made inside the replica: one made outside would be pickled by value."""
        customer_of = self._parts.customer_of(self._settings)
        check_key = self._parts.check_key(self._settings)
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

    def __init__(self, settings: Settings, parts: FleetFactory, domain: str) -> None:
        """Loads at once. Raises FleetFault, BundleFault, ModelBroken, SettingsFault."""
        _observe(settings, f"specialist-{domain}")
        self._settings = settings
        self._parts = parts
        self._domain = domain
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._current: Reloadable[tuple[GuardedSpecialist, ModelFacts, KnowledgeFollower]] = Reloadable(
            self._load
        )

    def _load(self) -> tuple[GuardedSpecialist, ModelFacts, KnowledgeFollower]:
        fleet = self._parts.fleet(self._settings)
        specialist, facts = self._parts.specialist(self._settings, fleet, self._domain)
        facts.measured(self._domain)
        guarded = GuardedSpecialist(self._domain, specialist)
        return guarded, facts, KnowledgeFollower(fleet, self._domain, guarded)

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question, in order."""
        specialist, _, following = self._current.value

        def read() -> list[Reading | ModelBroken]:
            following.follow(questions[-1].knowledge)
            return specialist.read_all(questions)

        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

    async def check(self) -> str | None:
        """What is wrong: the probe, or a read that failed since the last good probe."""
        specialist, _, _ = self._current.value
        return await asyncio.get_running_loop().run_in_executor(self._executor, specialist.guard.check)

    async def facts(self) -> ModelFacts:
        """What is told of the model."""
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


class AcrossRay:
    """A specialist behind a deployment handle; whatever Ray raises becomes one of our own errors.

    A replica that is lost, or says nothing, is not waited for: another is asked the same. `timeout_s` bounds
    that: a specialist without a running replica would otherwise be waited for without end, and hold up
    everyone who asks after.
    """

    def __init__(self, domain: str, handle: DeploymentHandle, timeout_s: float) -> None:
        self._domain = domain
        self._handle = handle
        self._timeout_s = timeout_s

    async def read_all(self, questions: list[SpecialistRequest]) -> list[Reading | ModelBroken]:
        """One outcome a question. Raises ModelBroken, Overloaded, DeadlineExceeded."""
        outcomes: list[Reading | ModelBroken] = await self._answer(
            lambda: self._handle.read_all.remote(questions)
        )
        return outcomes

    async def check(self) -> str | None:
        """What is wrong with the specialist, or None. Raises as `read_all` does."""
        fault: str | None = await self._answer(self._handle.check.remote)
        return fault

    async def facts(self) -> ModelFacts:
        """What is told of the model. Raises as `read_all` does."""
        facts: ModelFacts = await self._answer(self._handle.facts.remote)
        return facts

    async def _answer(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await hedged(ask, _ASK_AGAIN_AFTER_S, (RayActorError,))
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


def _tell_prices(settings: Settings) -> None:
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
