"""The readers that the suites measure: a trained classifier of one label a text, or of any number."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.benchmarks.calibration import LabelCalibration
from slmfleet.models.benchmarks.ood_scores import OodScores
from slmfleet.models.benchmarks.task import Verdict
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.numerics import softmax
from slmfleet.models.inference.tagging import Tagger
from slmfleet.models.text.slots import BOUNDARY

#: What a request that was cut off from the next one ends with.
_CONNECTOR = re.compile(r"[\s,.;?!]*\b(?:and|also|then|plus|but|oh|as well as|could you)?[\s,.;?!]*$", re.I)


@dataclass(frozen=True)
class SingleLabelReader:
    """A classifier of one label a text. The first `in_scope` of `labels` are in scope."""

    labels: Sequence[str]
    threshold: float
    bytes: int
    parameters: int
    classifier: Classifier
    in_scope: int
    slot_labels: list[str]
    ood_baselines: OodScores | None = None
    exact: SingleLabelReader | None = None

    @cached_property
    def _tagger(self) -> Tagger:
        return Tagger(self.slot_labels, self.classifier.tagging)

    def read(self, text: str) -> Verdict:
        """Probabilities, the confidence in the best label in scope, and slots."""
        scores = self.classifier.score(text)
        best = int(np.argmax(scores.probabilities[: self.in_scope]))
        inlier = self.classifier.mixture.confidence(scores.signals, scores.probabilities, best)
        slots = tuple(self._tagger.slots(text, scores.encoding, scores.best))
        ood_baselines = partial(self.ood_baselines.of, scores.encoding) if self.ood_baselines else tuple
        return Verdict(scores.probabilities, inlier, slots, ood_baselines)

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        """One verdict a request; requests begin where the slot head predicts BOUNDARY."""
        encoding = self.classifier.signals(text)[1]
        starts = [0, *request_starts(encoding.slot, encoding.offsets, self.slot_labels), len(text)]
        clauses = [text[start:end] for start, end in itertools.pairwise(starts)]
        return tuple(self.read(_CONNECTOR.sub("", clause).strip() or clause) for clause in clauses)


def request_starts(
    slot: NDArray[np.float32], offsets: Sequence[tuple[int, int]], slot_labels: Sequence[str]
) -> list[int]:
    """Offsets at which a further request begins: tokens whose likeliest tag is BOUNDARY, but the first.

    `slot` (tokens, slot labels) are the slot head's logits.
    """
    if BOUNDARY not in slot_labels:
        return []
    best = softmax(slot).argmax(1)
    return [
        start
        for (start, end), tag in zip(offsets, best, strict=True)
        if 0 < start < end and slot_labels[int(tag)] == BOUNDARY
    ]


@dataclass(frozen=True)
class MultiLabelReader:
    """A classifier whose labels stand each for itself, as NLU++ has them. Everything is in scope."""

    labels: Sequence[str]
    bytes: int
    parameters: int
    classifier: Classifier
    calibration: LabelCalibration
    threshold: float = 0.0
    exact: MultiLabelReader | None = None

    def read(self, text: str) -> Verdict:
        """Each label's own probability."""
        probabilities = self.calibration.probabilities(label_odds(self.classifier, text))
        return Verdict(probabilities, 1.0, (), label_threshold=self.calibration.threshold)

    def read_joined(self, text: str) -> tuple[Verdict, ...]:
        """The text as one request."""
        return (self.read(text),)


def label_odds(classifier: Classifier, text: str) -> NDArray[np.float64]:
    """Log-odds of each label (labels,): the mean of the encoder's and the lexical head's."""
    corrected = classifier.spelling.correct(text).text
    meaning = classifier.encoder.encode(corrected).intent.astype(np.float64)
    return (meaning + classifier.lexical.log_odds(corrected)) / 2
