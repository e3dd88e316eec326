"""Amounts in customers' words, as a number and its currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.text.amounts import number_span
from slmfleet.models.text.slots import exact_slots


def amounts(text: str, currency: str = "USD") -> list[tuple[str, str]]:
    """(written, value) of the amounts in `text`."""
    slots = exact_slots(text, {}, None, currency)
    return [(text[it.start : it.end], it.value) for it in slots if it.name == "amount"]


@pytest.mark.parametrize(
    ("text", "written", "value"),
    [
        ("you took $1,299.99.", "$1,299.99", "1299.99 USD"),
        ("a refund of $299, please", "$299", "299 USD"),
        ("refunding$299", "$299", "299 USD"),
        ("20 bucks", "20 bucks", "20 USD"),
        ("rs 500 only", "rs 500", "500 INR"),
        ("Rs.1,00,000", "Rs.1,00,000", "100000 INR"),
        ("100rs", "100rs", "100 INR"),
        ("29,99 €", "29,99 €", "29.99 EUR"),
        ("1.299,50 euros", "1.299,50 euros", "1299.50 EUR"),
        ("an odd 1£ charge", "1£", "1 GBP"),
        ("50 cents", "50 cents", "0.50 USD"),
        ("$20 dollars off", "$20 dollars", "20 USD"),
        ("$5k", "$5k", "5000 USD"),
        ("US$ 12.5", "US$ 12.5", "12.50 USD"),
        ("C$12", "C$12", "12 CAD"),
        ("5$ 10 times", "5$", "5 USD"),
        ("20 pounds back", "20 pounds", "20 GBP"),
    ],
)
def test_an_amount_is_a_number_and_its_currency(text: str, written: str, value: str) -> None:
    assert amounts(text) == [(written, value)]


@pytest.mark.parametrize(
    "text",
    ["it weighs 20 pounds", "20 pounds of flour", "5 stars", "$", "cash $$$", "1200", "cents", "hours 20",
     "v1.2.3 dollars", "$1.2.3", "20 centss"],
)  # fmt: skip
def test_no_amount_is_none(text: str) -> None:
    assert amounts(text) == []


def test_a_bare_dollar_is_the_retailers_own() -> None:
    assert amounts("$5 and 5 bucks", "CAD") == [("$5", "5 CAD"), ("5 bucks", "5 CAD")]
    assert amounts("$5 and US$5", "EUR") == [("$5", "5 USD"), ("US$5", "5 USD")]


_cents = st.integers(1, 999_999_999)
_carriers = st.sampled_from(["{}", "you took {}, twice", "({})", "a refund of {}?", "📦 {}!"])


@given(
    _cents,
    _carriers,
    st.sampled_from(["${:,.2f}", "${:.2f}", "€{:,.2f}", "{:,.2f} dollars", "{:.2f} euros", "rs {:.2f}"]),
)
def test_a_generated_amount_is_found(cents: int, carrier: str, form: str) -> None:
    number = Decimal(cents) / 100
    written = form.format(number)
    code = "EUR" if "€" in form or "euro" in form else "INR" if form.startswith("rs") else "USD"
    ((found, value),) = amounts(carrier.format(written))
    assert found == written
    assert (Decimal(value.split()[0]), value.split()[1]) == (number, code)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("$500", "500"),
        ("500", "500"),
        ("$1,299.99", "1,299.99"),
        ("500 dollars", "500"),
        ("rs. 5", "5"),
        ("none", "none"),
    ],
)
def test_the_number_of_an_amount_stands_without_its_currency(written: str, number: str) -> None:
    text = f"pay {written} 77"
    start, end = number_span(text, 4, 4 + len(written))
    assert text[start:end] == number
