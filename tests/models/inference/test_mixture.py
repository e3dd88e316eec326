from __future__ import annotations

import numpy as np
import pytest

from slmfleet.models.inference.mixture import Mixture, Signals, Trust, log_odds
from slmfleet.models.inference.numerics import log_softmax

LABELS = 4


def signals(meaning: object, spelling: object, level: float = 0.0) -> Signals:
    return Signals(np.asarray(meaning, dtype=float), np.asarray(spelling, dtype=float), level)


def test_a_mixture_is_the_product_of_both_heads() -> None:
    meaning, spelling = log_softmax(np.array([2.0, 1.0, 0, 0])), log_softmax(np.array([0, 3.0, 0, 0]))
    mixed = Mixture(lexical_weight=1.0).probabilities(signals(meaning, spelling))
    expected = np.exp(meaning + spelling)
    assert mixed == pytest.approx(expected / expected.sum())
    assert Mixture().probabilities(signals(meaning, spelling)) == pytest.approx(np.exp(meaning))


def test_a_temperature_changes_no_winner_but_its_confidence() -> None:
    one = signals([3.0, 0, 0, 0], [0, 0, 0, 0])
    hot, cold = (Mixture(temperature=value).probabilities(one) for value in (4.0, 0.5))
    assert hot.argmax() == cold.argmax() == 0
    assert hot[0] < cold[0]


def test_trust_turns_odds_into_those_of_being_right() -> None:
    one = signals(log_softmax(np.array([3.0, 0, 0, 0])), [0, 0, 0, 0])
    mixture = Mixture(trust=Trust(bias=-1, slope=0.5), trusted=LABELS)
    probabilities = mixture.probabilities(one)
    odds = np.log(probabilities[0] / (1 - probabilities[0]))
    assert mixture.confidence(one, probabilities, 0) == pytest.approx(1 / (1 + np.exp(1 - 0.5 * odds)))


def test_of_a_label_beyond_the_trusted_its_probability_is_told() -> None:
    mixture = Mixture(trust=Trust(bias=5), trusted=3)
    one = signals([0, 0, 0, 2.0], [0, 0, 0, 0])
    probabilities = mixture.probabilities(one)
    assert mixture.confidence(one, probabilities, 3) == probabilities[3]


def test_all_scores_count_alike_by_their_deviations() -> None:
    logits = np.array([3.0, 1.0, 0, 0])
    one = signals(
        log_softmax(logits), log_softmax(np.array([0, 2.0, 0, 0])), float(np.log(np.exp(logits).sum()))
    )
    scales = ((1.0, 2.0), (3.0, 0.5), (-1.0, 4.0))
    mixture = Mixture(trust=Trust(bias=0.3, slope=2.0, scales=scales), trusted=3)
    probabilities = mixture.probabilities(one)
    told = mixture.scores(one, probabilities, 0)
    # The energy is that of the raw logits of the trusted labels, which their probabilities do not tell.
    assert told[1] == pytest.approx(np.log(np.exp(logits[:3]).sum()))
    assert told[2] == pytest.approx(log_softmax(np.array([0, 2.0, 0, 0]))[1])
    apart = [(score - mean) / deviation for score, (mean, deviation) in zip(told, scales, strict=True)]
    expected = 1 / (1 + np.exp(-(0.3 + 2.0 * np.mean(apart))))
    assert mixture.confidence(one, probabilities, 0) == pytest.approx(expected)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_certainty_has_finite_odds(extreme: float) -> None:
    assert np.isfinite(log_odds(extreme))
