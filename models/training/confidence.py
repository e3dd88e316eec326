"""Calibrated confidences from held-out rows: temperature, threshold, calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.numerics import Floats, softmax

#: With fewer held-out rows nothing is fitted.
MIN_ROWS = 10


def negative_log_likelihood(
    logits: NDArray[np.floating], wanted: NDArray[np.int64], temperature: float
) -> float:
    """Mean negative log-likelihood of `wanted` (n,) under `logits` (n, classes)."""
    chosen = softmax(logits, temperature)[np.arange(len(wanted)), wanted]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def fit_temperature(logits: NDArray[np.floating], wanted: NDArray[np.int64]) -> float:
    """The temperature in [0.25, 8] of least negative log-likelihood (golden-section search on its log)."""
    low, high = np.log(0.25), np.log(8.0)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(logits, wanted, float(np.exp(left))) < negative_log_likelihood(
            logits, wanted, float(np.exp(right))
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal bins, weighted by their rows (Naeini 2015)."""
    edges = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    gap = 0.0
    for index in range(bins):
        inside = edges == index
        if inside.any():
            gap += inside.mean() * abs(float(confidence[inside].mean()) - float(correct[inside].mean()))
    return float(gap)


def threshold_for_error(
    confidence: Floats, wrong: NDArray[np.bool_], max_rate: float, none: float = 1.0
) -> float:
    """The least threshold at which, of the rows that reach it, at most `max_rate` are wrong.

    `none` when there is no such threshold.
    """
    order = np.argsort(-np.asarray(confidence), kind="stable")
    ranked, mistakes = np.asarray(confidence)[order], np.cumsum(np.asarray(wrong)[order])
    rate = mistakes / np.arange(1, len(ranked) + 1)
    # A cut may only fall between different confidences.
    ends = np.append(ranked[1:] < ranked[:-1], True) if len(ranked) else np.array([], dtype=bool)
    good = np.flatnonzero((rate <= max_rate) & ends)
    return float(ranked[good[-1]]) if len(good) else none
