"""The metrics over a reader's outcomes, all in [0, 1], and how much they would move with other test rows.

intent_accuracy     in-scope rows whose label is right, threshold aside (the best label in scope)
accuracy            rows that are right with the threshold: the right label, or refused when out of scope
in_scope_accuracy   the same of in-scope rows alone: refusing one is a mistake
oos_recall          out-of-scope rows that are refused
auroc               how well `inlier` separates in scope from out of scope
auroc_NAME          the same of another score (ood_scores.py)
ece                 expected calibration error of the confidence, in-scope rows
aurc                area under the risk-coverage curve
slot_f1             micro-F1 of slots by name and exact span
exact_set           rows whose set of labels is right
micro_f1, macro_f1  over labels, of rows with any number of them
typo_accuracy       the task's first metric on the in-scope rows with a typing error in every long word
typo_loss           what that is below the same metric on the same rows as written
int8_loss           what the task's first metric is below that of the same model before its rounding
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from slmfleet.models.benchmarks.ood_scores import OOD_SCORES
from slmfleet.models.benchmarks.outcomes import Measured, Outcomes
from slmfleet.models.benchmarks.scores import (
    Bools,
    area_under_risk_coverage,
    auroc,
    f1,
    macro_f1,
    micro_f1,
)
from slmfleet.models.benchmarks.task import Task
from slmfleet.models.inference.numerics import Floats
from slmfleet.models.training.confidence import expected_calibration_error

RESAMPLES: Final = 1_000
Metric = Callable[[Measured], float]


def _mean(of: Bools) -> float:
    return float(of.mean()) if len(of) else math.nan


def _right(rows: Outcomes) -> float:
    return _mean(rows.right[rows.in_scope])


def _accuracy(rows: Outcomes) -> float:
    return _mean(np.where(rows.in_scope, rows.accepted & rows.right, ~rows.accepted))


def _ece(rows: Outcomes) -> float:
    inside = rows.in_scope
    return (
        expected_calibration_error(rows.confidence[inside], rows.right[inside]) if inside.any() else math.nan
    )


def _slot_f1(rows: Outcomes) -> float:
    marked, read, both = rows.spans.sum(axis=0)
    return f1(int(marked), int(read), int(both))


def _in_scope_accuracy(rows: Outcomes) -> float:
    return _mean((rows.accepted & rows.right)[rows.in_scope])


def _oos_recall(rows: Outcomes) -> float:
    return _mean(~rows.accepted[~rows.in_scope])


def _auroc(rows: Outcomes) -> float:
    return auroc(rows.inlier, rows.in_scope)


def _ood_auroc(index: int) -> Callable[[Outcomes], float]:
    return lambda rows: (
        auroc(rows.ood_baselines[:, index], rows.in_scope)
        if rows.ood_baselines.shape[1] > index
        else math.nan
    )


def _micro_f1(rows: Outcomes) -> float:
    return micro_f1(rows.truth, rows.predicted)


def _macro_f1(rows: Outcomes) -> float:
    return macro_f1(rows.truth, rows.predicted)


def ranking(task: Task, rows: Outcomes) -> tuple[Floats, Bools]:
    """(score, wrong) of a risk-coverage curve.

    The score is `inlier` where some test rows are out of scope, else the confidence. An accepted row is wrong
    when its label is, or when it is out of scope.
    """
    return rows.inlier if task.tests_scope else rows.confidence, ~(rows.right & rows.in_scope)


def metrics_of(task: Task) -> Mapping[str, Metric]:
    """The metrics a task is measured by, in the order of reports; the typo metrics are about the first."""
    first = _micro_f1 if task.kind == "multi" else _right
    on_clean: dict[str, Callable[[Outcomes], float]]
    if task.kind == "single":
        on_clean = {"intent_accuracy": _right}
        if task.tests_scope:
            on_clean |= {
                "accuracy": _accuracy,
                "in_scope_accuracy": _in_scope_accuracy,
                "oos_recall": _oos_recall,
                "auroc": _auroc,
            }
            on_clean |= {f"auroc_{name}": _ood_auroc(index) for index, name in enumerate(OOD_SCORES)}
        if any(row.spans for row in task.test):
            on_clean["slot_f1"] = _slot_f1
    elif task.kind == "multi":
        on_clean = {"micro_f1": _micro_f1, "macro_f1": _macro_f1, "exact_set": _right}
    else:
        on_clean = {"exact_set": _right, "micro_f1": _micro_f1}
    on_clean |= {"ece": _ece, "aurc": lambda rows: area_under_risk_coverage(*ranking(task, rows))}
    metrics: dict[str, Metric] = {name: _of_clean(metric) for name, metric in on_clean.items()}
    metrics["typo_accuracy"] = lambda both: first(both.typos)
    metrics["typo_loss"] = lambda both: first(both.clean.take(both.clean.in_scope)) - first(both.typos)
    metrics["int8_loss"] = lambda both: first(both.exact) - first(both.clean) if both.exact else math.nan
    return metrics


def _of_clean(metric: Callable[[Outcomes], float]) -> Metric:
    return lambda both: metric(both.clean)


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
