"""How the evidence for each label is mixed into probabilities, and how far the best label can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.calibrate import log_softmax

Floats = NDArray[np.float64]
#: No evidence counts for more than this, in log-odds: one absurd number must not outweigh all others.
_MOST = 8.0


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one text, for each of n labels.

    `meaning` and `spelling` (n,) are the encoder's and the lexical head's log-probabilities; `nearness` (n,)
    the cosines of the text's embedding to the mean of each label's training utterances.
    """

    meaning: Floats
    spelling: Floats
    nearness: Floats


@dataclass(frozen=True, slots=True)
class Trust:
    """Log-odds that the best label is right: weights of what speaks for it, fitted on held-out rows."""

    bias: float = 0.0
    margin: float = 1.0
    spelling: float = 0.0
    nearness: float = 0.0


@dataclass(frozen=True, slots=True)
class Mixture:
    """`softmax((meaning + lexical_weight * spelling) / temperature)`, and the trust in its best label."""

    lexical_weight: float = 0.0
    temperature: float = 1.0
    trust: Trust = Trust()
    #: The trust was fitted for the first so many labels; of any other the probability itself is told.
    trusted: int = 0

    def probabilities(self, signals: Signals) -> Floats:
        """Of the labels, (n,)."""
        mixed = signals.meaning + self.lexical_weight * signals.spelling
        return np.asarray(np.exp(log_softmax(mixed / self.temperature)))

    def confidence(self, signals: Signals, probabilities: Floats, label: int) -> float:
        """The calibrated probability that `label`, given `probabilities`, is right."""
        if label >= self.trusted:
            return float(probabilities[label])
        trust = self.trust
        weights = np.array([trust.bias, trust.margin, trust.spelling, trust.nearness])
        return float(1 / (1 + np.exp(-weights @ for_trust(signals, probabilities, label))))


def for_trust(signals: Signals, probabilities: Floats, label: int) -> Floats:
    """What the trust in `label` is computed from, (4,): one, its log-odds, its spelling and its nearness."""
    chance = float(np.clip(probabilities[label], 1e-12, 1 - 1e-12))
    margin = np.clip(np.log(chance / (1 - chance)), -_MOST, _MOST)
    return np.array([1.0, margin, max(float(signals.spelling[label]), -_MOST), signals.nearness[label]])
