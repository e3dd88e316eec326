"""Calibrating a suite's reader on held-out rows: the threshold of its scope, and that of its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from slmfleet.models.benchmarks.scores import micro_f1
from slmfleet.models.inference.mixture import Mixture, log_odds
from slmfleet.models.training.calibration import CalibrationSignals
from slmfleet.models.training.mixture_fit import NO_LABEL, fit_mixture

#: Share of questions that are taken to be out of scope where a threshold is chosen: that of a shop, not of a
#: benchmark.
_OUT_OF_SCOPE_SHARE = 0.4
#: A threshold lies within these log-odds.
_MAX_LOG_ODDS = 8.0


def calibrate_scope(parts: Sequence[CalibrationSignals], in_scope: int) -> tuple[Mixture, float]:
    """(mixture, threshold) from the signals of held-out rows, one part a trained model.

    The first `in_scope` labels are in scope; from the threshold on one of them is taken for right. It is 0
    without rows out of scope. Where labels were left out of training, their rows (NO_LABEL) stand for what is
    out of scope: those that the task has a label for are too easy.
    """
    signals = [signal for part, _ in parts for signal in part]
    wanted = np.concatenate([labels for _, labels in parts])
    mixture = fit_mixture(signals, wanted, in_scope, len(parts))
    inside = (wanted >= 0) & (wanted < in_scope)
    if inside.all():
        return mixture, 0.0
    best = [mixture.best(signal, in_scope) for signal in signals]
    right = inside & (np.array([label for label, _ in best]) == wanted)
    unknown = wanted == NO_LABEL
    outside = unknown if unknown.any() else ~inside
    return mixture, fit_threshold(np.array([confidence for _, confidence in best]), right, outside)


def fit_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> float:
    """The confidence at which a right label and a row out of scope are equally likely, all (rows,).

    Rows out of scope are weighted to make up _OUT_OF_SCOPE_SHARE. A logistic curve through all rows, since
    the best of all cuts is a matter of luck among few.
    """
    used = right | outside
    if right.sum() < 2 or outside.sum() < 2:
        return 0.0
    weight = np.where(right, (1 - _OUT_OF_SCOPE_SHARE) / right.sum(), _OUT_OF_SCOPE_SHARE / outside.sum())
    odds = np.array([log_odds(value) for value in confidence])[used, None]
    curve = LogisticRegression(C=1.0, max_iter=1_000)
    curve.fit(odds, right[used], sample_weight=weight[used] * used.sum())
    slope = max(float(curve.coef_[0][0]), 1e-6)
    threshold_odds = np.clip(curve.intercept_[0] / slope, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
    return float(1 / (1 + np.exp(threshold_odds)))


@dataclass(frozen=True, slots=True)
class LabelCalibration:
    """From log-odds of labels that stand each for itself to probabilities, and from which one is reported."""

    temperature: float = 1.0
    #: Less than one half, as most labels are rarely present.
    threshold: float = 0.5

    def probabilities(self, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of labels with log-odds `odds`, in any shape."""
        return np.asarray(1 / (1 + np.exp(-odds / self.temperature)))


def calibrate_labels(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> LabelCalibration:
    """The temperature of least cross-entropy over all labels of held-out rows, both (rows, labels), and the
    threshold that gives those rows the highest micro F1."""
    temperatures = np.geomspace(0.25, 4.0, 49)
    sign = np.where(truth, 1.0, -1.0)
    losses = [np.logaddexp(0, -sign * odds / temperature).mean() for temperature in temperatures]
    temperature = float(temperatures[int(np.argmin(losses))])
    likely = LabelCalibration(temperature).probabilities(odds)
    thresholds = np.linspace(0.05, 0.95, 37)
    scores = [micro_f1(truth, likely >= threshold) for threshold in thresholds]
    return LabelCalibration(temperature, float(thresholds[int(np.argmax(scores))]))
