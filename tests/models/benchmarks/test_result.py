from __future__ import annotations

import math

import pytest

from slmfleet.models.benchmarks.result import Measure, Published
from slmfleet.models.benchmarks.task import PublishedFigure


def test_shares_become_percent_with_mean_and_sample_deviation() -> None:
    measure = Measure.of([0.8, 0.9], (0.75, 0.95))
    assert (measure.values, measure.mean, measure.low, measure.high) == ([80.0, 90.0], 85.0, 75.0, 95.0)
    assert measure.sd == pytest.approx(7.07)
    assert str(measure) == "85.0 [75.0-95.0]"


def test_what_cannot_be_measured_is_none() -> None:
    assert Measure.of([math.nan, 0.5], (math.nan, math.nan)).model_dump() == {
        "values": [None, 50.0], "mean": None, "sd": None, "low": None, "high": None,
    }  # fmt: skip
    assert str(Measure.of([math.nan], (math.nan, math.nan))) == "-"


def test_a_published_figure_has_every_field_of_the_tasks() -> None:
    figure = PublishedFigure("Them", "accuracy", 71.3, "paper", "a note", "floor")
    assert Published.of(figure).model_dump() == {
        "system": "Them", "metric": "accuracy", "value": 71.3, "source": "paper", "note": "a note",
        "kind": "floor",
    }  # fmt: skip
