"""Counts of a consumer, beside the same in its metrics."""

from __future__ import annotations

from slmfleet.services.events.counts import EventCounts
from slmfleet.services.telemetry import metrics


def test_what_is_counted_is_on_the_metrics_page_too() -> None:
    counts = EventCounts()
    counts.handled("slmfleet.order.changed.v1", "duplicate")
    counts.handled("slmfleet.order.changed.v1", "duplicate")
    counts.died("undeliverable")
    assert counts.handled_by["slmfleet.order.changed.v1", "duplicate"] == 2
    assert counts.dead_by["undeliverable"] == 1
    page = metrics.exposition()
    assert 'slmfleet_events_total{result="duplicate",type="slmfleet.order.changed.v1"}' in page
    assert 'slmfleet_dead_letters_total{reason="undeliverable"}' in page
