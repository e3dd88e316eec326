from __future__ import annotations

from slmfleet.models.training.evaluate import Share
from slmfleet.services.evaluation.figures import Figure


def test_a_share_in_percent_with_its_interval_and_rows() -> None:
    figure = Figure.of(Share(8, 10))
    assert (figure.percent, figure.low, figure.high, figure.hits, figure.total) == (80.0, 49.02, 94.33, 8, 10)
    assert str(figure) == "80.0 [49-94] 10"


def test_of_no_rows_nothing_is_known() -> None:
    figure = Figure.of(Share(0, 0))
    assert (figure.percent, figure.low, figure.high) == (None, None, None)
    assert str(figure) == "-"
