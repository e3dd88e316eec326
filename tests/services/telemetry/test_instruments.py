"""Instruments: wrong labels are a bug, and nothing is recorded while recording is off."""

from __future__ import annotations

import pytest

from slmfleet.services.telemetry import instruments, metrics


def test_wrong_labels_are_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="slmfleet_queries_total has the labels domain, outcome"):
        metrics.QUERIES.add(1, "shipping")
    with pytest.raises(ValueError, match="no such label: customer"):
        instruments.Counter("slmfleet_x_total", "", "customer")


def test_a_series_is_recorded_once_and_not_while_recording_is_off() -> None:
    def lag() -> float | None:
        return instruments.REGISTRY.get_sample_value("slmfleet_event_lag")

    metrics.EVENT_LAG.set(3)
    try:
        instruments.record(False)
        metrics.EVENT_LAG.set(4)
        assert lag() == 3
    finally:
        instruments.record(True)
    metrics.EVENT_LAG.set(5)
    assert lag() == 5
    assert metrics.EVENT_LAG.series() == 1
