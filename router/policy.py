"""From probabilities to a decision: dispatch, or abstain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, ModelVersion, Route


def decide(
    text: str,
    labels: Sequence[str],
    probabilities: NDArray[np.float64],
    threshold: float,
    model: ModelVersion,
) -> Decision:
    """The decision for one text from probabilities (labels,).

    Only a dispatch to a domain can be a wrong dispatch, so only it must reach `threshold`. HAND_OFF and
    OUT_OF_SCOPE stand as they are: neither answers anything, and a doubtful one is a hand-off anyway.
    """
    order = np.argsort(-probabilities, kind="stable")
    best, second = labels[order[0]], labels[order[1]]
    confidence = float(probabilities[order[0]])
    return Decision(
        routes=(Route(best, confidence, text),),
        threshold=threshold,
        runner_up=(second, float(probabilities[order[1]])),
        abstained=best not in (HAND_OFF, OUT_OF_SCOPE) and confidence < threshold,
        model=model,
    )
