from __future__ import annotations

import math

import pytest

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, ModelVersion, Route
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import Row, load_corpus
from slmfleet.router.classifier import Router
from slmfleet.router.evaluate import evaluate_router, router_metrics
from slmfleet.services.settings import SHOP_DIR


def row(domain: str) -> Row:
    return Row("text", domain, None, None, None, "own")


def decision(domain: str, confidence: float = 0.9, abstained: bool = False) -> Decision:
    route = Route(domain, confidence, "text")
    return Decision((route,), 0.5, ("other", 0.1), abstained, ModelVersion("router", "0"))


def test_each_share_is_over_the_rows_that_it_is_about() -> None:
    pairs = [
        (row("returns"), decision("returns")),
        (row("returns"), decision("returns", 0.3, abstained=True)),  # right, and not sent
        (row("returns"), decision("parcels")),
        (row(HAND_OFF), decision(HAND_OFF)),
        (row(HAND_OFF), decision("parcels")),
        (row(OUT_OF_SCOPE), decision(OUT_OF_SCOPE)),
        (row(OUT_OF_SCOPE), decision("returns", 0.3, abstained=True)),
        (row(OUT_OF_SCOPE), decision("returns")),
    ]
    result = evaluate_router([one for one, _ in pairs], [made for _, made in pairs])
    assert (result.right.hits, result.right.total) == (3, 5)
    assert (result.sent.hits, result.sent.total) == (2, 3)
    assert (result.wrong_dispatch.hits, result.wrong_dispatch.total) == (3, 4)
    assert (result.refused.hits, result.refused.total) == (2, 3)
    assert 0 < result.calibration_error < 1


def test_of_no_rows_nothing_is_measured() -> None:
    result = evaluate_router([], [])
    assert math.isnan(result.right.value)
    assert math.isnan(result.calibration_error)


def test_metrics_are_named_by_source_and_those_without_rows_are_left_out() -> None:
    fleet = load_fleet(SHOP_DIR)
    rows = [row for row in load_corpus(fleet).test if row.source == "own" and row.domain != OUT_OF_SCOPE][:40]
    metrics = router_metrics(Router.of(fleet), rows)
    assert set(metrics) == {"own.domain_accuracy", "own.wrong_dispatch_rate"}
    assert metrics["own.domain_accuracy"] > 0.7
    assert metrics["own.wrong_dispatch_rate"] == pytest.approx(0, abs=0.15)
