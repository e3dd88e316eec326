"""Fitting a mixture to rows that the model was not trained on. Training time only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from slmfleet.models.calibrate import fit_temperature, negative_log_likelihood
from slmfleet.models.mixture import Mixture, Signals, Trust, for_trust

#: Label index of a held-out row that belongs to no label.
NOWHERE = -1
_LEXICAL_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
#: Fewer rows than these tell nothing: the mixture stays as it is.
MIN_ROWS = 10


def fit_mixture(signals: Sequence[Signals], wanted: NDArray[np.int64], trusted: int) -> Mixture:
    """The mixture of least negative log-likelihood on held-out rows, and the trust fitted on the same rows.

    `wanted` (rows,) are label indices, or NOWHERE: such rows count for the trust alone. The trust is that
    the best of the first `trusted` labels is right.
    """
    known = wanted >= 0
    if known.sum() < MIN_ROWS:
        return Mixture(lexical_weight=0.5)
    meaning = np.stack([signal.meaning for signal in signals])[known]
    spelling = np.stack([signal.spelling for signal in signals])[known]
    best, least = Mixture(), np.inf
    for weight in _LEXICAL_WEIGHTS:
        mixed = meaning + weight * spelling
        temperature = fit_temperature(mixed, wanted[known])
        loss = negative_log_likelihood(mixed, wanted[known], temperature)
        if loss < least:
            best, least = Mixture(weight, temperature, trusted=trusted), loss
    return replace(best, trust=_fit_trust(best, signals, wanted))


def _fit_trust(mixture: Mixture, signals: Sequence[Signals], wanted: NDArray[np.int64]) -> Trust:
    clues, right = [], []
    for signal, label in zip(signals, wanted, strict=True):
        probabilities = mixture.probabilities(signal)
        chosen = int(np.argmax(probabilities[: mixture.trusted]))
        clues.append(for_trust(signal, probabilities, chosen))
        right.append(chosen == label)
    if len(set(right)) < 2:
        # Nothing went wrong (or nothing right): the mixture's own probability is the best guess there is.
        return Trust()
    model = LogisticRegression(C=1.0, fit_intercept=False, max_iter=1_000)
    model.fit(np.stack(clues), np.array(right))
    bias, margin, spelling, nearness = (float(weight) for weight in model.coef_[0])
    return Trust(bias, margin, spelling, nearness)
