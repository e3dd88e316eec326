from __future__ import annotations

from typing import cast

import numpy as np
import pytest

pytest.importorskip("sklearn")
from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.mixture import Mixture, Signals
from slmfleet.models.inference.numerics import log_softmax
from slmfleet.models.training.calibration import calibrate, signals_of
from slmfleet.models.training.confidence import MIN_ROWS
from slmfleet.models.training.data import Row
from slmfleet.models.training.mixture_fit import NO_LABEL
from slmfleet.models.training.task import TrainingTask

LABELS = ["a", "b", "c"]


class NumberedClassifier:
    """Of the text `a 1.5` the label a leads by 1.5 in both heads."""

    def signals(self, text: str) -> tuple[Signals, Encoding, str]:
        label, lead = text.split()
        logits = np.zeros(len(LABELS))
        logits[LABELS.index(label)] = float(lead)
        empty = np.zeros(0, np.float32)
        return Signals(log_softmax(logits), log_softmax(logits)), Encoding(empty, empty, empty, ()), text


CLASSIFIER = cast("Classifier", NumberedClassifier())
TASK = TrainingTask([], LABELS, lambda row: row.intent)


def row(text: str, intent: str | None) -> Row:
    return Row(text, "d", intent, None, None, "own")


def test_signals_come_with_the_rows_labels() -> None:
    signals, labels = signals_of(CLASSIFIER, TASK, [row("a 1", "b"), row("b 2", None), row("c 3", "other")])
    assert labels.tolist() == [1, NO_LABEL, NO_LABEL]
    assert [int(one.encoder.argmax()) for one in signals] == [0, 1, 2]


def test_the_threshold_keeps_the_promised_rate_of_wrong_rows() -> None:
    # A lead of 4 is always right, of 1 every other time.
    rows = [row("a 4", "a"), row("b 4", "b"), row("a 1", "a"), row("a 1", "b")] * 10
    mixture, threshold = calibrate(CLASSIFIER, TASK, rows, 0.05, 3)
    signals, labels = signals_of(CLASSIFIER, TASK, rows)
    best = [mixture.best(signal) for signal in signals]
    accepted = [
        place == label for (place, sure), label in zip(best, labels, strict=True) if sure >= threshold
    ]
    assert len(accepted) == 20
    assert all(accepted)
    assert calibrate(CLASSIFIER, TASK, rows, 0.3, 3)[1] < threshold


def test_labels_beyond_the_trusted_have_no_part_in_the_threshold() -> None:
    rows = [row("a 4", "a"), row("b 4", "b")] * 10
    plain = calibrate(CLASSIFIER, TASK, rows, 0.05, 2)
    assert calibrate(CLASSIFIER, TASK, [*rows, *[row("c 9", "a")] * 3], 0.05, 2)[1] <= plain[1]


def test_too_few_rows_fit_nothing() -> None:
    rows = [row("a 1", "a")] * (MIN_ROWS - 1)
    assert calibrate(CLASSIFIER, TASK, rows, 0.05, 3) == (Mixture(), 0.5)
