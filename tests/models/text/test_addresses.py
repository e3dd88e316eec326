from __future__ import annotations

import re

import pytest

from slmfleet.models.text.addresses import PATTERNS, POSTCODE_PATTERNS, address, postcode


def found(text: str) -> list[str]:
    matches = [match for pattern in PATTERNS for match in re.finditer(pattern, text, re.IGNORECASE)]
    return [value for match in matches if (value := address(match)) is not None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ship to 12 Elm Street please", ["12 Elm Street"]),
        ("to 5  oak  avenue, apt 4, denver, co 80279", ["5 oak avenue, apt 4, denver, CO 80279"]),
        ("P.O. Box 42", ["P.O. Box 42"]),
        ("it is 5 minutes drive", []),
        ("3 items in 2 days", []),
        ("12 Kings Court", ["12 Kings Court"]),
        ("12 kings court", []),  # a word that is often no street needs a capital, a flat or a town
    ],
)
def test_addresses_are_found_and_what_only_looks_like_one_is_not(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("my zip is 80279", "80279"), ("k1a0b1", "K1A 0B1"), ("sw1a 1aa", "SW1A 1AA"), ("K1A-0B1", "K1A 0B1")],
)
def test_a_postcode_is_written_in_its_standard_form(text: str, expected: str) -> None:
    matches = [match for pattern in POSTCODE_PATTERNS for match in re.finditer(pattern, text, re.IGNORECASE)]
    assert [postcode(match) for match in matches] == [expected]
