"""What counts as a right slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from slmfleet.models.contracts import ModelVersion, Reading, Slot
from slmfleet.models.data import Row, Span
from slmfleet.models.evaluate import evaluate_specialist
from slmfleet.models.specialist import Specialist


@dataclass
class Reader:
    """Finds one slot in whatever it reads."""

    slot: Slot

    def read(self, text: str) -> Reading:
        """The slot, and nothing else that is measured here."""
        return Reading("returns", "i", 1.0, (self.slot,), (), ModelVersion("returns", "0"), True, False)


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
