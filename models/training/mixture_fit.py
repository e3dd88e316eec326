"""Fitting a mixture to rows that the model was not trained on. Training time only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from slmfleet.models.inference.mixture import Mixture, Signals, Trust
from slmfleet.models.training.confidence import MIN_ROWS, fit_temperature, negative_log_likelihood

#: Label index of a held-out row that belongs to no label.
NO_LABEL = -1
#: Rows of one model of which the weight of the lexical head is fitted.
ENOUGH_ROWS = 150
_LEXICAL_WEIGHTS = (0.25, 0.5, 0.75, 1.0)
#: A score that is the same for all rows has no information, and must not be divided by zero.
_LEAST_DEVIATION = 1e-6


def fit_mixture(
    signals: Sequence[Signals], wanted: NDArray[np.int64], trusted: int, models: int = 1
) -> Mixture:
    """The mixture that suits held-out rows, and the trust in it, fitted on the same rows.

    `wanted` (rows,) are label indices, or NO_LABEL. Those of the first `trusted` labels fit the mixture; all
    fit the trust, which is that the best of those labels is right. The rows may come from several `models`,
    each of which was not trained on its part of them.
    """
    known = (wanted >= 0) & (wanted < trusted)
    if known.sum() < MIN_ROWS:
        return Mixture(lexical_weight=1.0)
    encoder = np.stack([signal.encoder for signal in signals])[known]
    lexical = np.stack([signal.lexical for signal in signals])[known]
    # Few held-out rows would favour the head that is surer of rows like its own: both weigh the same then.
    weights = _LEXICAL_WEIGHTS if known.sum() >= models * ENOUGH_ROWS else (1.0,)
    least, mixture = np.inf, Mixture()
    for weight in weights:
        mixed = encoder + weight * lexical
        temperature = fit_temperature(mixed, wanted[known])
        loss = negative_log_likelihood(mixed, wanted[known], temperature)
        if loss < least:
            least, mixture = loss, Mixture(weight, temperature, trusted=trusted)
    return replace(mixture, trust=_fit_trust(mixture, signals, wanted))


def _fit_trust(mixture: Mixture, signals: Sequence[Signals], wanted: NDArray[np.int64]) -> Trust:
    scores, right = [], []
    for signal, label in zip(signals, wanted, strict=True):
        probabilities = mixture.probabilities(signal)
        best = int(np.argmax(probabilities[: mixture.trusted]))
        scores.append(mixture.scores(signal, probabilities, best))
        right.append(best == label)
    if len(set(right)) < 2:
        # All right, or all wrong: the mixture's own probability is the best estimate.
        return Trust()
    seen = np.array(scores)
    deviations = np.maximum(seen.std(0), _LEAST_DEVIATION)
    apart = ((seen - seen.mean(0)) / deviations).mean(1, keepdims=True)
    model = LogisticRegression(C=1.0, max_iter=1_000).fit(apart, np.array(right))
    scales = tuple(zip(seen.mean(0).tolist(), deviations.tolist(), strict=True))
    return Trust(float(model.intercept_[0]), float(model.coef_[0][0]), scales)
