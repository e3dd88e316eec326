"""Reading texts of any number of labels, as NLU++ has them: each label by itself, from both heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.classifier import Classifier
from slmfleet.models.suite import Verdict


@dataclass(frozen=True)
class ManyReader:
    """A classifier under test whose labels stand each for itself."""

    labels: Sequence[str]
    bytes: int
    parameters: int
    classifier: Classifier
    temperature: float
    threshold: float = 0.0
    exact: ManyReader | None = None

    def read(self, text: str) -> Verdict:
        """Each label's own probability; everything is in scope."""
        odds = log_odds(self.classifier, text) / self.temperature
        return Verdict(1 / (1 + np.exp(-odds)), 1.0, ())

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        """The text as one request."""
        return (self.read(text),)


def log_odds(classifier: Classifier, text: str) -> NDArray[np.float64]:
    """Of each label (labels,): the mean of what encoder and lexical head say, which count alike."""
    corrected = classifier.spelling.correct(text).text
    meaning = classifier.encoder.encode(corrected).intent.astype(np.float64)
    return (meaning + classifier.lexical.log_odds(corrected)) / 2


def fit_many_temperature(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The temperature of least cross-entropy over all labels of held-out rows, both (rows, labels)."""
    tried = np.geomspace(0.25, 4.0, 49)
    sign = np.where(truth, 1.0, -1.0)
    losses = [np.logaddexp(0, -sign * odds / temperature).mean() for temperature in tried]
    return float(tried[int(np.argmin(losses))])
