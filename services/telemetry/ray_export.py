"""Copies this process's metrics to Ray's, so that Ray's export port shows those of all replicas.

A metrics page of one replica would show that replica only. Ray puts `ray_` before each name;
deploy/prometheus/prometheus.yml takes it off again.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from slmfleet.services.telemetry import metrics

_THREAD: Final = "metrics-to-ray"


def bind_to_ray(interval_s: float) -> None:
    """Copy every `interval_s` seconds, from a thread; a second call in a process changes nothing.

    Histograms arrive as gauges of their buckets, counts and sums, which PromQL reads alike: Ray's own
    histogram has its agent repeat every observation, in Python, as the middle of its bucket, which costs more
    than the metric is worth and makes its sums wrong.
    """
    if not any(thread.name == _THREAD for thread in threading.enumerate()):
        threading.Thread(target=_copy, args=(interval_s,), name=_THREAD, daemon=True).start()


def _copy(interval_s: float) -> None:
    from ray.util import metrics as ray_metrics

    metrics.watch_thread("metrics")
    copies: dict[str, Any] = {}
    copied: dict[tuple[str, ...], float] = {}
    while True:
        for family in metrics.REGISTRY.collect():
            for name, labels, value, *_ in family.samples:
                if name.endswith("_created"):
                    continue
                if family.type != "counter":
                    if name not in copies:
                        copies[name] = ray_metrics.Gauge(name, family.documentation, tuple(labels))
                    copies[name].set(value, labels)
                    continue
                if name not in copies:
                    copies[name] = ray_metrics.Counter(name, family.documentation, tuple(labels))
                series = (name, *labels.values())
                increase = value - copied.get(series, 0.0)
                if increase > 0:
                    copies[name].inc(increase, labels)
                    copied[series] = value
        time.sleep(interval_s)
