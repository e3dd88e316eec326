from __future__ import annotations

from pathlib import Path

import pytest
from fakes.readers import TfidfReader, no_bar, slice_of

pytest.importorskip("matplotlib")
from slmfleet.models.benchmarks.plots import plot_published, plot_risk_coverage
from slmfleet.models.benchmarks.result import TaskResult
from slmfleet.models.benchmarks.run import run_suite
from slmfleet.models.benchmarks.tasks import load_suite


@pytest.fixture(scope="module")
def result() -> TaskResult:
    suite = slice_of(load_suite("hint3-v1"), 120, 60)
    return run_suite(suite, 1, TfidfReader, no_bar, resamples=20).tasks[0]


@pytest.mark.parametrize("plot", [plot_published, plot_risk_coverage], ids=lambda plot: plot.__name__)
def test_the_same_result_is_the_same_drawing(plot, result: TaskResult, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("one", "two"):
        plot("hint3-v1", result, tmp_path / f"{name}.svg")
    one, two = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b"hint3-v1 sofmattress" in one


def test_each_metric_that_others_published_has_a_panel(result: TaskResult, tmp_path: Path) -> None:
    plot_published("hint3-v1", result, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    published = {figure.metric for figure in result.published}
    assert published
    for metric in result.metrics:
        assert (f"{metric}, percent" in drawn) == (metric in published)
