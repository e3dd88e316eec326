"""Reading texts of any number of labels, as NLU++ has them: each label by itself, from both heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.benchmarks.scores import micro_f1
from slmfleet.models.benchmarks.task import Verdict
from slmfleet.models.inference.classifier import Classifier


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """What makes log-odds of labels into probabilities, and of which one is told, by held-out rows."""

    temperature: float = 1.0
    #: The probability from which on a label is told: less than one half, as most labels are rarely meant.
    label_threshold: float = 0.5

    def probabilities(self, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of labels with log-odds `odds`, in any shape."""
        return np.asarray(1 / (1 + np.exp(-odds / self.temperature)))


@dataclass(frozen=True)
class ManyReader:
    """A classifier under test whose labels stand each for itself."""

    labels: Sequence[str]
    bytes: int
    parameters: int
    classifier: Classifier
    cut: LabelThreshold
    threshold: float = 0.0
    exact: ManyReader | None = None

    def read(self, text: str) -> Verdict:
        """Each label's own probability; everything is in scope."""
        probabilities = self.cut.probabilities(log_odds(self.classifier, text))
        return Verdict(probabilities, 1.0, (), label_threshold=self.cut.label_threshold)

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        """The text as one request."""
        return (self.read(text),)


def log_odds(classifier: Classifier, text: str) -> NDArray[np.float64]:
    """Of each label (labels,): the mean of what encoder and lexical head say, which count alike."""
    corrected = classifier.spelling.correct(text).text
    meaning = classifier.encoder.encode(corrected).intent.astype(np.float64)
    return (meaning + classifier.lexical.log_odds(corrected)) / 2


def fit_label_threshold(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> LabelThreshold:
    """The temperature of least cross-entropy over all labels of held-out rows, both (rows, labels), and the
    probability that gives those rows the highest micro F1."""
    tried = np.geomspace(0.25, 4.0, 49)
    sign = np.where(truth, 1.0, -1.0)
    losses = [np.logaddexp(0, -sign * odds / temperature).mean() for temperature in tried]
    temperature = float(tried[int(np.argmin(losses))])
    likely = LabelThreshold(temperature).probabilities(odds)
    froms = np.linspace(0.05, 0.95, 37)
    scores = [micro_f1(truth, likely >= label_threshold) for label_threshold in froms]
    return LabelThreshold(temperature, float(froms[int(np.argmax(scores))]))
