"""Measures of classification, abstention and extraction: plain functions of arrays, in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.numerics import Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def auroc(score: Floats, positive: Bools) -> float:
    """How often a positive scores above a negative, ties counting half (n,), (n,); nan without both.

    The area under the ROC curve, by ranks (Mann and Whitney 1947).
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    rank_sum = float(ranks[positive].sum()) - positives * (positives + 1) / 2
    return rank_sum / (positives * negatives)


def risk_coverage(score: Floats, wrong: Bools) -> Floats:
    """The share of mistakes among the 1, 2, ... n rows of the highest score: (n,).

    Rows of equal score are taken in no order: each counts with the mean of its equals.
    """
    if not len(score):
        return np.zeros(0)
    _, inverse, counts = np.unique(-score, return_inverse=True, return_counts=True)
    share = np.bincount(inverse, weights=wrong.astype(np.float64)) / counts
    mistakes = np.cumsum(np.repeat(share, counts))
    return np.asarray(mistakes / np.arange(1, len(score) + 1))


def area_under_risk_coverage(score: Floats, wrong: Bools) -> float:
    """The mean risk over all coverages (Geifman and El-Yaniv 2017); lower is better; nan of nothing."""
    return float(risk_coverage(score, wrong).mean()) if len(score) else math.nan


def f1(marked: int, found: int, both: int) -> float:
    """The harmonic mean of precision and recall; nan where nothing is marked."""
    return 2 * both / (marked + found) if marked else math.nan


def micro_f1(truth: Bools, predicted: Bools) -> float:
    """F1 over all (row, label) pairs of two (n, labels) tables."""
    return f1(int(truth.sum()), int(predicted.sum()), int((truth & predicted).sum()))


def macro_f1(truth: Bools, predicted: Bools) -> float:
    """The mean F1 of the labels that some row of the truth has; (n, labels) each."""
    marked, found = truth.sum(axis=0), predicted.sum(axis=0)
    both = (truth & predicted).sum(axis=0)
    present = marked > 0
    if not present.any():
        return math.nan
    return float((2 * both[present] / (marked[present] + found[present])).mean())


def span_counts(
    marked: Collection[tuple[str, int, int]], read: Collection[tuple[str, int, int]]
) -> tuple[int, int, int]:
    """(marked, read, both) of (name, start, end): right only with name and both ends, as conlleval counts."""
    wanted, found = set(marked), set(read)
    return len(wanted), len(found), len(wanted & found)
