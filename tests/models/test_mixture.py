from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from slmfleet.models.calibrate import (
    expected_calibration_error,
    log_softmax,
    negative_log_likelihood,
    softmax,
)
from slmfleet.models.mixture import Mixture, Signals, Trust, for_trust

LABELS = 4


def signals(meaning: object, spelling: object, nearness: object = (0.0,) * LABELS) -> Signals:
    return Signals(*(np.asarray(part, dtype=float) for part in (meaning, spelling, nearness)))


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


def test_trust_weighs_what_speaks_for_a_label() -> None:
    one = signals(log_softmax(np.array([3.0, 0, 0, 0])), [-1.0, -2, -3, -4], [0.9, 0, 0, 0])
    mixture = Mixture(trust=Trust(bias=-1, margin=0.5, spelling=0.25, nearness=2), trusted=LABELS)
    probabilities = mixture.probabilities(one)
    odds = np.log(probabilities[0] / (1 - probabilities[0]))
    expected = 1 / (1 + np.exp(-(-1 + 0.5 * odds + 0.25 * -1 + 2 * 0.9)))
    assert mixture.confidence(one, probabilities, 0) == pytest.approx(expected)


def test_of_a_label_beyond_the_trusted_its_probability_is_told() -> None:
    one = signals([0, 0, 0, 2.0], [0, 0, 0, 0])
    mixture = Mixture(trust=Trust(bias=5), trusted=3)
    probabilities = mixture.probabilities(one)
    assert mixture.confidence(one, probabilities, 3) == probabilities[3]


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_certainty_gives_finite_clues(extreme: float) -> None:
    one = signals([-np.inf, 0, 0, 0], [-np.inf, 0, 0, 0])
    assert np.isfinite(for_trust(one, np.array([extreme, 0, 0, 0]), 0)).all()


class TestFitting:
    @pytest.fixture
    def held_out(self) -> tuple[list[Signals], NDArray[np.int64]]:
        """Rows whose spelling tells more than their meaning, and a third that belong nowhere."""
        pytest.importorskip("sklearn")
        rng = np.random.default_rng(5)
        made, wanted = [], []
        for row in range(600):
            label = int(rng.integers(LABELS))
            strength = 0.3 if row % 3 == 0 else 3.0
            meaning, spelling = rng.normal(size=LABELS), rng.normal(size=LABELS)
            meaning[label] += 0.4 * strength
            spelling[label] += strength
            made.append(signals(log_softmax(2 * meaning), log_softmax(spelling), rng.random(LABELS)))
            wanted.append(-1 if row % 3 == 0 else label)
        return made, np.array(wanted)

    def test_the_mixture_beats_either_head(self, held_out: tuple[list[Signals], NDArray[np.int64]]) -> None:
        from slmfleet.models.mixture_fit import fit_mixture

        made, wanted = held_out
        mixture = fit_mixture(made, wanted, LABELS)
        known = wanted >= 0
        mixed = np.stack([mixture.probabilities(one) for one in made])[known]
        loss = negative_log_likelihood(np.log(mixed), wanted[known], 1.0)
        for head in ("meaning", "spelling"):
            alone = np.stack([getattr(one, head) for one in made])[known]
            assert loss < negative_log_likelihood(alone, wanted[known], 1.0)
        assert mixture.lexical_weight > 0.5

    def test_the_trust_is_calibrated_where_probabilities_are_not(
        self,
        held_out: tuple[list[Signals], NDArray[np.int64]],
    ) -> None:
        from slmfleet.models.mixture_fit import fit_mixture

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

    def test_few_rows_fit_nothing(self) -> None:
        pytest.importorskip("sklearn")
        from slmfleet.models.mixture_fit import fit_mixture

        few = [signals(np.zeros(LABELS), np.zeros(LABELS))] * 3
        assert fit_mixture(few, np.array([0, 1, 2]), LABELS) == Mixture(lexical_weight=0.5)


def test_log_softmax_is_exact_where_softmax_gives_nothing() -> None:
    logits = np.array([0.0, -2_000.0])
    assert softmax(logits)[1] == 0
    assert log_softmax(logits)[1] == -2_000
