"""Fitting how much each kind of evidence for a passage counts, on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.retrieval import Weights, clearness, weigh
from slmfleet.models.training.confidence import MIN_ROWS, threshold_for_error

#: Clearer than any passage can be.
_NEVER = 1e9


def fit_weights(
    evidence: Sequence[NDArray[np.float64]], wanted: Sequence[int], max_wrong_rate: float
) -> tuple[Weights, float]:
    """The weights of a small grid that put the wanted passage first most often, and how often they do.

    Of these rows, at most `max_wrong_rate` of those that are as clear as `floor` have a wrong passage first.
    Too few rows to tell, and whatever comes first is said.
    """
    best, best_hits = Weights(), -1
    for utterance in (0.9, 1.0, 1.1):
        for lexical in (0.0, 0.1, 0.2, 0.4):
            for intent in (0.0, 0.1, 0.2, 0.4):
                tried = Weights(utterance, lexical, intent)
                hits = sum(
                    int(np.argmax(weigh(one, tried))) == passage
                    for one, passage in zip(evidence, wanted, strict=True)
                )
                if hits > best_hits:
                    best, best_hits = tried, hits
    hit_rate = best_hits / max(1, len(wanted))
    if len(wanted) < MIN_ROWS:
        return best, hit_rate
    ranked = [weigh(one, best) for one in evidence]
    clear = np.array([clearness(sorted(scores.tolist(), reverse=True)) for scores in ranked])
    wrong = np.array([np.argmax(scores) for scores in ranked]) != np.array(wanted)
    return replace(best, floor=threshold_for_error(clear, wrong, max_wrong_rate, _NEVER)), hit_rate
