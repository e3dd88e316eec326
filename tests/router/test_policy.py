from __future__ import annotations

import numpy as np
import pytest

from slmfleet.models.contracts import HAND_OFF, OUT_OF_SCOPE, Decision, ModelVersion, Route
from slmfleet.models.inference.classifier import Scores
from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.mixture import Signals
from slmfleet.router.policy import combine, decide, is_confident
from slmfleet.router.split import Clause

LABELS = ["returns", "shipping", HAND_OFF, OUT_OF_SCOPE]


def scores(probabilities: list[float], confidence: float) -> Scores:
    """What a classifier makes of some text."""
    likely = np.array(probabilities)
    unread = Encoding(np.zeros(0, np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.float32), ())
    return Scores(
        likely, int(likely.argmax()), confidence, Signals(np.log(likely), np.log(likely)), unread, ""
    )


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
    told = scores(probabilities, max(probabilities))
    decision = decide(Clause("text", 0, 4), LABELS, told, 0.8, ModelVersion("router", "0"))
    assert (decision.routes[0].domain, decision.abstained) == (domain, abstained)
    assert decision.routes[0].confidence == max(probabilities)
    assert decision.runner_up[1] == pytest.approx(sorted(probabilities)[-2])


@pytest.mark.parametrize(
    ("confidence", "second", "abstained"), [(0.85, 0.1, False), (0.7, 0.2, True), (0.1, 0.1, True)]
)
def test_the_trust_in_a_label_and_not_its_probability_makes_it_stand(
    confidence: float, second: float, abstained: bool
) -> None:
    told = scores([0.7, 0.2, 0.05, 0.05], confidence)
    decision = decide(Clause("text", 0, 4), LABELS, told, 0.8, ModelVersion("router", "0"))
    assert (decision.routes[0].confidence, decision.abstained) == (confidence, abstained)
    assert decision.runner_up == ("shipping", pytest.approx(second))


TEXT = "Hello there. I ordered shoes. Where are they? How do I pay? I moved."


def read(part: str, domain: str, confidence: float = 0.9) -> Decision:
    """What a router with a threshold of 0.8 makes of a part of TEXT."""
    return Decision(
        routes=(Route(domain, confidence, part, TEXT.index(part)),),
        threshold=0.8,
        runner_up=("other", 1 - confidence),
        abstained=domain not in (HAND_OFF, OUT_OF_SCOPE) and confidence < 0.8,
        model=ModelVersion("router", "0"),
    )


WHOLE = read(TEXT, "shipping", 0.5)
WHERE, PAY = read("Where are they?", "shipping"), read("How do I pay?", "billing")


def test_clauses_that_are_each_sure_get_a_route_of_their_own() -> None:
    decision = combine(TEXT, WHOLE, [WHERE, PAY])
    assert decision.routes == WHERE.routes + PAY.routes
    assert not decision.abstained
    assert decision.runner_up == WHERE.runner_up


def test_equal_domains_stay_apart_for_the_specialist_to_tell() -> None:
    again = read("How do I pay?", "shipping")
    assert combine(TEXT, WHOLE, [WHERE, again]).routes == WHERE.routes + again.routes


@pytest.mark.parametrize(
    "doubtful",
    [
        read("How do I pay?", "billing", 0.7),
        read("How do I pay?", OUT_OF_SCOPE, 0.99),
        read("How do I pay?", HAND_OFF, 0.7),
    ],
)
def test_a_request_in_doubt_breaks_the_split(doubtful: Decision) -> None:
    assert combine(TEXT, WHOLE, [WHERE, doubtful]) is WHOLE
    assert combine(TEXT, WHOLE, [doubtful, WHERE, PAY]) is WHOLE


def test_what_asks_nothing_and_goes_nowhere_is_joined_to_its_neighbour() -> None:
    parts = [
        read("Hello there.", OUT_OF_SCOPE),
        read("I ordered shoes.", "orders", 0.6),
        WHERE,
        PAY,
        read("I moved.", "account", 0.4),
    ]
    routes = combine(TEXT, WHOLE, parts).routes
    assert [route.text for route in routes] == [
        "Hello there. I ordered shoes. Where are they?",
        "How do I pay? I moved.",
    ]
    assert [TEXT[route.start :].startswith(route.text) for route in routes] == [True, True]
    assert [route.domain for route in routes] == ["shipping", "billing"]


def test_one_clause_that_stands_is_no_split() -> None:
    assert combine(TEXT, WHOLE, [read("I ordered shoes.", "orders", 0.6), WHERE]) is WHOLE
    assert combine(TEXT, WHOLE, [read("I moved.", OUT_OF_SCOPE), read("I moved.", OUT_OF_SCOPE)]) is WHOLE


def test_a_wish_for_a_person_is_not_lost_between_clauses() -> None:
    person = read(TEXT, HAND_OFF)
    assert combine(TEXT, person, [WHERE, PAY]) is person
    asked = read("How do I pay?", HAND_OFF)
    assert [route.domain for route in combine(TEXT, person, [WHERE, asked]).routes] == ["shipping", HAND_OFF]


def test_sure_is_to_send_somewhere() -> None:
    assert is_confident(WHERE)
    assert is_confident(read("I moved.", HAND_OFF, 0.4))
    assert not is_confident(read("I moved.", OUT_OF_SCOPE))
    assert not is_confident(read("I moved.", "account", 0.4))
