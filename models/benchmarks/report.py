"""A suite's results as tables for a terminal of 80 columns, and `--report FOLDER`: JSON, a page and plots.

FOLDER/results.md                         the page, from the JSON alone
FOLDER/<suite>/results.json               what was measured
FOLDER/<suite>/<task>-published.svg       ours beside others'
FOLDER/<suite>/<task>-risk-coverage.svg   mistakes against share answered, of tasks with rows out of scope
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import RenderableType
from rich.table import Table

from slmfleet.models.benchmarks.plots import plot_published, plot_risk_coverage
from slmfleet.models.benchmarks.result import Published, SuiteResult, TaskResult
from slmfleet.models.benchmarks.tasks import SUITES
from slmfleet.models.errors import DataFault

LEGEND = (
    "Percent, the mean over seeds [95 % interval: bootstrap over test rows]; sd: standard deviation over "
    "seeds. Goal: the best published figure, or the floor (*, a simple baseline of this project) where "
    "nothing is published. Published thresholds may have been chosen on the test set; these never are."
)


def write_report(folder: Path, result: SuiteResult) -> None:
    """Write `result` into `folder`, and page and plots anew from all results there.

    Raises DataFault for another results.json that cannot be read, SettingsFault without matplotlib.
    """
    path = folder / result.suite / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    results = read_results(folder)
    for one in results:
        for task in one.tasks:
            if task.published:
                plot_published(one.suite, task, folder / one.suite / _published_plot(task))
            if task.out_of_scope_rows:
                plot_risk_coverage(one.suite, task, folder / one.suite / _risk_plot(task))
    (folder / "results.md").write_text(page(results), encoding="utf-8")


def read_results(folder: Path) -> list[SuiteResult]:
    """Every `results.json` under `folder`, in the order of the suites. Raises DataFault."""
    results = []
    for path in sorted(folder.glob("*/results.json")):
        try:
            results.append(SuiteResult.model_validate_json(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise DataFault(f"{path}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None
    order = {name: index for index, name in enumerate(SUITES)}
    return sorted(results, key=lambda one: (order.get(one.suite, len(order)), one.suite))


def page(results: Sequence[SuiteResult]) -> str:
    """The Markdown page, from `results` alone."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Sequence[SuiteResult]) -> Iterator[str]:
    yield "# Results on published data sets"
    yield ""
    yield "Made by `slmfleet evaluate --suite NAME --report FOLDER`; not edited by hand."
    yield ""
    yield LEGEND.replace("*", "\\*")
    for result in results:
        yield ""
        yield f"## {result.suite}"
        yield ""
        licences = ", ".join(f"{source} {licence}" for source, licence in sorted(result.licences.items()))
        yield f"{result.title}. Seeds: {result.seeds}. Rows: {licences}."
        for task in result.tasks:
            yield from _task_lines(result.suite, task)


def _task_lines(suite: str, task: TaskResult) -> Iterator[str]:
    yield ""
    yield f"### {suite} {task.name}"
    yield ""
    yield "| metric | ours [95 %] | sd | goal | published |"
    yield "|---|---|---|---|---|"
    for name, measure in task.metrics.items():
        goal = task.goals.get(name)
        others = ", ".join(_figure(figure) for figure in task.published if figure.metric == name)
        spread = "" if measure.sd is None else f"{measure.sd:.1f}"
        yield (
            f"| {name} | {measure} | {spread} | {'' if goal is None else f'{goal:.1f}'} | "
            f"{others.replace('*', chr(92) + '*')} |"
        )
    yield ""
    yield f"{_rows_line(task)}; {_cost_line(task)}."
    systems: dict[str, list[str]] = defaultdict(list)
    for figure in task.published:
        note = figure.source + (f"; {figure.note}" if figure.note else "")
        if figure.system not in systems[note]:
            systems[note].append(figure.system)
    if systems:
        yield ""
        yield from (f"- {', '.join(sorted(found))}: {note}" for note, found in sorted(systems.items()))
    plots = []
    if task.published:
        plots.append(f"![ours beside published figures]({suite}/{_published_plot(task)})")
    if task.out_of_scope_rows:
        plots.append(f"![risk and coverage]({suite}/{_risk_plot(task)})")
    if plots:
        yield ""
        yield from plots


def _published_plot(task: TaskResult) -> str:
    return f"{task.name}-published.svg"


def _risk_plot(task: TaskResult) -> str:
    return f"{task.name}-risk-coverage.svg"


def _figure(figure: Published) -> str:
    """`BERT 96.9`, a floor with a star."""
    return f"{figure.system}{'*' if figure.kind == 'floor' else ''} {figure.value:.1f}"


def _cost_line(task: TaskResult) -> str:
    """One line: training time, size, parameters and latency."""
    latency = statistics.median(task.cost.latency_ms)
    return (
        f"trained in {statistics.fmean(task.cost.training_s):.0f} s, {task.cost.bytes / 1e6:.1f} MB, "
        f"{task.cost.parameters / 1e6:.1f} M parameters, {latency:.2f} ms a text"
    )


def _rows_line(task: TaskResult) -> str:
    """One line: labels, training rows and test rows."""
    outside = f", {task.out_of_scope_rows} of them out of scope" if task.out_of_scope_rows else ""
    return (
        f"{task.labels} labels, {task.train_rows} training rows ({task.dropped_rows} left out for "
        f"{task.test_rows_with_twin} test rows that repeat them), {task.test_rows} test rows{outside}"
    )


def tables(result: SuiteResult) -> Iterator[RenderableType]:
    """One table a task: our figures, the goal and published ones."""
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
            others = [_figure(figure) for figure in task.published if figure.metric == name]
            table.add_row(
                name,
                str(measure),
                "-" if measure.sd is None else f"{measure.sd:.1f}",
                "-" if goal is None else f"{goal:.1f}",
                ", ".join(others) or "-",
            )
        yield table
        yield f"{_rows_line(task)}; {_cost_line(task)}."
    yield ""
    yield LEGEND
