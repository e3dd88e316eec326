from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.fleet import load_fleet
from slmfleet.router.classifier import Router
from slmfleet.services.settings import SHOP_DIR

FLEET = load_fleet(SHOP_DIR)
ROUTER = Router.of(FLEET)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("how long do I have to return shoes?", "returns"),
        ("where is my order #W7678072?", "shipping"),
        ("let me talk to a human", HAND_OFF),
        ("asdf jkl;", OUT_OF_SCOPE),
    ],
)
def test_plain_questions_are_routed(text: str, domain: str) -> None:
    assert ROUTER.route(text).routes[0].domain == domain


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_gets_a_decision_whose_parts_agree(text: str) -> None:
    decision = ROUTER.route(text)
    route = decision.routes[0]
    assert 0 < decision.runner_up[1] <= route.confidence <= 1
    dispatchable = route.domain not in (HAND_OFF, OUT_OF_SCOPE)
    assert decision.abstained == (dispatchable and route.confidence < decision.threshold)
    assert ROUTER.route(text).routes == decision.routes


def test_a_router_of_other_domains_is_a_fault() -> None:
    fewer = {name: domain for name, domain in FLEET.domains.items() if name != "billing"}
    with pytest.raises(BundleFault, match="slmfleet train router"):
        Router.of(replace(FLEET, domains=fewer))


def test_a_router_that_fails_its_probe_is_broken() -> None:
    router = Router.of(FLEET)
    probe = router.card.probe.model_copy(update={"label": "nowhere"})
    router.card = router.card.model_copy(update={"probe": probe})
    with pytest.raises(ModelBroken, match="not nowhere"):
        router.probe()
