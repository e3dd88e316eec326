from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import log_loss

from slmfleet.models.inference.numerics import softmax
from slmfleet.models.training.confidence import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    threshold_for_error,
)


def test_likelihood_is_scikit_learns() -> None:
    dice = np.random.default_rng(1)
    logits, wanted = dice.normal(size=(200, 5)), dice.integers(0, 5, 200)
    ours = negative_log_likelihood(logits, wanted, 1.7)
    assert ours == pytest.approx(log_loss(wanted, softmax(logits, 1.7), labels=range(5)))


def test_the_temperature_that_logits_were_spoiled_with_is_found() -> None:
    dice = np.random.default_rng(2)
    logits = dice.normal(size=(5_000, 4)) * 2
    wanted = np.array([dice.choice(4, p=row) for row in softmax(logits)])
    assert fit_temperature(logits * 3.0, wanted) == pytest.approx(3.0, rel=0.08)


def test_calibration_error_of_honest_and_of_boastful_confidence() -> None:
    dice = np.random.default_rng(3)
    honest = dice.uniform(0.5, 1, 20_000)
    correct = dice.uniform(size=20_000) < honest
    assert expected_calibration_error(honest, correct) < 0.02
    assert expected_calibration_error(np.ones(20_000), correct) == pytest.approx(1 - correct.mean())


@given(
    hnp.arrays(
        np.float64, st.shared(st.integers(1, 60), key="n"), elements=st.sampled_from([0.2, 0.5, 0.7, 0.9])
    ),
    hnp.arrays(np.bool_, st.shared(st.integers(1, 60), key="n")),
    st.sampled_from([0.0, 0.02, 0.1, 0.5]),
)
def test_a_threshold_keeps_its_promise_and_is_the_least_that_does(
    confidence: np.ndarray, wrong: np.ndarray, rate: float
) -> None:
    threshold = threshold_for_error(confidence, wrong, rate)
    taken = confidence >= threshold
    assert not taken.any() or wrong[taken].mean() <= rate
    for lower in {value for value in confidence if value < threshold}:
        assert wrong[confidence >= lower].mean() > rate
