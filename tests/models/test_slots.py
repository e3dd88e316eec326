from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.slots import exact_slots, find_phrases, normal_order_id

PRODUCTS = {
    "product": {"hiking boots": "Hiking Boots", "hiking boot": "Hiking Boots", "boots": "Hiking Boots"}
}


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("where is #W2611340?", "order_id", "#W2611340"),
        ("where is w2611340", "order_id", "#W2611340"),
        ("cancel order 113542617735902", "order_id", "#113542617735902"),
        ("purchase number: 00123842 is late", "order_id", "#00123842"),
        ("invoice #00108 please", "invoice_id", "#00108"),
        ("my mail is ann.b+x@example.co.uk.", "email", "ann.b+x@example.co.uk"),
        ("you took $1,380.79 twice", "amount", "$1,380.79"),
        ("reimburse 1200 dollars", "amount", "1200 dollars"),
        ("bought it 20 days ago", "date", "20 days ago"),
        ("ordered on 21 March", "date", "21 March"),
        ("ordered on june 3rd, 2026", "date", "june 3rd, 2026"),
        ("arrived yesterday", "date", "yesterday"),
        ("are the hiking  boots warm", "product", "Hiking Boots"),
    ],
)
def test_what_has_a_grammar_is_found_with_its_place(text: str, name: str, value: str) -> None:
    found = [slot for slot in exact_slots(text, PRODUCTS) if slot.name == name]
    assert [slot.value for slot in found] == [value]
    assert text[found[0].start : found[0].end].strip("# ").lower() in text.lower()


@pytest.mark.parametrize(
    "text", ["order 12 mugs", "w26113401234", "a 5 star review", "bootstrap my order please"]
)
def test_what_only_resembles_a_slot_is_left_alone(text: str) -> None:
    assert not [slot for slot in exact_slots(text, PRODUCTS) if slot.name in ("order_id", "product")]


@given(st.text(max_size=200))
def test_slots_lie_inside_the_text_in_order_without_overlap(text: str) -> None:
    slots = exact_slots(text, PRODUCTS)
    ends = [0, *(slot.end for slot in slots)]
    for slot, before in zip(slots, ends, strict=False):
        assert before <= slot.start < slot.end <= len(text)


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 9_999_999))
def test_an_order_number_is_found_in_any_company(before: str, after: str, number: int) -> None:
    text = f"{before} #W{number:07d} {after}"
    assert normal_order_id(f"W{number:07d}") in {slot.value for slot in exact_slots(text, PRODUCTS)}


@given(st.text(max_size=80))
def test_phrases_are_whole_words_wherever_they_stand(text: str) -> None:
    for start, end, phrase in find_phrases(f"İ {text} boots", PRODUCTS["product"]):
        assert f"İ {text} boots"[start:end].lower() == phrase
