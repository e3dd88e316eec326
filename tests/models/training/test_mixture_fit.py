from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")
from slmfleet.models.inference.mixture import Mixture, Signals
from slmfleet.models.inference.numerics import log_softmax
from slmfleet.models.training.confidence import expected_calibration_error, negative_log_likelihood
from slmfleet.models.training.mixture_fit import ENOUGH_ROWS, fit_mixture

LABELS = 4


def signals(encoder: NDArray[np.float64], lexical: NDArray[np.float64]) -> Signals:
    return Signals(np.asarray(encoder), np.asarray(lexical))


@pytest.fixture
def held_out() -> tuple[list[Signals], NDArray[np.int64]]:
    """Signals of rows that either head knows something of, and of a third that have no label."""
    rng = np.random.default_rng(5)
    made, wanted = [], []
    for row in range(600):
        label = int(rng.integers(LABELS))
        strength = 0.3 if row % 3 == 0 else 3.0
        meaning, spelling = rng.normal(size=LABELS), rng.normal(size=LABELS)
        meaning[label] += 0.8 * strength
        spelling[label] += strength
        made.append(signals(log_softmax(2 * meaning), log_softmax(spelling)))
        wanted.append(-1 if row % 3 == 0 else label)
    return made, np.array(wanted)


def test_the_mixture_beats_either_head(held_out: tuple[list[Signals], NDArray[np.int64]]) -> None:
    made, wanted = held_out
    mixture = fit_mixture(made, wanted, LABELS)
    known = wanted >= 0
    mixed = np.stack([mixture.probabilities(one) for one in made])[known]
    loss = negative_log_likelihood(np.log(mixed), wanted[known], 1.0)
    for head in ("encoder", "lexical"):
        alone = np.stack([getattr(one, head) for one in made])[known]
        assert loss < negative_log_likelihood(alone, wanted[known], 1.0)


def test_the_trust_is_calibrated_where_probabilities_are_not(
    held_out: tuple[list[Signals], NDArray[np.int64]],
) -> None:
    made, wanted = held_out
    mixture = fit_mixture(made[:300], wanted[:300], LABELS)
    right, told, plain = [], [], []
    for one, label in zip(made[300:], wanted[300:], strict=True):
        probabilities = mixture.probabilities(one)
        best = int(probabilities.argmax())
        right.append(best == label)
        told.append(mixture.confidence(one, probabilities, best))
        plain.append(probabilities[best])
    error = expected_calibration_error(np.array(told), np.array(right), 10)
    assert error < 0.1 < expected_calibration_error(np.array(plain), np.array(right), 10)


def test_few_rows_of_each_of_many_models_count_both_heads_alike(
    held_out: tuple[list[Signals], NDArray[np.int64]],
) -> None:
    made, wanted = held_out
    # The lexical head is given another row's evidence: of rows enough the encoder is followed.
    misled = [signals(one.encoder, made[row - 1].lexical) for row, one in enumerate(made)]
    models = int((wanted >= 0).sum()) // ENOUGH_ROWS + 1
    assert fit_mixture(misled, wanted, LABELS).lexical_weight < 1.0
    assert fit_mixture(misled, wanted, LABELS, models).lexical_weight == 1.0


def test_few_rows_fit_nothing() -> None:
    few = [signals(np.zeros(LABELS), np.zeros(LABELS))] * 3
    assert fit_mixture(few, np.array([0, 1, 2]), LABELS) == Mixture(lexical_weight=1.0)
