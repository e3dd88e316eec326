"""`--report FOLDER`: results kept as JSON, and a page with plots made of all that are kept.

FOLDER/results.md                         the page, from the JSON alone
FOLDER/<suite>/results.json               what was measured
FOLDER/<suite>/<task>-published.svg       ours beside others'
FOLDER/<suite>/<task>-risk-coverage.svg   mistakes against share answered, of tasks with rows out of scope
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from slmfleet.models.benchmarks.plots import plot_published, plot_risk_coverage
from slmfleet.models.benchmarks.result import SuiteResult, TaskResult
from slmfleet.models.benchmarks.tables import LEGEND, told, told_cost, told_rows
from slmfleet.models.benchmarks.tasks import SUITES
from slmfleet.models.errors import DataFault


def write_report(folder: Path, result: SuiteResult) -> None:
    """Keep `result` in `folder` and make page and plots anew from all results there.

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
    """The Markdown page: nothing on it that is not in `results`."""
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
        others = ", ".join(told(figure) for figure in task.published if figure.metric == name)
        spread = "" if measure.sd is None else f"{measure.sd:.1f}"
        yield (
            f"| {name} | {measure} | {spread} | {'' if goal is None else f'{goal:.1f}'} | "
            f"{others.replace('*', chr(92) + '*')} |"
        )
    yield ""
    yield f"{told_rows(task)}; {told_cost(task)}."
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
