"""Every metric of slmfleet in one table: its name, what it counts, its labels.

`ALL` has them as a list, each with `name`, `kind`, `labels` and `documentation`. The consumer shows them on
its health port (`exposition`); inside Ray Serve services/telemetry/ray_export.py copies them to Ray's.
"""

from __future__ import annotations

from typing import Final

import prometheus_client as prometheus

from slmfleet.services.telemetry.instruments import ALL as ALL
from slmfleet.services.telemetry.instruments import REGISTRY as REGISTRY
from slmfleet.services.telemetry.instruments import Counter, Gauge, Histogram
from slmfleet.services.telemetry.instruments import record as record
from slmfleet.services.telemetry.labels import NO_DOMAIN as NO_DOMAIN
from slmfleet.services.telemetry.process_metrics import ProcessCollector

CONTENT_TYPE: Final = prometheus.CONTENT_TYPE_LATEST
#: Seconds: from a cache hit to a request's deadline.
BUCKETS: Final = (
    0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
CONFIDENCES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)

#: Before the table, so that it is collected first and what follows is up to date.
_process = ProcessCollector()
REGISTRY.register(_process)

REQUEST_DURATION = Histogram(
    "slmfleet_request_duration_seconds",
    "From a request's arrival to its answer, by channel and by the answer's status or the problem's type.",
    "channel", "outcome",
    buckets=BUCKETS,
)  # fmt: skip
STAGE_DURATION = Histogram(
    "slmfleet_stage_duration_seconds",
    "From the request for a stage to its end, waiting included.",
    "stage", "domain",
    buckets=BUCKETS,
)  # fmt: skip
QUERIES = Counter(
    "slmfleet_queries_total",
    "Answers given, by the domain of their first route and their status.",
    "domain", "outcome",
)  # fmt: skip
ROUTES = Counter(
    "slmfleet_routes_total",
    "Requests found in queries, by the domain that the router assigned and its decision.",
    "domain", "verdict",
)  # fmt: skip
ROUTER_CONFIDENCE = Histogram(
    "slmfleet_router_confidence",
    "Calibrated confidence of the router, from 0 to 1.",
    "domain",
    buckets=CONFIDENCES,
)
CACHE_REQUESTS = Counter(
    "slmfleet_cache_requests_total",
    "Queries by the answer cache's result: hit, miss, bypass; and error as well when its server was away.",
    "result",
)
CACHE_CHECKS = Counter(
    "slmfleet_cache_checks_total",
    "Cached answers that were computed again as a sample: same or different.",
    "result",
)
CPU_SECONDS = Counter(
    "slmfleet_cpu_seconds_total",
    "CPU time of the threads that did the work, by stage and domain.",
    "stage", "domain",
)  # fmt: skip
PROCESS_CPU_SECONDS = Counter(
    "slmfleet_process_cpu_seconds_total",
    "CPU time of the whole process.",
)
ENERGY_JOULES = Counter(
    "slmfleet_energy_joules_total",
    "Energy of queries: the processor's own meter (rapl), or estimated from CPU time.",
    "domain", "source",
)  # fmt: skip
MODEL_PARAMETERS = Gauge(
    "slmfleet_model_parameters",
    "Parameters of the loaded model.",
    "domain",
)
MODEL_BYTES = Gauge(
    "slmfleet_model_bytes",
    "Bytes of the model's bundle on disk.",
    "domain",
)
RESIDENT_BYTES = Gauge(
    "slmfleet_resident_bytes",
    "Resident memory of the process.",
)
EVENTS = Counter(
    "slmfleet_events_total",
    "Events taken from a queue, by type and result.",
    "type", "result",
)  # fmt: skip
EVENT_LAG = Gauge(
    "slmfleet_event_lag",
    "Events in the queue that no consumer has taken yet.",
)
EVENT_PENDING = Gauge(
    "slmfleet_event_pending",
    "Events taken from the queue and not yet acknowledged.",
)
DEAD_LETTERS = Counter(
    "slmfleet_dead_letters_total",
    "Events that became dead letters, by reason.",
    "reason",
)
PRICE = Gauge(
    "slmfleet_price",
    "Configured price of a core-hour, a GiB-hour of memory and a kWh, in one currency.",
    "resource",
)
BASELINE = Gauge(
    "slmfleet_baseline_per_query",
    "Configured use of a large model for one answer: CPU seconds, joules.",
    "model", "quantity",
)  # fmt: skip

_process.bind(PROCESS_CPU_SECONDS, CPU_SECONDS, RESIDENT_BYTES)


def watch_thread(stage: str) -> None:
    """Count all CPU time of the calling thread, which must live as long as the process, as `stage`."""
    _process.watch(stage)


def exposition() -> str:
    """This process's metrics in Prometheus's text format."""
    return prometheus.generate_latest(REGISTRY).decode()
