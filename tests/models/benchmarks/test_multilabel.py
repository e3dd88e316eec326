from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from slmfleet.models.benchmarks.multilabel import fit_label_threshold
from slmfleet.models.benchmarks.scores import micro_f1


@pytest.fixture
def held_out() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-odds of labels, most of which are seldom meant, and which are meant."""
    rng = np.random.default_rng(3)
    odds = rng.normal(loc=-1.5, scale=2, size=(3_000, 4))
    return odds, rng.random(odds.shape) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_is_too_sharp_or_too_dull(
    held_out: tuple[NDArray[np.float64], NDArray[np.bool_]], sharpness: float
) -> None:
    odds, truth = held_out
    assert fit_label_threshold(sharpness * odds, truth).temperature == pytest.approx(sharpness, rel=0.15)


def test_a_label_is_told_from_where_f1_is_highest(
    held_out: tuple[NDArray[np.float64], NDArray[np.bool_]],
) -> None:
    odds, truth = held_out
    cut = fit_label_threshold(odds, truth)
    # Of probabilities that are true, F1 is highest from half of itself on.
    f1 = micro_f1(cut.probabilities(odds) >= cut.label_threshold, truth)
    assert cut.label_threshold == pytest.approx(f1 / 2, abs=0.06)
    assert f1 > micro_f1(odds >= 0, truth) + 0.02
