"""What a reader makes of a task's test rows, row by row, and the metrics over them.

Metrics, all in [0, 1]:

    intent_accuracy     in-scope rows whose label is right, threshold aside (the best label in scope)
    accuracy            rows that are right with the threshold: the right label, or refused when out of scope
    in_scope_accuracy   the same of in-scope rows alone: refusing one is a mistake
    oos_recall          out-of-scope rows that are refused
    auroc               how well `inlier` tells in scope from out of scope
    auroc_NAME          the same of another score (scope_scores.py)
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
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.benchmarks.ood_scores import OOD_SCORES
from slmfleet.models.benchmarks.scores import (
    Bools,
    Ints,
    area_under_risk_coverage,
    auroc,
    f1,
    macro_f1,
    micro_f1,
    span_counts,
)
from slmfleet.models.benchmarks.task import Reader, SuiteRow, Task, Verdict
from slmfleet.models.inference.numerics import Floats
from slmfleet.models.training.calibrate import expected_calibration_error


@dataclass(frozen=True)
class Outcomes:
    """Arrays by row. `right` and `confidence` are of the best label in scope, or of the whole set of labels.

    `accepted`: the reader takes the row for in scope. `truth` and `said` are (n, labels), without columns in
    a task of one label a row. `spans` is (n, 3): slots marked, read, both. `ood_baselines` is (n, scores),
    without columns where there are none.
    """

    in_scope: Bools
    right: Bools
    accepted: Bools
    confidence: Floats
    inlier: Floats
    truth: Bools
    said: Bools
    spans: Ints
    ood_baselines: Floats

    def take(self, rows: NDArray[np.intp] | Bools) -> Outcomes:
        """Only some rows, or some of them several times."""
        return Outcomes(*(getattr(self, part.name)[rows] for part in fields(self)))


@dataclass(frozen=True)
class Measured:
    """The test rows as written, and the in-scope ones among them, in the same order, with typing errors.

    `exact` are the rows as written again, read by the model before its weights were rounded, if there is one.
    """

    clean: Outcomes
    typos: Outcomes
    exact: Outcomes | None = None

    def take(self, rows: NDArray[np.intp]) -> Measured:
        """A sample of the clean rows, with the typo rows that belong to it."""
        place = np.cumsum(self.clean.in_scope) - 1
        return Measured(
            self.clean.take(rows),
            self.typos.take(place[rows[self.clean.in_scope[rows]]]),
            self.exact.take(rows) if self.exact else None,
        )


Metric = Callable[[Measured], float]


def observe(
    reader: Reader, task: Task, rows: Sequence[SuiteRow], change: Callable[[str], str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:  # fmt: skip
    """Read `rows` and hold the verdicts against their labels.

    With `change` their texts are changed first; slots then lie elsewhere, and `spans` says nothing.
    """
    found: list[_Outcome] = []
    ood_baselines: list[Sequence[float]] = []
    columns = columns_of(task)
    for row in rows:
        text = row.text if change is None else change(row.text)
        if task.kind == "single":
            verdict = reader.read(text)
            found.append(_single(reader, task, row, verdict))
            ood_baselines.append(verdict.ood_baselines())
        elif task.kind == "multi":
            found.append(_multi(reader, row, columns, reader.read(text)))
        else:
            found.append(_joined(reader, task, row, columns, reader.read_joined(text)))
        tick()

    def column(index: int, kind: type[np.generic], *shape: int) -> NDArray[Any]:
        return np.array([one[index] for one in found], dtype=kind).reshape(len(found), *shape)

    width = 0 if task.kind == "single" else len(columns)
    return Outcomes(
        in_scope=column(0, np.bool_),
        right=column(1, np.bool_),
        accepted=column(2, np.bool_),
        confidence=column(3, np.float64),
        inlier=column(4, np.float64),
        truth=column(5, np.bool_, width),
        said=column(6, np.bool_, width),
        spans=column(7, np.int64, 3),
        ood_baselines=np.array(ood_baselines or [()] * len(found), dtype=np.float64).reshape(
            len(found), len(ood_baselines[0]) if ood_baselines else 0
        ),
    )


def columns_of(task: Task) -> tuple[str, ...]:
    """The labels of the columns of `truth` and `said`: those of training and those of the test rows."""
    return tuple(sorted({label for row in task.test for label in row.labels} | set(task.labels)))


_Outcome = tuple[bool, bool, bool, float, float, Sequence[bool], Sequence[bool], tuple[int, int, int]]
_NO_SPANS = (0, 0, 0)


def best_label(reader: Reader, verdict: Verdict, but: str | None = None) -> tuple[str, float]:
    """The most probable label other than `but`, and its probability among those others."""
    open_ = np.array([label != but for label in reader.labels])
    held = np.where(open_, verdict.probabilities, -1.0)
    index = int(held.argmax())
    total = float(verdict.probabilities[open_].sum())
    return reader.labels[index], float(held[index]) / total if total > 0 else 0.0


def _accepts(reader: Reader, task: Task, verdict: Verdict) -> bool:
    return verdict.inlier >= reader.threshold and best_label(reader, verdict)[0] != task.out_of_scope


def _single(reader: Reader, task: Task, row: SuiteRow, verdict: Verdict) -> _Outcome:
    label, confidence = best_label(reader, verdict, task.out_of_scope)
    spans = _NO_SPANS
    if row.spans is not None:
        spans = span_counts(
            {(span.name, span.start, span.end) for span in row.spans},
            {(slot.name, slot.start, slot.end) for slot in verdict.slots},
        )
    in_scope = row.labels != (task.out_of_scope,)
    accepted = _accepts(reader, task, verdict)
    return in_scope, row.labels == (label,), accepted, confidence, verdict.inlier, (), (), spans


def _multi(reader: Reader, row: SuiteRow, columns: Sequence[str], verdict: Verdict) -> _Outcome:
    said = {
        label
        for label, probability in zip(reader.labels, verdict.probabilities, strict=True)
        if probability >= verdict.label_threshold
    }
    # The probability of this set, as far as labels stand for themselves.
    likely = verdict.probabilities
    confidence = float(np.where(likely >= verdict.label_threshold, likely, 1 - likely).prod())
    accepted = verdict.inlier >= reader.threshold
    return (
        True,
        said == set(row.labels),
        accepted,
        confidence,
        verdict.inlier,
        *_sets(row, said, columns),
        _NO_SPANS,
    )


def _joined(
    reader: Reader, task: Task, row: SuiteRow, columns: Sequence[str], verdicts: Sequence[Verdict]
) -> _Outcome:
    best = [best_label(reader, verdict, task.out_of_scope) for verdict in verdicts]
    said = {label for label, _ in best}
    confidence = math.prod(probability for _, probability in best)
    inlier = min(verdict.inlier for verdict in verdicts)
    accepted = all(_accepts(reader, task, verdict) for verdict in verdicts)
    return True, said == set(row.labels), accepted, confidence, inlier, *_sets(row, said, columns), _NO_SPANS


def _sets(row: SuiteRow, said: set[str], columns: Sequence[str]) -> tuple[list[bool], list[bool]]:
    return [label in row.labels for label in columns], [label in said for label in columns]


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


def _rival(index: int) -> Callable[[Outcomes], float]:
    return lambda rows: (
        auroc(rows.ood_baselines[:, index], rows.in_scope)
        if rows.ood_baselines.shape[1] > index
        else math.nan
    )


def _micro_f1(rows: Outcomes) -> float:
    return micro_f1(rows.truth, rows.said)


def _macro_f1(rows: Outcomes) -> float:
    return macro_f1(rows.truth, rows.said)


def ranking(task: Task, rows: Outcomes) -> tuple[Floats, Bools]:
    """(score, wrong) of a risk-coverage curve.

    The score is `inlier` where some test rows are out of scope, else the confidence. An accepted row is wrong
    when its label is, or when it is out of scope.
    """
    return rows.inlier if task.tests_scope else rows.confidence, ~(rows.right & rows.in_scope)


def metrics_of(task: Task) -> Mapping[str, Metric]:
    """The metrics a task is measured by, in the order of telling; typing errors are to hurt the first."""
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
            on_clean |= {f"auroc_{name}": _rival(index) for index, name in enumerate(OOD_SCORES)}
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
