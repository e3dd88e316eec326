"""Accuracy of the router on rows that it was never trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision
from slmfleet.models.training.confidence import expected_calibration_error
from slmfleet.models.training.data import Row
from slmfleet.models.training.evaluate import Share, by_source
from slmfleet.router.classifier import Router


@dataclass(frozen=True, slots=True)
class RouterResult:
    """What the router does with rows of one source.

    `right`: of rows that belong to a domain or a person, the right label, threshold aside. `wrong_dispatch`:
    of what was sent to a specialist, what should not have been sent there. `sent`: of rows that belong to a
    domain, those sent to a specialist. `refused`: of rows out of scope, those not sent to a specialist.
    """

    right: Share
    wrong_dispatch: Share
    sent: Share
    refused: Share
    calibration_error: float


def evaluate_router(rows: Sequence[Row], decisions: Sequence[Decision]) -> RouterResult:
    """Compare the router's decisions, one a row, with the rows' labels."""
    right, sure = [], []
    wrong, sent, refused = [], [], []
    for row, decision in zip(rows, decisions, strict=True):
        route = decision.routes[0]
        dispatched = not decision.abstained and route.domain not in (HAND_OFF, OUT_OF_SCOPE)
        sure.append((route.confidence, route.domain == row.domain))
        if row.domain == OUT_OF_SCOPE:
            refused.append(not dispatched)
        else:
            right.append(route.domain == row.domain)
        if row.domain not in (OUT_OF_SCOPE, HAND_OFF):
            sent.append(dispatched)
        if dispatched:
            wrong.append(route.domain != row.domain)
    confidence, correct = np.array([pair[0] for pair in sure]), np.array([pair[1] for pair in sure])
    return RouterResult(
        Share(sum(right), len(right)),
        Share(sum(wrong), len(wrong)),
        Share(sum(sent), len(sent)),
        Share(sum(refused), len(refused)),
        expected_calibration_error(confidence, correct) if sure else math.nan,
    )


def router_metrics(router: Router, rows: Sequence[Row]) -> dict[str, float]:
    """Metrics for the card, over the test rows of each source."""
    metrics: dict[str, float] = {}
    for source, group in by_source(rows).items():
        result = evaluate_router(group, [router.route(row.text) for row in group])
        values = {
            "domain_accuracy": result.right.value,
            "wrong_dispatch_rate": result.wrong_dispatch.value,
            "out_of_scope_refused": result.refused.value,
        }
        metrics |= {f"{source}.{name}": round(value, 4) for name, value in values.items() if value == value}
    return metrics
