from __future__ import annotations

import numpy as np
import pytest

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, ModelVersion
from slmfleet.router.policy import decide
from slmfleet.router.split import Clause

LABELS = ["returns", "shipping", HAND_OFF, OUT_OF_SCOPE]


@pytest.mark.parametrize(
    ("probabilities", "domain", "abstained"),
    [
        ([0.9, 0.05, 0.03, 0.02], "returns", False),
        ([0.8, 0.1, 0.05, 0.05], "returns", False),
        ([0.79, 0.2, 0.005, 0.005], "returns", True),
        ([0.2, 0.2, 0.4, 0.2], HAND_OFF, False),
        ([0.2, 0.2, 0.2, 0.4], OUT_OF_SCOPE, False),
    ],
)
def test_only_a_doubtful_dispatch_abstains(probabilities: list[float], domain: str, abstained: bool) -> None:
    decision = decide(Clause("text", 0, 4), LABELS, np.array(probabilities), 0.8, ModelVersion("router", "0"))
    assert (decision.routes[0].domain, decision.abstained) == (domain, abstained)
    assert decision.routes[0].confidence == max(probabilities)
    assert decision.runner_up[1] == sorted(probabilities)[-2]
