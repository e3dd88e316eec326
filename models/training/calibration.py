"""Calibrating a trained classifier on held-out rows: its confidence, and the threshold to decide alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.classifier import Classifier
from slmfleet.models.inference.mixture import Mixture, Signals
from slmfleet.models.training.confidence import MIN_ROWS, threshold_for_error
from slmfleet.models.training.data import Row
from slmfleet.models.training.mixture_fit import NO_LABEL, fit_mixture
from slmfleet.models.training.task import TrainingTask

#: Of rows that the model was not trained on: its signals, and their label indices (rows,) or NO_LABEL.
CalibrationSignals = tuple[list[Signals], NDArray[np.int64]]
#: Where there are too few held-out rows to fit one.
_DEFAULT_THRESHOLD = 0.5


def calibrate(
    classifier: Classifier,
    task: TrainingTask,
    held_out: Sequence[Row],
    max_wrong_rate: float,
    trusted: int,
) -> tuple[Mixture, float]:
    """(mixture, threshold) fitted on `held_out` rows.

    Of those at least as confident as the threshold, at most the share `max_wrong_rate` is wrong. Only rows
    whose best label is one of the first `trusted` count.
    """
    if len(held_out) < MIN_ROWS:
        return Mixture(), _DEFAULT_THRESHOLD
    signals, labels = signals_of(classifier, task, held_out)
    mixture = fit_mixture(signals, labels, trusted)
    confidence, wrong = [], []
    for signal, label in zip(signals, labels, strict=True):
        best, sure = mixture.best(signal)
        if best < trusted:
            confidence.append(sure)
            wrong.append(best != label)
    return mixture, threshold_for_error(np.array(confidence), np.array(wrong, dtype=bool), max_wrong_rate)


def signals_of(classifier: Classifier, task: TrainingTask, rows: Sequence[Row]) -> CalibrationSignals:
    """What the classifier makes of `rows`, and the labels that `task` gives them."""
    places = task.label_places
    labels = [places.get(task.label_of(row) or "", NO_LABEL) for row in rows]
    return [classifier.signals(row.text)[0] for row in rows], np.array(labels, dtype=np.int64)
