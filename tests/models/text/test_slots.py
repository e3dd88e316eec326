"""What has a grammar is found in its place with its normal form; what only looks like it is left alone."""

from __future__ import annotations

import re
import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.text import slots
from slmfleet.models.text.slots import GRAMMARS, Situation, exact_slots, normal_order_id
from slmfleet.models.training.data import load_corpus
from slmfleet.services.settings import SHOP_DIR

PRODUCTS = {
    "product": {"hiking boots": "Hiking Boots", "hiking boot": "Hiking Boots", "boots": "Hiking Boots"}
}
TODAY = date(2026, 6, 15)


@pytest.mark.parametrize(
    ("text", "name", "written", "value"),
    [
        ("where is #W2611340?", "order_id", "#W2611340", "#W2611340"),
        ("where is w2611340", "order_id", "w2611340", "#W2611340"),
        ("well, w2611340", "order_id", "w2611340", "#W2611340"),
        ("cancel order 113542617735902", "order_id", "113542617735902", "#113542617735902"),
        ("purchase number: 00123842 is late", "order_id", "00123842", "#00123842"),
        ("my order id is 4312999", "order_id", "4312999", "#4312999"),
        ("order number 2024 please", "order_id", "2024", "#2024"),
        ("order 113-3542617-7359022", "order_id", "113-3542617-7359022", "#113-3542617-7359022"),
        ("Order #14254", "order_id", "#14254", "#14254"),
        ("bill #W7449508 to my other card", "order_id", "#W7449508", "#W7449508"),
        ("invoice #00108 please", "invoice_id", "#00108", "#00108"),
        ("receipt no. inv-20391", "invoice_id", "inv-20391", "#INV-20391"),
        ("my tracking number is 517177699738", "tracking_number", "517177699738", "517177699738"),
        ("tracking 1z999aa10123456784", "tracking_number", "1z999aa10123456784", "1Z999AA10123456784"),
        ("my mail is Ann.b+x@Example.co.uk.", "email", "Ann.b+x@Example.co.uk", "ann.b+x@example.co.uk"),
        ("you took $1,380.79 twice", "amount", "$1,380.79", "1380.79 USD"),
        ("reimburse 1200 dollars", "amount", "1200 dollars", "1200 USD"),
        ("refunding$299, please", "amount", "$299", "299 USD"),
        ("bought it 20 days ago", "date", "20 days ago", "2026-05-26"),
        ("arrived yesterday", "date", "yesterday", "2026-06-14"),
        ("call me at (415) 555-0163", "phone", "(415) 555-0163", "4155550163"),
        ("+44 20 7946 0958 is mine", "phone", "+44 20 7946 0958", "+442079460958"),
        ("my phone number is 5551234567", "phone", "5551234567", "5551234567"),
        ("send it to 12 Elm Street, Apt 4, Denver, CO 80279 please", "address",
         "12 Elm Street, Apt 4, Denver, CO 80279", "12 Elm Street, Apt 4, Denver, CO 80279"),
        ("do you ship to k1a 0b1", "postcode", "k1a 0b1", "K1A 0B1"),
        ("are the hiking  boots warm", "product", "hiking  boots", "Hiking Boots"),
    ],
)  # fmt: skip
def test_what_has_a_grammar_is_found_with_its_place(text: str, name: str, written: str, value: str) -> None:
    found = exact_slots(text, PRODUCTS, TODAY)
    assert [(slot.name, text[slot.start : slot.end], slot.value) for slot in found] == [
        (name, written, value)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "order 12 mugs",
        "w26113401234",
        "a 5 star review",
        "bootstrap my order please",
        "I am 20 years old",
        "do you have the 2024 model",
        "i want to order 2024 models",
        "can i order 5000 pieces",
        "are you open 24/7",
        "a mattress of 78/72/6",
        "I may 3 times a day",
        "it is 5 minutes drive from the road",
        "2 weeks on the road",
        "it weighs 20 pounds",
        "is it 1/2 price",
        "the 5th floor",
        "iphone 15 128GB",
        "version 1.2.3",
        "how do i track an order",
        "in my account",
    ],
)
def test_what_only_resembles_a_slot_is_left_alone(text: str) -> None:
    assert exact_slots(text, PRODUCTS, TODAY) == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("order of 5000 rupees", ["amount"]),
        ("order 5000 rupees worth of boots", ["amount", "product"]),
        ("my number for order W2611340 is 415-555-0163", ["order_id", "phone"]),
        ("on June 3rd I paid $20 for order #W2611340", ["date", "amount", "order_id"]),
        ("mail a@b.co or call +14155550163 since friday", ["email", "phone", "date"]),
    ],
)
def test_several_slots_do_not_take_each_others_words(text: str, names: list[str]) -> None:
    assert [slot.name for slot in exact_slots(text, PRODUCTS, TODAY)] == names


#: Sentences without any slot, and a place in them for one.
CARRIERS = st.sampled_from(
    [
        "{}",
        "hello, {}!",
        "please look at {} for me",
        "it was {}, as I said",
        "({})",
        "so: {} ok?",
        "héllo 📦 {} ?",
    ]
)
_small = st.integers(0, 9)


def _digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))


_word = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=10)
_orders = st.tuples(st.sampled_from(["#W", "W", "w", "#w", "# W"]), _digits(7, 7)).map(
    lambda it: ("order_id", it[0] + it[1], f"#W{it[1]}")
)
_invoices = _digits(5, 10).map(lambda it: ("invoice_id", f"#{it}", f"#{it}"))
_tracking = _digits(12, 20).map(lambda it: ("tracking_number", it, it))
_emails = st.tuples(_word, _word, _word).map(
    lambda it: ("email", f"{it[0]}.{it[1]}@{it[2]}.com", f"{it[0]}.{it[1]}@{it[2]}.com")
)
_phones = st.tuples(
    _digits(3, 3), _digits(3, 3), _digits(4, 4), st.sampled_from(["{}-{}-{}", "({}) {}-{}", "{}.{}.{}"])
).map(lambda it: ("phone", it[3].format(*it[:3]), "".join(it[:3])))
_towns = ["", ", Denver, CO 80279", ", San Antonio TX 78234", ", London SW1A 1AA", ", Ottawa, ON K1A 0B1"]
_addresses = st.tuples(
    st.integers(1, 9_999).map(str),
    st.sampled_from([" Elm", " Cedar Hill", " 5th", " o'neil"]),
    st.sampled_from([" Street", " Ave", " road"]),
    st.sampled_from(["", ", Apt 4", " Suite 259"]),
    st.sampled_from(_towns),
).map(lambda it: ("address", "".join(it), "".join(it)))
_postcodes = st.sampled_from(["K1A 0B1", "V6B 4Y8", "SW1A 1AA", "M1 1AE", "EC1A 1BB"]).map(
    lambda it: ("postcode", it, it)
)
#: A word that some numbers need before them, without which they are any number.
_NEEDED = {"invoice_id": "invoice ", "tracking_number": "tracking number "}


@given(CARRIERS, st.one_of(_orders, _invoices, _tracking, _emails, _phones, _addresses, _postcodes))
def test_a_generated_slot_is_found_in_any_sentence(carrier: str, slot: tuple[str, str, str]) -> None:
    name, written, value = slot
    before, after = carrier.split("{}")
    before += _NEEDED.get(name, "")
    found = exact_slots(before + written + after, PRODUCTS, TODAY)
    assert [(it.name, it.value, it.start, it.end) for it in found] == [
        (name, value, len(before), len(before) + len(written))
    ]


def test_no_grammar_is_passed_over_that_would_have_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = load_fleet(SHOP_DIR)
    texts = [row.text for row in load_corpus(fleet).test]
    found = [exact_slots(text, fleet.gazetteers, TODAY) for text in texts]
    monkeypatch.setattr(slots, "SIGNS", dict.fromkeys(slots.SIGNS, re.compile("")))
    assert found == [exact_slots(text, fleet.gazetteers, TODAY) for text in texts]


@given(CARRIERS)
def test_sentences_without_slots_have_none(carrier: str) -> None:
    for filler in ("", "that", "my last one", "it all", "the red one"):
        assert exact_slots(carrier.format(filler), PRODUCTS, TODAY) == ()


@given(st.text(max_size=200) | st.text("0123456789 #-/.,$Ww@+()ordeaymin", max_size=200))
def test_slots_lie_inside_the_text_in_order_without_overlap(text: str) -> None:
    for today in (None, TODAY):
        slots = exact_slots(text, PRODUCTS, today)
        ends = [0, *(slot.end for slot in slots)]
        for slot, before in zip(slots, ends, strict=False):
            assert before <= slot.start < slot.end <= len(text)
            assert slot.value


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 9_999_999))
def test_an_order_number_is_found_in_any_company(before: str, after: str, number: int) -> None:
    text = f"{before} #W{number:07d} {after}"
    assert normal_order_id(f"W{number:07d}") in {slot.value for slot in exact_slots(text, PRODUCTS)}


#: Repeated to 2,000 characters: long runs of what the grammars repeat, and starts that never end well.
HOSTILE = (
    "a", "1", " ", "-", ".", "#", "@", "a.", "a-", "a@", "1 ", "1-", "1.", "1,", "1/", "+", "+1", "(1) ",
    "W1", "# ", "$", "$1,", "order ", "order number is ", "order:", "invoice   ", "tracking\t", "in 1 ",
    "1 day ", "last ", "on the 1", "may ", "may 1 ", "1 may ", "a couple of ", "1 a a a ", "1 Elm ",
    "1 Elm Street, A ", "1 Elm St, B B B ", "po box 1 ", "call me at ", "call 1 ", "zip code is ", "K1A",
    "SW1A ", "1Z9", "é", "İ", "📦", "hiking ", "hiking-", "x" * 40 + " ", "1,000", "1.000,", "rs ",
    "20 pounds ", "will ", "weigh ",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("lead", ["", "order", "invoice", "call"])
def test_no_text_takes_a_grammar_long(unit: str, lead: str) -> None:
    text = (lead + unit * 2_000)[:2_000]
    for end in ("", "!", "\n"):
        hostile = text[: 2_000 - len(end)] + end
        for grammar in GRAMMARS:
            started = time.thread_time()
            for match in grammar.pattern.finditer(hostile):
                grammar.value(match, Situation(TODAY, "USD"))
            took_ms = (time.thread_time() - started) * 1e3
            assert took_ms < 50, (grammar.name, grammar.pattern.pattern, took_ms)
