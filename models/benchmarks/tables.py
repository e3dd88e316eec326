"""A suite's results for a terminal of 80 columns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from slmfleet.models.benchmarks.result import Published, SuiteResult, TaskResult

LEGEND = (
    "Percent, the mean over seeds [95 % interval: bootstrap over test rows]; sd: standard deviation over "
    "seeds. Goal: the best published figure, or the floor (*, a simple baseline of this project) where "
    "nothing is published. Published thresholds may have been chosen on the test set; these never are."
)


def told(figure: Published) -> str:
    """`BERT 96.9`, a floor with a star."""
    return f"{figure.system}{'*' if figure.kind == 'floor' else ''} {figure.value:.1f}"


def told_cost(task: TaskResult) -> str:
    """What a reader costs, in a line."""
    latency = statistics.median(task.cost.latency_ms)
    return (
        f"trained in {statistics.fmean(task.cost.training_s):.0f} s, {task.cost.bytes / 1e6:.1f} MB, "
        f"{task.cost.parameters / 1e6:.1f} M parameters, {latency:.2f} ms a text"
    )


def told_rows(task: TaskResult) -> str:
    """How many rows there were to learn from and to be measured on, in a line."""
    outside = f", {task.out_of_scope_rows} of them out of scope" if task.out_of_scope_rows else ""
    return (
        f"{task.labels} labels, {task.train_rows} training rows ({task.dropped_rows} left out for "
        f"{task.test_rows_with_twin} test rows that repeat them), {task.test_rows} test rows{outside}"
    )


def tables(result: SuiteResult) -> Iterator[RenderableType]:
    """One table a task: ours, the goal and what others reached."""
    yield f"{result.title}. {result.seeds} seed{'s' if result.seeds > 1 else ''}."
    for task in result.tasks:
        yield ""
        table = Table(
            title=f"{result.suite} {task.name}", title_justify="left", box=None, padding=(0, 1, 0, 0)
        )
        for head in ("metric", "ours", "sd", "goal", "published"):
            table.add_column(head, ratio=1 if head == "published" else None, no_wrap=head != "published")
        for name, measure in task.metrics.items():
            goal = task.goals.get(name)
            others = [told(figure) for figure in task.published if figure.metric == name]
            table.add_row(
                name,
                str(measure),
                "-" if measure.sd is None else f"{measure.sd:.1f}",
                "-" if goal is None else f"{goal:.1f}",
                ", ".join(others) or "-",
            )
        yield table
        yield f"{told_rows(task)}; {told_cost(task)}."
    yield ""
    yield LEGEND
