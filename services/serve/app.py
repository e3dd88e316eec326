"""The Ray Serve application: wiring only.

`fleet` is the import path for `serve deploy` (slmfleet.services.serve.app:fleet). Ray reads its parameter's
annotation as a class, which is why this module does without postponed annotations.
"""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import AutoscalingConfig, BackpressureConfig, HTTPOptions
from ray.serve.exceptions import RayServeException
from ray.serve.schema import LoggingConfig

from slmfleet.services.pipeline.assembly import FleetFactory
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.serve.deployments import GatewayReplica, SpecialistReplica, UserConfig
from slmfleet.services.settings import Settings, require_keys_off_loopback

log = logging.getLogger(__name__)

#: Of one core, per replica: what Ray reserves, not a limit. Small, so that a fleet fits two cores.
_REPLICA_CPUS = 0.05
#: Requests beyond the gateway's own admission that Ray lets in: health checks, refusals on their way out.
_SLACK = 64
#: A specialist computes one text at a time, and a call carries all texts that waited: two calls under way
#: keep it busy, more mean that texts wait.
_CALLS_A_REPLICA = 2.0
_OBJECT_STORE_BYTES = 100_000_000
_APP = "slmfleet"
#: What Ray raises here when a process of its own has died, or would not start.
RAY_FAILURES = (RayError, RayServeException, RuntimeError)


def build_app(
    settings: Settings,
    factory: FleetFactory | None = None,
    health_check_period_s: float = 10.0,
    domains: Sequence[str] | None = None,
) -> serve.Application:
    """The application for `settings`, from `factory` (default: DefaultFactory).

    `domains` are those of a fleet that is checked already; without them it is loaded here to check it.
    Placement `split` gives a deployment `specialist-<domain>` for each domain of the fleet, which a Serve
    config may scale one by one; `specialist_max_replicas` must then be at least the largest maximum.
    A Serve config that gives the deployments another `user_config: {revision: ...}` makes every replica load
    its bundles anew without a restart.
    Raises FleetFault, and SettingsFault when customer tokens cannot be verified.
    """
    factory = factory or DefaultFactory()
    factory.customer_of(settings)  # makes the secret once, before several replicas look for it
    if domains is None:
        domains = [*factory.fleet(settings).domains]
    everywhere = _everywhere(settings, health_check_period_s)
    remotes = None
    if settings.placement == "split":
        specialist = serve.deployment(
            SpecialistReplica, **_scale(settings), max_ongoing_requests=_SLACK, **everywhere
        )
        remotes = {
            domain: specialist.options(name=f"specialist-{domain}").bind(settings, factory, domain)
            for domain in domains
        }
    gateway = serve.deployment(
        serve.ingress()(GatewayReplica),
        name="gateway",
        num_replicas=settings.gateway_replicas,
        # The gateway refuses at max_ongoing + max_queued itself, in its own words; these are the dam behind.
        max_ongoing_requests=settings.max_ongoing_requests + settings.max_queued_requests + _SLACK,
        max_queued_requests=settings.max_queued_requests + _SLACK,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        **everywhere,
    )
    return gateway.bind(settings, factory, remotes)


def _everywhere(settings: Settings, health_check_period_s: float) -> dict[str, Any]:
    """Options of every deployment."""
    return {
        "user_config": UserConfig(revision="0"),
        "ray_actor_options": {"num_cpus": _REPLICA_CPUS},
        "health_check_period_s": health_check_period_s,
        "health_check_timeout_s": 10.0,
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": settings.request_timeout_s + 5,
        "max_constructor_retry_count": 2,
        "max_surge_percent": 100,  # a new version starts before the old one stops
        "logging_config": LoggingConfig(enable_access_log=False),
    }


def _scale(settings: Settings) -> dict[str, Any]:
    """How a specialist is scaled: between two bounds by the calls under way to it, or not at all."""
    fewest, most = settings.specialist_replicas, settings.specialist_max_replicas
    if most <= fewest:
        return {"num_replicas": fewest}
    scale = AutoscalingConfig(
        min_replicas=fewest, max_replicas=most, target_ongoing_requests=_CALLS_A_REPLICA
    )
    return {"autoscaling_config": scale}


def fleet(args: Settings) -> serve.Application:
    """The application for `serve deploy`; `args` are fields of Settings, the environment gives the rest.

    A deployed application is taken to be within others' reach unless `args.host` is a loopback address.
    Raises SettingsFault without API keys then.
    """
    reachable = "host" not in args.model_fields_set
    settings = args.model_copy(update={"host": "0.0.0.0"}) if reachable else args  # noqa: S104
    require_keys_off_loopback(settings)
    return build_app(settings)


def start(settings: Settings, metrics_port: int) -> Path:
    """Start a cluster of this process's own, with Serve listening; returns the folder of its logs."""
    context = ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _metrics_export_port=metrics_port,
    )
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(
        http_options=HTTPOptions(host=settings.host, port=settings.port),
        logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"),
    )
    return Path(context.address_info["session_dir"]) / "logs"


def run(
    settings: Settings, factory: FleetFactory | None = None, domains: Sequence[str] | None = None
) -> str | None:
    """Deploy and wait. Returns None once it serves, else the messages of the deployments that do not."""
    try:
        serve.run(build_app(settings, factory, domains=domains), name=_APP)
    except RuntimeError:
        status = serve.status().applications[_APP]
        return "\n".join(it.message for it in status.deployments.values() if it.message) or status.message
    return None


def stop() -> None:
    """Finish what is in flight, then stop Serve and the cluster, whatever of them still lives."""
    # Ray prints the end of Serve's own controller as a failed task, on stdout.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            if ray.is_initialized():
                serve.delete(_APP)  # first: serve.shutdown alone stops the proxy while replicas still answer
                serve.shutdown()
        except RAY_FAILURES as error:
            log.warning("Serve could not be stopped in order (%s); its cluster is", type(error).__name__)
        finally:
            ray.shutdown()  # also what a start that was interrupted has left
