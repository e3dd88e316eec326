from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE
from slmfleet.models.errors import BundleFault, ModelBroken
from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.inference.encoder import Encoder, Encoding
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


@pytest.mark.parametrize(
    "text", ["how long do I have to return shoes?", "where is my ordr #W7678072", "can i pay with paypal"]
)
def test_letter_case_changes_nothing(text: str) -> None:
    decision = ROUTER.route(text)
    for written in (text.upper(), text.title(), text.capitalize()):
        other = ROUTER.route(written)
        assert other.runner_up == decision.runner_up
        assert [route.confidence for route in other.routes] == [route.confidence for route in decision.routes]


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_gets_a_decision_whose_parts_agree(text: str) -> None:
    decision = ROUTER.route(text)
    route = decision.routes[0]
    assert 0 < decision.runner_up[1] <= route.confidence <= 1
    dispatchable = route.domain not in (HAND_OFF, OUT_OF_SCOPE)
    assert decision.abstained == (dispatchable and route.confidence < decision.threshold)
    assert ROUTER.route(text).routes == decision.routes


class CountingEncoder:
    """A router's encoder, and how often it was asked."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.texts: list[str] = []

    def encode(self, text: str) -> Encoding:
        self.texts.append(text)
        return self._encoder.encode(text)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("how long do I have to return shoes?", 1),
        ("Hi! I ordered shoes last week. How do I return them? Thanks a lot!", 1),
        ("I want a refund, what should I do?", 1),
        ("don't cancel it, just change the address", 1),
        ("how do I return shoes? And how much is express shipping?", 3),
        ("how much is it? " * 100, 5),
    ],
)
def test_only_a_text_of_several_requests_costs_more_than_one_pass(
    text: str, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = Router.of(FLEET)
    counting = CountingEncoder(router._classifier.encoder)
    monkeypatch.setattr(router._classifier, "encoder", counting)
    router.route(text)
    assert len(counting.texts) == passes
    assert router.route_whole(text).routes[0].text == text


def test_each_request_is_routed_with_its_place() -> None:
    text = "Where is my order #W7678072 and how do I return shoes?"
    routes = ROUTER.route(text).routes
    assert [route.domain for route in routes] == ["shipping", "returns"]
    assert [text[route.start : route.start + len(route.text)] for route in routes] == [
        "Where is my order #W7678072",
        "how do I return shoes?",
    ]


def test_half_a_request_breaks_the_split() -> None:
    text = "can I go online and cancel my order"  # one way of doing one thing
    assert ROUTER.route(text).routes == ROUTER.route_whole(text).routes


def test_what_was_taken_back_is_not_routed() -> None:
    route = ROUTER.route("no need to refund, send a replacement instead").routes[0]
    assert (route.text, route.start) == ("send a replacement instead", 19)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["how do I return shoes?", "where is #W1234567", "and", "hi", "."]), max_size=7)
)
def test_the_routes_lie_in_the_text_in_order(pieces: list[str]) -> None:
    text = " ".join(pieces) or "hi"
    end = 0
    for route in ROUTER.route(text).routes:
        assert end <= route.start
        end = route.start + len(route.text)
        assert text[route.start : end] == route.text


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
