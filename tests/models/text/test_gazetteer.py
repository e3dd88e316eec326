"""A retailer's phrases are found as customers write them, and not in words that only look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.text.gazetteer import find_phrases, singular
from slmfleet.services.settings import SHOP_DIR

NAMES = load_fleet(SHOP_DIR).gazetteers["product"]


def found(text: str) -> list[tuple[str, str]]:
    """(written, canonical form) of the products in `text`."""
    return [(text[start:end], NAMES[phrase]) for start, end, phrase in find_phrases(text, NAMES)]


@pytest.mark.parametrize(
    ("written", "product"),
    [
        ("hiking boots", "Hiking Boots"),
        ("Hiking  Boot", "Hiking Boots"),
        ("HIKING-BOOTS", "Hiking Boots"),
        ("vaccum cleaner", "Vacuum Cleaner"),
        ("backpcak", "Backpack"),
        ("bakpack", "Backpack"),
        ("Smartwatches", "Smart Watch"),
        ("e reader", "E-Reader"),
        ("t-shirts", "T-Shirt"),
        ("wireles earbuds", "Wireless Earbuds"),
        ("indoor security camera", "Indoor Security Camera"),
        ("headphonnes", "Headphones"),
    ],
)
def test_a_product_is_found_however_it_is_written(written: str, product: str) -> None:
    assert found(f"is the {written} in stock") == [(written, product)]


@pytest.mark.parametrize(
    "text",
    ["bootstrap", "tables and chairs", "a stable seat", "hiking. boots", "packet", "backpacker trips",
     "a running joke", "a racket", "the camera", "lap top", "speakerphone", "sneak"],
)  # fmt: skip
def test_other_words_are_no_products(text: str) -> None:
    assert found(text) == []


@given(st.text(max_size=80))
def test_phrases_are_whole_words_wherever_they_stand(text: str) -> None:
    whole = f"İ {text} laptop"
    places = find_phrases(whole, NAMES)
    assert places[-1] == (len(whole) - 6, len(whole), "laptop")
    for start, end, phrase in places:
        assert phrase in NAMES
        assert not whole[max(0, start - 1) : start].isalnum()
        assert not whole[end : end + 1].isalnum()


@given(
    st.sampled_from(sorted(NAMES)),
    st.booleans(),
    st.sampled_from(["{}", "where's my {}?", "the red {}, please"]),
)
def test_every_name_of_the_shop_is_found_in_any_case(phrase: str, upper: bool, carrier: str) -> None:
    written = phrase.upper() if upper else phrase
    assert found(carrier.format(written)) == [(written, NAMES[phrase])]


def test_plurals_lose_their_s_only() -> None:
    words = ["boots", "watches", "batteries", "glass", "glasses", "bus", "ties", "boxes", "mice"]
    told = ["boot", "watch", "battery", "glass", "glass", "bus", "tie", "box", "mice"]
    assert [singular(word) for word in words] == told
