"""Every metric, once: what it is called, what it counts, which labels it may have.

Recorded into a `prometheus_client` registry of this process, for 1 to 2 microseconds. The consumer shows it
on its health port (`exposition`). Inside Ray Serve a page of one
replica would show one replica only, so there `bind_to_ray` copies the registry to `ray.util.metrics` every
few seconds, and Ray's export port shows all replicas, each name with `ray_` before it
(deploy/prometheus/prometheus.yml takes it off again).

Labels are bounded: a value that a label does not know becomes `other`, and a label of open values knows the
first 64 it meets. Never a label by query, session or customer.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import prometheus_client as prometheus
from prometheus_client.metrics_core import Metric as Family

from slmfleet.models.contracts import Status

#: Seconds: from a cache hit to a request's deadline.
BUCKETS: Final = (
    0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
CONFIDENCES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
#: How many values a label of open values may have before the next becomes `other`.
MAX_VALUES: Final = 64
OTHER: Final = "other"
#: The domain of work that belongs to none.
NO_DOMAIN: Final = "none"

#: The values of a label; None for those that a fleet's folder decides (its domains) or that are open.
LABELS: Final[dict[str, frozenset[str] | None]] = {
    "domain": None,
    "outcome": None,
    "type": None,
    "reason": None,
    "channel": frozenset({"http", "queue", "cli", "voice"}),
    "stage": frozenset(
        {"router", "specialist", "reply", "cache", "session", "explain", "event_loop", "metrics"}
    ),
    "verdict": frozenset({"dispatched", "abstained", "hand_off", "out_of_scope"}),
    "result": frozenset(
        {"hit", "miss", "bypass", "error", "same", "different"}
        | {*get_args(Status), "duplicate", "retried", "applied", "dead", "ignored"}
    ),
    "source": frozenset({"estimated", "rapl"}),
    "resource": frozenset({"core_hour", "gib_hour", "kwh"}),
    "quantity": frozenset({"cpu_seconds", "joules"}),
    "model": None,
}

CONTENT_TYPE: Final = prometheus.CONTENT_TYPE_LATEST
REGISTRY: Final = prometheus.CollectorRegistry()
_lock = threading.RLock()
_seen: dict[str, set[str]] = {name: set() for name in LABELS}
_recording = True


def record(recording: bool) -> None:
    """Switch all recording on or off in this process. On until told otherwise."""
    global _recording
    _recording = recording


#: All metrics, in the order of their definition.
ALL: Final[list[_Labelled]] = []


class _Labelled:
    """A metric's children by the values of its labels, in the order of their names."""

    def __init__(self, metric: Any, name: str, labels: Sequence[str]) -> None:
        unknown = [label for label in labels if label not in LABELS]
        if unknown:
            raise ValueError(f"{name}: no such label: {', '.join(unknown)}")
        self.name = name
        self.labels = tuple(labels)
        self._metric = metric
        self._children: dict[tuple[str, ...], Any] = {}
        if not labels:
            self._children[()] = metric
        ALL.append(self)

    def _child(self, values: tuple[str, ...]) -> Any:
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self.labels):
                raise ValueError(f"{self.name} has the labels {', '.join(self.labels) or '(none)'}")
            bounded = tuple(_bounded(name, value) for name, value in zip(self.labels, values, strict=True))
            child = self._metric.labels(*bounded)
            if bounded == values:  # what became `other` is not kept: there may be any number of such values
                self._children[values] = child
        return child

    def series(self) -> int:
        """How many combinations of labels there are in this process."""
        return len(self._children)


class Counter(_Labelled):
    """Only ever grows."""

    def __init__(self, name: str, told: str, *labels: str) -> None:
        super().__init__(prometheus.Counter(name, told, labels, registry=REGISTRY), name, labels)

    def add(self, amount: float, *values: str) -> None:
        """Add `amount` (0 or more) to the series of these label values."""
        if _recording:
            self._child(values).inc(amount)


class Gauge(_Labelled):
    """What something is now."""

    def __init__(self, name: str, told: str, *labels: str) -> None:
        super().__init__(prometheus.Gauge(name, told, labels, registry=REGISTRY), name, labels)

    def set(self, value: float, *values: str) -> None:
        """Set the series of these label values."""
        if _recording:
            self._child(values).set(value)


class Histogram(_Labelled):
    """How often which size was seen."""

    def __init__(self, name: str, told: str, *labels: str, buckets: Sequence[float] = BUCKETS) -> None:
        made = prometheus.Histogram(name, told, labels, buckets=buckets, registry=REGISTRY)
        super().__init__(made, name, labels)
        self.buckets = tuple(buckets)

    def observe(self, value: float, *values: str) -> None:
        """Count `value`, in the metric's unit, in the series of these label values."""
        if _recording:
            self._child(values).observe(value)


def _bounded(label: str, value: str) -> str:
    allowed = LABELS[label]
    if allowed is not None:
        return value if value in allowed else OTHER
    with _lock:
        seen = _seen[label]
        if value not in seen:
            if len(seen) >= MAX_VALUES:
                return OTHER
            seen.add(value)
    return value


class _Process:
    """What is read from the process itself whenever its metrics are collected."""

    def __init__(self) -> None:
        self._cpu_s = 0.0
        self._threads: dict[str, tuple[int, float]] = {}

    def watch(self, stage: str) -> None:
        """Count the CPU time of the calling thread, from now on, as `stage`."""
        clock = time.pthread_getcpuclockid(threading.get_ident())
        with _lock:
            if self._threads.get(stage, (None,))[0] != clock:
                self._threads[stage] = (clock, time.thread_time())

    def collect(self) -> Iterable[Family]:
        """Brings the process's own metrics up to date; they follow as those of the registry."""
        with _lock:
            now_s = time.process_time()
            PROCESS_CPU_SECONDS.add(now_s - self._cpu_s)
            self._cpu_s = now_s
            for stage, (clock, before_s) in self._threads.items():
                with contextlib.suppress(OSError):  # the thread has ended
                    thread_s = time.clock_gettime(clock)
                    CPU_SECONDS.add(thread_s - before_s, stage, NO_DOMAIN)
                    self._threads[stage] = (clock, thread_s)
        with contextlib.suppress(OSError):  # a system without /proc
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            RESIDENT_BYTES.set(pages * os.sysconf("SC_PAGE_SIZE"))
        return ()


#: First in the registry, so that what follows is up to date when it is collected.
_process = _Process()
REGISTRY.register(_process)

REQUEST_DURATION = Histogram(
    "slmfleet_request_duration_seconds",
    "From a request's arrival to its answer, by channel and by the answer's status or the problem's type.",
    "channel", "outcome",
)  # fmt: skip
STAGE_DURATION = Histogram(
    "slmfleet_stage_duration_seconds",
    "From when a stage was wanted until it was done, waiting included.",
    "stage", "domain",
)  # fmt: skip
QUERIES = Counter(
    "slmfleet_queries_total",
    "Answers given, by the domain of their first route and their status.",
    "domain", "outcome",
)  # fmt: skip
ROUTES = Counter(
    "slmfleet_routes_total",
    "Requests found in queries, by the domain the router took them for and what it decided.",
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
    "Queries by what the answer cache did: hit, miss, bypass; error beside it when its server was away.",
    "result",
)
CACHE_CHECKS = Counter(
    "slmfleet_cache_checks_total",
    "Cached answers that were computed anew as a sample: same or different.",
    "result",
)
CPU_SECONDS = Counter(
    "slmfleet_cpu_seconds_total", "CPU time by the clock of the thread that spent it.", "stage", "domain"
)
PROCESS_CPU_SECONDS = Counter("slmfleet_process_cpu_seconds_total", "CPU time of the whole process.")
ENERGY_JOULES = Counter(
    "slmfleet_energy_joules_total",
    "Energy of queries: the processor's own meter (rapl), or estimated from CPU time.",
    "domain", "source",
)  # fmt: skip
MODEL_PARAMETERS = Gauge("slmfleet_model_parameters", "Parameters of the model that is loaded.", "domain")
MODEL_BYTES = Gauge("slmfleet_model_bytes", "Bytes of the model's bundle on disk.", "domain")
RESIDENT_BYTES = Gauge("slmfleet_resident_bytes", "Resident memory of the process.")
EVENTS = Counter(
    "slmfleet_events_total", "Events taken from a queue, by what became of them.", "type", "result"
)
EVENT_LAG = Gauge("slmfleet_event_lag", "Events in the queue that no consumer has taken yet.")
EVENT_PENDING = Gauge("slmfleet_event_pending", "Events taken from the queue and not yet acknowledged.")
DEAD_LETTERS = Counter("slmfleet_dead_letters_total", "Events given up, by why.", "reason")
PRICE = Gauge(
    "slmfleet_price",
    "Configured price of a core-hour, a GiB-hour of memory and a kWh, in one currency.",
    "resource",
)
BASELINE = Gauge(
    "slmfleet_baseline_per_query",
    "What the configured large model takes for one answer: CPU-seconds, joules.",
    "model", "quantity",
)  # fmt: skip


def watch_thread(stage: str) -> None:
    """Count all CPU time of the calling thread, which must live as long as the process, as `stage`."""
    _process.watch(stage)


def exposition() -> str:
    """This process's metrics in Prometheus's text format."""
    return prometheus.generate_latest(REGISTRY).decode()


def bind_to_ray(interval_s: float) -> None:
    """Copy this process's metrics to Ray's every `interval_s` seconds, from a thread, once a process.

    Histograms arrive as gauges of their buckets, counts and sums, which PromQL reads alike: Ray's own
    histogram has its agent repeat every single observation, in Python, as the middle of its bucket, so that
    it costs more than the metric is worth and its sums are wrong.
    """
    if not any(thread.name == _RAY_THREAD for thread in threading.enumerate()):
        threading.Thread(target=_copy_to_ray, args=(interval_s,), name=_RAY_THREAD, daemon=True).start()


_RAY_THREAD: Final = "metrics-to-ray"


def _copy_to_ray(interval_s: float) -> None:
    from ray.util import metrics as ray_metrics

    watch_thread("metrics")
    made: dict[str, Any] = {}
    told: dict[tuple[str, ...], float] = {}
    while True:
        for family in REGISTRY.collect():
            for name, labels, value, *_ in family.samples:
                if name.endswith("_created"):
                    continue
                if family.type != "counter":
                    if name not in made:
                        made[name] = ray_metrics.Gauge(name, family.documentation, tuple(labels))
                    made[name].set(value, labels)
                    continue
                if name not in made:
                    made[name] = ray_metrics.Counter(name, family.documentation, tuple(labels))
                series = (name, *labels.values())
                grown = value - told.get(series, 0.0)
                if grown > 0:
                    made[name].inc(grown, labels)
                    told[series] = value
        time.sleep(interval_s)
