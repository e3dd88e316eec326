"""How the evidence for each label is mixed into probabilities, and how far the best label can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.calibrate import log_softmax

Floats = NDArray[np.float64]
#: No text is surer than this, in log-odds.
_MOST = 8.0


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of one text, for each of n labels.

    `meaning` and `spelling` (n,) are the encoder's and the lexical head's log-probabilities.
    """

    meaning: Floats
    spelling: Floats


@dataclass(frozen=True, slots=True)
class Trust:
    """From the log-odds of a label to those of its being right, fitted on held-out rows (Platt 1999)."""

    bias: float = 0.0
    slope: float = 1.0


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

    def best(self, signals: Signals, among: int | None = None) -> tuple[int, float]:
        """The likeliest of the first `among` labels (None: of all), and the confidence in it."""
        probabilities = self.probabilities(signals)
        label = int(np.argmax(probabilities[:among]))
        return label, self.confidence(probabilities, label)

    def confidence(self, probabilities: Floats, label: int) -> float:
        """The calibrated probability that `label`, given `probabilities`, is right."""
        if label >= self.trusted:
            return float(probabilities[label])
        odds = self.trust.bias + self.trust.slope * log_odds(float(probabilities[label]))
        return float(1 / (1 + np.exp(-odds)))


def log_odds(probability: float) -> float:
    """Natural log-odds, held within +-_MOST."""
    chance = min(max(probability, 1e-12), 1 - 1e-12)
    return float(np.clip(np.log(chance / (1 - chance)), -_MOST, _MOST))
