"""Fitting the weights of the evidence for a passage, on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.retrieval import Weights, match_strength, weigh
from slmfleet.models.training.confidence import MIN_ROWS, threshold_for_error

#: A match strength that no passage reaches.
_NEVER = 1e9


def fit_weights(
    evidence: Sequence[NDArray[np.float64]], wanted: Sequence[int], max_wrong_rate: float
) -> tuple[Weights, float]:
    """(weights, hit rate): of a small grid, the weights that rank the `wanted` passage first most often.

    Their `floor` is such that of the rows that reach it at most the share `max_wrong_rate` has a wrong
    passage first; it is 0 with fewer than MIN_ROWS rows.
    """
    best, best_hits = Weights(), -1
    for utterance in (0.9, 1.0, 1.1):
        for lexical in (0.0, 0.1, 0.2, 0.4):
            for intent in (0.0, 0.1, 0.2, 0.4):
                tried = Weights(utterance, lexical, intent)
                hits = sum(
                    int(np.argmax(weigh(scores, tried))) == passage
                    for scores, passage in zip(evidence, wanted, strict=True)
                )
                if hits > best_hits:
                    best, best_hits = tried, hits
    hit_rate = best_hits / max(1, len(wanted))
    if len(wanted) < MIN_ROWS:
        return best, hit_rate
    ranked = [weigh(scores, best) for scores in evidence]
    strength = np.array([match_strength(sorted(scores.tolist(), reverse=True)) for scores in ranked])
    wrong = np.array([np.argmax(scores) for scores in ranked]) != np.array(wanted)
    return replace(best, floor=threshold_for_error(strength, wrong, max_wrong_rate, _NEVER)), hit_rate
