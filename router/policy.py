"""From probabilities to a decision: dispatch, or abstain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmfleet.models.classifier import Scores
from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, ModelVersion, Route


def decide(
    text: str,
    labels: Sequence[str],
    scores: Scores,
    threshold: float,
    model: ModelVersion,
) -> Decision:
    """The decision for one text from its scores over `labels`.

    Only a dispatch to a domain can be a wrong dispatch, so only it must reach `threshold`. HAND_OFF and
    OUT_OF_SCOPE stand as they are: neither answers anything, and a doubtful one is a hand-off anyway.
    """
    order = np.argsort(-scores.probabilities, kind="stable")
    best, second = labels[order[0]], labels[order[1]]
    confidence = scores.confidence
    # What is left of the whole goes to the others as their probabilities are, so that the two compare.
    others = max(1 - float(scores.probabilities[order[0]]), 1e-12)
    runner_up = min(confidence, (1 - confidence) * float(scores.probabilities[order[1]]) / others)
    return Decision(
        routes=(Route(best, confidence, text),),
        threshold=threshold,
        runner_up=(second, runner_up),
        abstained=best not in (HAND_OFF, OUT_OF_SCOPE) and confidence < threshold,
        model=model,
    )
