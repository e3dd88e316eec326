"""How the evidence for each label is mixed into probabilities, and how far the best label can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slmfleet.models.inference.numerics import Floats, log_softmax

#: No text is surer than this, in log-odds.
_MOST = 8.0


@dataclass(frozen=True, slots=True)
class Signals:
    """Both heads' evidence for one text: `encoder` and `lexical` (labels,) are log-probabilities.

    `log_normaliser` is the logsumexp of the encoder's logits, which its log-probabilities lack.
    """

    encoder: Floats
    lexical: Floats
    log_normaliser: float = 0.0


@dataclass(frozen=True, slots=True)
class Trust:
    """From scores of a text to the log-odds that its best label is right: Platt scaling (Platt 1999).

    The scores are standardised by `scales` and weigh the same: few held-out rows show how sure a model may
    be, not which score will hold for texts that are unlike them.
    """

    bias: float = 0.0
    slope: float = 1.0
    #: Mean and deviation of as many of Mixture.scores as are used.
    scales: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def odds(self, scores: Sequence[float]) -> float:
        """Natural log-odds."""
        apart = [
            (score - mean) / deviation for score, (mean, deviation) in zip(scores, self.scales, strict=False)
        ]
        return self.bias + self.slope * sum(apart) / len(apart)


@dataclass(frozen=True, slots=True)
class Mixture:
    """`softmax((encoder + lexical_weight * lexical) / temperature)`, and the trust in its best label."""

    lexical_weight: float = 0.0
    temperature: float = 1.0
    trust: Trust = Trust()
    #: The trust was fitted for the first so many labels; the confidence in any other is its probability.
    trusted: int = 0

    def probabilities(self, signals: Signals) -> Floats:
        """Of the labels, (n,)."""
        mixed = signals.encoder + self.lexical_weight * signals.lexical
        return np.asarray(np.exp(log_softmax(mixed / self.temperature)))

    def best(self, signals: Signals, among: int | None = None) -> tuple[int, float]:
        """The likeliest of the first `among` labels (None: of all), and the confidence in it."""
        probabilities = self.probabilities(signals)
        label = int(np.argmax(probabilities[:among]))
        return label, self.confidence(signals, probabilities, label)

    def confidence(self, signals: Signals, probabilities: Floats, label: int) -> float:
        """The calibrated probability that `label`, given `probabilities`, is right."""
        if label >= self.trusted:
            return float(probabilities[label])
        return float(1 / (1 + np.exp(-self.trust.odds(self.scores(signals, probabilities, label)))))

    def scores(self, signals: Signals, probabilities: Floats, label: int) -> tuple[float, float, float]:
        """The scores that Trust reads: is `label` right, and is the text in scope at all?

        The log-odds of `label`; the encoder's energy over the trusted labels (Liu 2020); the lexical head's
        highest log-probability of one of them, which is low for words that no training row has.
        """
        inside = slice(self.trusted)
        energy = signals.log_normaliser + float(np.logaddexp.reduce(signals.encoder[inside]))
        return log_odds(float(probabilities[label])), energy, float(signals.lexical[inside].max())


def log_odds(probability: float) -> float:
    """Natural log-odds, held within +-_MOST."""
    chance = min(max(probability, 1e-12), 1 - 1e-12)
    return min(max(math.log(chance / (1 - chance)), -_MOST), _MOST)
