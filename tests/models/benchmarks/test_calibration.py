from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")
from slmfleet.models.benchmarks.calibration import calibrate_labels, fit_threshold
from slmfleet.models.benchmarks.scores import micro_f1


def rows(seed: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Trusts of rows that are right, and of as many out of scope whose log-odds lie 2 lower."""
    rng = np.random.default_rng(seed)
    right = np.arange(2 * count) < count
    return 1 / (1 + np.exp(-rng.normal(np.where(right, 1.0, -1.0), 1.0))), right


def test_it_lies_where_both_are_equally_likely() -> None:
    trust, right = rows(1, 20_000)
    # Of densities exp(-(x - 1)^2 / 2) * 0.6 and exp(-(x + 1)^2 / 2) * 0.4 the odds are 2x + log 1.5.
    assert fit_threshold(trust, right, ~right) == pytest.approx(1 / (1 + 1.5**0.5), abs=0.01)


def test_other_rows_and_how_many_there_are_of_each_change_nothing() -> None:
    trust, right = rows(2, 4_000)
    whole = fit_threshold(trust, right, ~right)
    fewer = right & (np.arange(len(right)) % 4 == 0)
    assert fit_threshold(trust, fewer, ~right) == pytest.approx(whole, abs=0.02)


def test_few_rows_give_nearly_the_same_again_and_again() -> None:
    found = [fit_threshold(*given, ~given[1]) for given in (rows(seed, 100) for seed in range(20))]
    assert np.std(found) < 0.05


def test_nothing_to_tell_apart_accepts_everything() -> None:
    trust, right = rows(3, 10)
    assert fit_threshold(trust, right, np.zeros_like(right)) == 0.0


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
    assert calibrate_labels(sharpness * odds, truth).temperature == pytest.approx(sharpness, rel=0.15)


def test_a_label_is_reported_from_where_f1_is_highest(
    held_out: tuple[NDArray[np.float64], NDArray[np.bool_]],
) -> None:
    odds, truth = held_out
    fitted = calibrate_labels(odds, truth)
    # Of probabilities that are true, F1 is highest from half of itself on.
    f1 = micro_f1(fitted.probabilities(odds) >= fitted.threshold, truth)
    assert fitted.threshold == pytest.approx(f1 / 2, abs=0.06)
    assert f1 > micro_f1(odds >= 0, truth) + 0.02
