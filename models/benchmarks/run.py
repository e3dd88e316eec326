"""`slmfleet evaluate --suite`: train a reader a seed, measure it on a published data set's test rows."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from slmfleet.models.benchmarks.checkpoints import Run, RunStore
from slmfleet.models.benchmarks.metrics import RESAMPLES, intervals, metrics_of, ranking
from slmfleet.models.benchmarks.outcomes import Measured, measure
from slmfleet.models.benchmarks.report import tables, write_report
from slmfleet.models.benchmarks.result import Cost, Curve, Measure, Published, SuiteResult, TaskResult
from slmfleet.models.benchmarks.scores import risk_coverage
from slmfleet.models.benchmarks.task import Reader, Suite, Task, Trainer
from slmfleet.models.benchmarks.tasks import load_suite
from slmfleet.models.errors import SettingsFault
from slmfleet.models.progress import Bars, counted

#: Texts whose reading is timed, after a few to warm up.
TIMED_TEXTS: Final = 200
_WARM_UP_TEXTS: Final = 10
_CURVE_POINTS: Final = 100


def evaluate_suite(
    name: str,
    seeds: int,
    fleet: Path,
    cache: Path,
    bar: Bars,
    trainer: Trainer | None = None,
    runs: RunStore | None = None,
) -> SuiteResult:
    """Measure the suite called `name` on readers of `trainer` (SuiteTrainer by default), `seeds` times.

    `cache` is the folder of SuiteTrainer's base encoder; `runs` has the outcomes of finished trainings. Each
    long step reports to a `bar` of its own. Raises NotFound for an unknown name, SettingsFault for no seeds
    or without the extra `train`, DataFault or FleetFault for rows that cannot be read.
    """
    if seeds < 1:
        raise SettingsFault(f"seeds should be 1 or more, not {seeds}")
    suite = load_suite(name, fleet)
    if trainer is None:
        trainer = _suite_trainer(cache)
    return run_suite(suite, seeds, trainer, bar, runs=runs)


def _suite_trainer(cache: Path) -> Trainer:
    try:
        from slmfleet.models.benchmarks.trainer import SuiteTrainer
    except ModuleNotFoundError as error:
        raise SettingsFault(
            f"a suite is measured on models that are trained for it, which needs {error.name}: install the "
            "extra with pip install 'slmfleet[train]'"
        ) from None
    return SuiteTrainer(cache)


def show_suite(result: SuiteResult, as_json: bool, report: Path | None) -> None:
    """Print `result` as tables or JSON, and write the page into `report`. Raises DataFault, SettingsFault."""
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
        for part in tables(result):
            console.print(part)
    if report is not None:
        write_report(report, result)


def run_suite(
    suite: Suite,
    seeds: int,
    trainer: Trainer,
    bar: Bars,
    resamples: int = RESAMPLES,
    runs: RunStore | None = None,
) -> SuiteResult:
    """Train and measure every task of `suite` with seeds 0 to `seeds` - 1.

    Successive tasks that name the same reader are measured on the same trained readers. What `runs` has is
    not trained for again.
    """
    results: list[TaskResult] = []
    for _, group in groupby(suite.tasks, key=lambda task: task.reader):
        tasks = list(group)
        found = [_runs_of(tasks, seed, trainer, bar, runs) for seed in range(seeds)]
        for task, mine in zip(tasks, zip(*found, strict=True), strict=True):
            step = counted(bar(f"{task.name}: resample"), resamples)
            results.append(_task_result(task, mine, step, resamples))
    return SuiteResult(
        suite=suite.name,
        title=suite.title,
        seeds=seeds,
        resamples=resamples,
        licences=dict(suite.licences),
        tasks=results,
    )


def _runs_of(
    tasks: Sequence[Task], seed: int, trainer: Trainer, bar: Bars, runs: RunStore | None
) -> list[Run]:
    """The runs of one reader on each of `tasks`, in their order."""
    if runs is not None:
        found = [run for task in tasks if (run := runs.find(task, seed)) is not None]
        if len(found) == len(tasks):
            bar(f"{tasks[0].name}: kept {seed}")(1, 1)
            return found
    started = time.perf_counter()
    reader = trainer(tasks[0], seed, bar(f"{tasks[0].name}: train {seed}"))
    seconds = round(time.perf_counter() - started, 1)
    measured_runs = []
    for task in tasks:
        latency_ms = round(median_ms(reader, task), 3)
        measured = measure(reader, task, bar(f"{task.name}: read {seed}"))
        run = Run(measured, seconds, latency_ms, reader.bytes, reader.parameters)
        measured_runs.append(run if runs is None else runs.store(task, seed, run))
    return measured_runs


def median_ms(reader: Reader, task: Task) -> float:
    """The median milliseconds of reading one of the first test texts, one after another in this thread."""
    read: Callable[[str], object] = reader.read_joined if task.kind == "joined" else reader.read
    texts = [row.text for row in task.test[:TIMED_TEXTS]]
    for text in texts[:_WARM_UP_TEXTS]:
        read(text)
    took = []
    for text in texts:
        started = time.perf_counter()
        read(text)
        took.append(1e3 * (time.perf_counter() - started))
    return statistics.median(took) if took else math.nan


def _task_result(task: Task, found: Sequence[Run], tick: Callable[[], None], resamples: int) -> TaskResult:
    runs = [run.measured for run in found]
    metrics = metrics_of(task)
    ends = intervals(runs, metrics, tick, resamples)
    return TaskResult(
        name=task.name,
        kind=task.kind,
        labels=len(task.labels),
        train_rows=len(task.train),
        dropped_rows=task.dropped,
        validation_rows=len(task.validation),
        test_rows=len(task.test),
        out_of_scope_rows=sum(row.labels == (task.out_of_scope,) for row in task.test),
        test_rows_with_twin=task.twins,
        metrics={
            name: Measure.of([metric(run) for run in runs], ends[name]) for name, metric in metrics.items()
        },
        goals=dict(task.goals),
        published=[Published.of(figure) for figure in task.published],
        cost=Cost(
            training_s=[run.training_s for run in found],
            latency_ms=[run.latency_ms for run in found],
            bytes=found[-1].bytes,
            parameters=found[-1].parameters,
        ),
        risk_coverage=_curve(task, runs),
    )


def _curve(task: Task, runs: Sequence[Measured]) -> Curve:
    risks = [risk_coverage(*ranking(task, run.clean)) for run in runs]
    count = len(risks[0])
    coverage = np.arange(1, _CURVE_POINTS + 1) / _CURVE_POINTS
    at = np.maximum(np.ceil(coverage * count).astype(int), 1) - 1
    risk = np.mean([one[at] for one in risks], axis=0)
    return Curve(
        coverage=[round(100 * float(value), 2) for value in coverage],
        risk=[round(100 * float(value), 2) for value in risk],
    )
