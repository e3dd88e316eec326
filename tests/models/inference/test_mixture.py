from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from slmfleet.models.inference.mixture import Mixture, Signals, Trust, log_odds
from slmfleet.models.inference.numerics import log_softmax, softmax
from slmfleet.models.training.confidence import expected_calibration_error, negative_log_likelihood

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


class TestFitting:
    @pytest.fixture
    def held_out(self) -> tuple[list[Signals], NDArray[np.int64]]:
        """Rows that either head tells something of, and a third that belong nowhere."""
        pytest.importorskip("sklearn")
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

    def test_the_mixture_beats_either_head(self, held_out: tuple[list[Signals], NDArray[np.int64]]) -> None:
        from slmfleet.models.training.mixture_fit import fit_mixture

        made, wanted = held_out
        mixture = fit_mixture(made, wanted, LABELS)
        known = wanted >= 0
        mixed = np.stack([mixture.probabilities(one) for one in made])[known]
        loss = negative_log_likelihood(np.log(mixed), wanted[known], 1.0)
        for head in ("meaning", "spelling"):
            alone = np.stack([getattr(one, head) for one in made])[known]
            assert loss < negative_log_likelihood(alone, wanted[known], 1.0)

    def test_the_trust_is_calibrated_where_probabilities_are_not(
        self,
        held_out: tuple[list[Signals], NDArray[np.int64]],
    ) -> None:
        from slmfleet.models.training.mixture_fit import fit_mixture

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
        self, held_out: tuple[list[Signals], NDArray[np.int64]]
    ) -> None:
        from slmfleet.models.training.mixture_fit import ENOUGH_ROWS, fit_mixture

        made, wanted = held_out
        # The lexical head is given another row's evidence: of rows enough the encoder is followed.
        misled = [signals(one.meaning, made[row - 1].spelling) for row, one in enumerate(made)]
        models = int((wanted >= 0).sum()) // ENOUGH_ROWS + 1
        assert fit_mixture(misled, wanted, LABELS).lexical_weight < 1.0
        assert fit_mixture(misled, wanted, LABELS, models).lexical_weight == 1.0

    def test_few_rows_fit_nothing(self) -> None:
        pytest.importorskip("sklearn")
        from slmfleet.models.training.mixture_fit import fit_mixture

        few = [signals(np.zeros(LABELS), np.zeros(LABELS))] * 3
        assert fit_mixture(few, np.array([0, 1, 2]), LABELS) == Mixture(lexical_weight=1.0)


def test_log_softmax_is_exact_where_softmax_gives_nothing() -> None:
    logits = np.array([0.0, -2_000.0])
    assert softmax(logits)[1] == 0
    assert log_softmax(logits)[1] == -2_000
