from __future__ import annotations

from slmfleet.models.text.grounding import ungrounded


def test_a_number_that_no_evidence_has_is_told() -> None:
    assert (
        ungrounded("You get $1,380.79 within 7 days.", ["total: $1,380.79", "5 to 7 business days"]) == set()
    )
    assert ungrounded("You get $1,380.97 within 8 days.", ["total: $1,380.79", "7 days"]) == {"1380.97", "8"}
