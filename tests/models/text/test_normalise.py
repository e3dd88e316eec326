from __future__ import annotations

import pytest

from slmfleet.models.text.normalise import fingerprint, without_references


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("where is #W2611340?", "where is #0?"),
        ("where is my order w2611340", "where is my order #0"),
        ("#W7678072", "#0"),
        ("a 15 inch laptop for $1,380.79", "a 15 inch laptop for $1,380.79"),
        ("size 42 boots", "size 42 boots"),
    ],
)
def test_a_reference_is_told_from_a_number(text: str, left: str) -> None:
    assert " ".join(without_references(text).split()) == left


def test_near_duplicates_share_a_fingerprint() -> None:
    assert fingerprint("Where's  order 123?") == fingerprint("where s order 987")
    assert fingerprint("refund my order") != fingerprint("cancel my order")
