"""How much a figure would move with other test rows: the percentile bootstrap (Efron 1979)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from slmfleet.models.benchmarks.metrics import Measured, Metric

RESAMPLES: Final = 1_000


def intervals(
    runs: Sequence[Measured],
    metrics: Mapping[str, Metric],
    tick: Callable[[], None] = lambda: None,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """Metric -> ends of the 95 % interval of its mean over `runs`, one run a training seed.

    Every resample draws test rows with replacement, the same for all runs, and takes the mean over the runs.
    A resample without what a metric needs (no row out of scope) does not count for it; nan where none does.
    """
    dice = np.random.default_rng(0)
    count = len(runs[0].clean.in_scope)
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(resamples):
        rows = dice.integers(count, size=count)
        samples = [run.take(rows) for run in runs]
        for name, metric in metrics.items():
            value = sum(metric(sample) for sample in samples) / len(samples)
            if not math.isnan(value):
                drawn[name].append(value)
        tick()
    return {name: _ends(values) for name, values in drawn.items()}


def _ends(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return math.nan, math.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
