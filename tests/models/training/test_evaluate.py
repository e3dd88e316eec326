"""What counts as a right slot, and as a right passage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from slmfleet.models.contracts import ModelVersion, PassageMatch, Reading, Slot
from slmfleet.models.inference.specialist import Specialist
from slmfleet.models.training.data import Row, Span
from slmfleet.models.training.evaluate import evaluate_specialist


@dataclass
class Reader:
    """Finds one slot in whatever it reads."""

    slot: Slot

    def read(self, text: str) -> Reading:
        """The slot, and nothing else that is measured here."""
        return Reading("returns", "i", 1.0, (self.slot,), (), ModelVersion("returns", "0"), True, False)


class Finder:
    """Finds the passages that the text lists, clearly where it ends in a full stop."""

    def read(self, text: str) -> Reading:
        """The passages, and nothing else that is measured here."""
        found = tuple(PassageMatch(name, 0.5) for name in text.rstrip(".").split())
        clear = text.endswith(".")
        return Reading("returns", "i", 1.0, (), found, ModelVersion("returns", "0"), True, clear)


def test_a_passage_is_said_right_or_wrong_or_offered_among_others_or_not() -> None:
    texts = ["right.", "right a b.", "a right.", "right a", "a b right", "a b c", "."]
    rows = [Row(text, "returns", "i", "right", None, "own") for text in texts]
    unanswered = Row("a.", "returns", "i", None, None, "own")
    result = evaluate_specialist(cast("Specialist", Finder()), [*rows, unanswered])
    assert (result.passages.hits, result.passages.total) == (3, 7)
    assert (result.quoted.hits, result.quoted.total) == (4, 7)
    assert (result.right_quoted.hits, result.right_quoted.total) == (2, 4)
    assert (result.right_offered.hits, result.right_offered.total) == (2, 3)


def f1(text: str, marked: Span, found: Slot) -> float:
    row = Row(text, "returns", "i", None, (marked,), "bitext")
    return evaluate_specialist(cast("Specialist", Reader(found)), [row]).slot_f1


@pytest.mark.parametrize(
    ("marked", "found", "right"),
    [
        (Span("amount", 8, 11), Slot("amount", "500 USD", 7, 11), 1.0),  # 500 and $500
        (Span("amount", 7, 11), Slot("amount", "500 USD", 8, 11), 1.0),
        (Span("amount", 8, 10), Slot("amount", "500 USD", 7, 11), 0.0),  # 50 and $500
        (Span("amount", 7, 11), Slot("amount", "299 USD", 16, 20), 0.0),  # the other amount
        (Span("order_id", 8, 11), Slot("order_id", "#500", 7, 11), 0.0),  # only amounts have a currency
    ],
)
def test_an_amount_is_right_when_its_number_is(marked: Span, found: Slot, right: float) -> None:
    assert f1("refund $500 not $299", marked, found) == right
