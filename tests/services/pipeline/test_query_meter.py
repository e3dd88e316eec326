"""Time and CPU of one query by stage."""

from __future__ import annotations

import time

import pytest

from slmfleet.services.pipeline.query_meter import QueryMeter
from slmfleet.services.telemetry import metrics


def test_a_stage_lasts_from_the_end_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, tuple[str, ...]]] = []
    monkeypatch.setattr(
        metrics.STAGE_DURATION, "observe", lambda seconds, *labels: seen.append((seconds, labels))
    )
    meter = QueryMeter()
    time.sleep(0.02)
    meter.stage("router", "returns", 0.5)
    time.sleep(0.02)
    meter.mark()
    meter.stage("reply", "returns", 0.25)
    assert [labels for _, labels in seen] == [("router", "returns"), ("reply", "returns")]
    assert seen[0][0] >= 0.02 > seen[1][0]
    assert meter.cpu_s == 0.75
    assert meter.elapsed_s() >= 0.04


def test_a_read_elsewhere_adds_its_cpu_time_and_no_stage_of_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded: list[tuple[str, ...]] = []
    monkeypatch.setattr(metrics.CPU_SECONDS, "add", lambda amount, *labels: recorded.append(labels))
    meter = QueryMeter()
    meter.read("returns", time.perf_counter(), 0.125)
    meter.stage("session", "-")
    assert (meter.cpu_s, recorded) == (0.125, [])
