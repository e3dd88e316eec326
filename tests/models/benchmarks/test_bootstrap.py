from __future__ import annotations

import math

import pytest
from fakes.readers import ToldReader, make_task, verdict

from slmfleet.models.benchmarks.bootstrap import intervals
from slmfleet.models.benchmarks.metrics import Measured, metrics_of, observe
from slmfleet.models.benchmarks.task import SuiteRow


def run_of(right: int, wrong: int) -> tuple[Measured, dict]:  # type: ignore[type-arg]
    rows = [SuiteRow(f"r{n}", ("a",)) for n in range(right)] + [
        SuiteRow(f"w{n}", ("b",)) for n in range(wrong)
    ]
    task = make_task([SuiteRow("t", ("a",)), SuiteRow("u", ("b",))], rows)
    reader = ToldReader(("a", "b"), {}, otherwise=verdict(0.9, 0.1))
    seen = observe(reader, task, task.test)
    return Measured(seen, seen), dict(metrics_of(task))


def test_the_interval_is_about_as_wide_as_the_binomials() -> None:
    run, metrics = run_of(160, 40)
    low, high = intervals([run], metrics)["intent_accuracy"]
    half = 1.96 * math.sqrt(0.8 * 0.2 / 200)
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.012)


def test_the_same_every_time_and_told_step_by_step() -> None:
    run, metrics = run_of(30, 10)
    steps: list[int] = []
    first = intervals([run], metrics, lambda: steps.append(1), resamples=50)
    assert intervals([run], metrics, resamples=50) == first
    assert len(steps) == 50


def test_seeds_are_pooled_row_by_row() -> None:
    """Two runs that are wrong on each other's rows: every resample has the same mean."""
    one, metrics = run_of(20, 20)
    flipped = Measured(
        type(one.clean)(**{**one.clean.__dict__, "right": ~one.clean.right}), one.typos
    )  # fmt: skip
    assert intervals([one, flipped], metrics, resamples=50)["intent_accuracy"] == (0.5, 0.5)


def test_what_cannot_be_measured_has_no_interval() -> None:
    run, _ = run_of(3, 1)
    low, high = intervals([run], {"nothing": lambda _: math.nan}, resamples=10)["nothing"]
    assert math.isnan(low)
    assert math.isnan(high)
