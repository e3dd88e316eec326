"""Counts of a consumer, and the same in its metrics."""

from __future__ import annotations

from slmfleet.services.events.counts import EventCounts
from slmfleet.services.telemetry import metrics
from slmfleet.services.telemetry.labels import bounded

KIND = "slmfleet.order.changed.v1"


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_is_counted_is_in_the_metrics_too() -> None:
    event = {"type": bounded("type", KIND), "result": "duplicate"}  # other tests may have used up the types
    handled = value("slmfleet_events_total", **event)
    died = value("slmfleet_dead_letters_total", reason="undeliverable")
    counts = EventCounts()
    for _ in range(2):
        counts.handled(KIND, "duplicate")
    counts.died("undeliverable")
    assert counts.handled_by[KIND, "duplicate"] == 2
    assert counts.dead_by["undeliverable"] == 1
    assert value("slmfleet_events_total", **event) == handled + 2
    assert value("slmfleet_dead_letters_total", reason="undeliverable") == died + 1
