from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from slmfleet.models.contracts import OUT_OF_SCOPE, Decision, ModelVersion, PassageMatch, Reading, Route
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.training.data import Row
from slmfleet.services.evaluation.passages import PassageOutcomes, passage_outcomes

MODEL = ModelVersion("m", "0")


@dataclass
class Finder:
    """Finds the passages that the text lists, clearly where it ends in a full stop."""

    domain: str

    def read(self, text: str) -> Reading:
        """The passages, and nothing else that counts here."""
        found = tuple(PassageMatch(name, 0.5) for name in text.rstrip(".").split())
        return Reading(self.domain, "i", 1.0, (), found, MODEL, True, text.endswith("."))


SPECIALISTS = {domain: cast("Specialist", Finder(domain)) for domain in ("returns", "billing")}


@pytest.mark.parametrize(
    ("text", "domain", "confidence", "abstained", "outcome"),
    [
        ("right a.", "returns", 0.9, False, "answered_right"),
        ("a right.", "returns", 0.9, False, "answered_wrong"),
        ("right.", "billing", 0.9, False, "answered_wrong"),  # another domain's passage of that name
        ("a right", "returns", 0.9, False, "offered_right"),
        ("a b", "returns", 0.9, False, "offered_wrong"),
        ("right.", "returns", 0.6, True, "offered_right"),  # clear, but the router is not sure
        ("right.", "returns", 0.4, True, "not_answered"),
        (".", "returns", 0.9, False, "not_answered"),
        ("right.", OUT_OF_SCOPE, 0.9, False, "not_answered"),
    ],
)
def test_what_a_customer_gets(
    text: str, domain: str, confidence: float, abstained: bool, outcome: str
) -> None:
    row = Row(text, "returns", "i", "right", None, "own")
    decision = Decision((Route(domain, confidence, text),), 0.8, ("other", 0.1), abstained, MODEL)
    unanswered = Row(text, "returns", "i", None, None, "own")
    expected = PassageOutcomes(**{outcome: 1})
    assert passage_outcomes([row, unanswered], [decision, decision], SPECIALISTS) == expected
    assert expected.total == 1


def test_of_several_requests_one_that_is_answered_rightly_is_enough() -> None:
    row = Row("x", "returns", "i", "right", None, "own")
    routes = (Route("billing", 0.9, "a."), Route("returns", 0.9, "right."))
    decision = Decision(routes, 0.8, ("other", 0.1), False, MODEL)
    assert passage_outcomes([row], [decision], SPECIALISTS) == PassageOutcomes(answered_right=1)
