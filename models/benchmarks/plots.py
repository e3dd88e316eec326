"""Plots of a suite's results: SVG whose bytes depend on the results alone. Needs the extra `train`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slmfleet.models.benchmarks.result import TaskResult
from slmfleet.models.errors import SettingsFault

_OURS = "#1f6fb4"
_OTHERS = "#b8bec6"
_FLOOR = "#e3e6ea"
_INK = "#3a3f45"
_STYLE = {
    "svg.fonttype": "none",
    # Element ids are hashes of this and of what is drawn.
    "svg.hashsalt": "slmfleet",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
}
#: A date or the version of the drawing library would change the bytes.
_METADATA = {"Date": None, "Creator": None}


@contextmanager
def _drawing() -> Iterator[Any]:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise SettingsFault(
            f"a report needs {error.name}: install the extra with pip install 'slmfleet[train]'"
        ) from None
    # Figure without pyplot draws with Agg and the SVG writer: no display, no global state.
    with matplotlib.rc_context(_STYLE):
        yield Figure


def plot_published(suite: str, task: TaskResult, path: Path) -> None:
    """One panel for each published metric, one bar for each system; ours with its 95 % interval."""
    metrics = [name for name in task.metrics if any(figure.metric == name for figure in task.published)]
    most = max(sum(figure.metric == name for figure in task.published) for name in metrics)
    with _drawing() as figure_type:
        across = min(2, len(metrics))
        down = math.ceil(len(metrics) / across)
        size = (3.8 * across, 0.4 + down * (0.5 + 0.24 * (most + 1)))
        figure = figure_type(figsize=size, layout="constrained")
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        for empty in panels[len(metrics) :]:
            empty.axis("off")
        for axes, name in zip(panels, metrics, strict=False):
            ours = task.metrics[name]
            bars = [
                (figure.system, figure.value, _FLOOR if figure.kind == "floor" else _OTHERS)
                for figure in task.published
                if figure.metric == name
            ]
            if ours.mean is not None:
                bars.append(("slmfleet", ours.mean, _OURS))
            bars.sort(key=lambda bar: bar[1])
            places = range(len(bars))
            axes.barh(places, [value for _, value, _ in bars], color=[colour for _, _, colour in bars])
            axes.set_yticks(places, [system for system, _, _ in bars])
            axes.tick_params(axis="y", length=0)
            for place, (system, value, _) in zip(places, bars, strict=True):
                axes.text(
                    1, place, f"{value:.1f}", va="center", color="white" if system == "slmfleet" else _INK
                )
                if system == "slmfleet" and ours.low is not None and ours.high is not None:
                    axes.plot([ours.low, ours.high], [place, place], color=_INK, linewidth=1.2)
            axes.set_xlim(0, 100)
            axes.set_title(f"{name}, percent", loc="left", fontsize=9)
        figure.suptitle(f"{suite} {task.name}", x=0.01, ha="left", fontsize=10)
        figure.savefig(path, format="svg", metadata=_METADATA)


def plot_risk_coverage(suite: str, task: TaskResult, path: Path) -> None:
    """The share of mistakes over the share of rows answered, surest first."""
    with _drawing() as figure_type:
        figure = figure_type(figsize=(4.4, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.plot(task.risk_coverage.coverage, task.risk_coverage.risk, color=_OURS)
        inside = 100 * (1 - task.out_of_scope_rows / task.test_rows)
        axes.axvline(inside, color=_OTHERS, linewidth=1, linestyle="--")
        axes.annotate(
            "in scope", (inside, 1), xycoords=("data", "axes fraction"), xytext=(-3, -3),
            textcoords="offset points", ha="right", va="top", color=_INK,
        )  # fmt: skip
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("answered, percent of rows")
        axes.set_ylabel("mistakes, percent of answered")
        axes.set_title(f"{suite} {task.name}", loc="left", fontsize=10)
        figure.savefig(path, format="svg", metadata=_METADATA)
