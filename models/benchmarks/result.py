"""What `slmfleet evaluate --suite` measures: the shape of results.json.

Every metric is in percent, `typo_loss` and `int8_loss` in percentage points.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from slmfleet.models.benchmarks.task import Kind, PublishedFigure


class Measure(BaseModel):
    """One metric: a value each seed, their mean and standard deviation, and the mean's 95 % interval.

    None where there is nothing to measure; `sd` also of one seed. The interval is a bootstrap over test rows.
    """

    model_config = ConfigDict(extra="forbid")

    values: list[float | None]
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, shares: Sequence[float], interval: tuple[float, float]) -> Measure:
        """From a share in [0, 1] each seed and the interval's ends."""
        return cls(
            values=[_percent(share) for share in shares],
            mean=_percent(statistics.fmean(shares)),
            sd=_percent(float(np.std(shares, ddof=1))) if len(shares) > 1 else None,
            low=_percent(interval[0]),
            high=_percent(interval[1]),
        )

    def __str__(self) -> str:
        if self.mean is None or self.low is None or self.high is None:
            return "-"
        return f"{self.mean:.1f} [{self.low:.1f}-{self.high:.1f}]"


def _percent(share: float) -> float | None:
    return None if math.isnan(share) else round(100 * share, 2)


class Published(BaseModel):
    """A figure of another system (task.PublishedFigure)."""

    model_config = ConfigDict(extra="forbid")

    system: str
    metric: str
    value: float
    source: str
    note: str
    kind: Literal["published", "floor"]

    @classmethod
    def of(cls, figure: PublishedFigure) -> Published:
        """From a task's figure."""
        return cls(
            system=figure.system, metric=figure.metric, value=figure.value, source=figure.source,
            note=figure.note, kind=figure.kind,
        )  # fmt: skip


class Cost(BaseModel):
    """What a reader costs: a value each seed for seconds of training and for the median milliseconds a text.

    Latency is that of the first texts of the test split, one after another, from one thread.
    """

    model_config = ConfigDict(extra="forbid")

    training_s: list[float]
    latency_ms: list[float]
    bytes: int
    parameters: int


class Curve(BaseModel):
    """Risk at coverage, both in percent, the mean over seeds."""

    model_config = ConfigDict(extra="forbid")

    coverage: list[float]
    risk: list[float]


class TaskResult(BaseModel):
    """One task. `dropped_rows`: training rows left out because `test_rows_with_twin` repeat them."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Kind
    labels: int
    train_rows: int
    dropped_rows: int
    validation_rows: int
    test_rows: int
    out_of_scope_rows: int
    test_rows_with_twin: int
    metrics: dict[str, Measure]
    goals: dict[str, float]
    published: list[Published]
    cost: Cost
    risk_coverage: Curve


class SuiteResult(BaseModel):
    """All tasks of a suite, measured on readers trained with seeds 0, 1, ..."""

    model_config = ConfigDict(extra="forbid")

    suite: str
    title: str
    seeds: int
    resamples: int
    licences: dict[str, str]
    tasks: list[TaskResult]
