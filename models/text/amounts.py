"""Amounts of money as customers write them: `$1,299.99`, `20 bucks`, `rs 500`, `29,99 €`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

#: What is written before or after the number -> ISO 4217 code. `$` stands for the retailer's own dollar.
_CURRENCIES: Final = {
    "$": "$", "us$": "USD", "usd": "USD", "dollar": "$", "buck": "$", "cent": "$",
    "ca$": "CAD", "c$": "CAD", "cad": "CAD", "a$": "AUD", "au$": "AUD", "aud": "AUD",
    "€": "EUR", "eur": "EUR", "euro": "EUR", "£": "GBP", "gbp": "GBP", "pound": "GBP", "quid": "GBP",
    "pence": "GBP", "₹": "INR", "rs": "INR", "inr": "INR", "rupee": "INR",
    "¥": "JPY", "jpy": "JPY", "yen": "JPY",
}  # fmt: skip
_DOLLARS: Final = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD"})

#: Thousands by commas (Western or Indian groups) or by points, decimals by the other; or plain digits.
_NUMBER = (
    r"(?P<number>\d{1,3}(?:,\d{2,3}){0,4},\d{3}(?:\.\d{1,2})?|\d{1,3}(?:\.\d{3}){1,4},\d{2}|\d{1,9},\d{2}"
    r"|\d{1,12}(?:\.\d{1,2})?)(?!\d|[.,]\d)(?P<thousands>\s?k\b)?"
)
#: A sign may be glued to a word before it ("refund$299"), not to a number: "5$ 10 times" is five dollars.
_SIGN = r"(?<!\d)(?:(?:\b(?:us|ca|c|au|a))?\$|[€£₹¥]|\b(?:usd|eur|gbp|inr|rs|cad|aud|jpy)(?![a-z])\.?)"
#: Words of money after a number. Pounds may be a weight: see `amount`.
MONEY_WORD: Final = (
    r"(?:dollars?|bucks?|cents?|usd|euros?|eur|pounds?|gbp|quid|pence|rupees?|rs|inr|yen|jpy|cad|aud|[$€£₹¥])"
)
PATTERNS: Final = (
    rf"(?P<unit>{_SIGN})\s{{0,2}}{_NUMBER}(?:\s{{1,2}}(?:dollars|usd|bucks|euros?|pounds|rupees)\b)?",
    rf"(?<![\w.,]){_NUMBER}\s{{0,2}}(?P<unit>{MONEY_WORD})(?!\w)",
)
_WEIGHT_BEFORE = re.compile(r"\b(?:weigh\w{0,4}|lift\w{0,3}|lbs)\b[^.?!]{0,30}$", re.IGNORECASE)
_WEIGHT_AFTER = re.compile(
    r"\s+(?:of|heavy|heavier|lighter|weights?|dumb-?bells?|in weight)\b", re.IGNORECASE
)
_DIGITS = re.compile(r"\d(?:[\d.,]*\d)?")


def amount(match: re.Match[str], currency: str) -> str | None:
    """`1299.99 USD`, `20 USD`: the number and its currency of a match of PATTERNS; None for a weight.

    `currency` is the retailer's own (ISO 4217), which a bare dollar means where that is a dollar.
    """
    unit = match["unit"].lower().rstrip(".")
    unit = unit if unit in _CURRENCIES else unit.rstrip("s")
    if unit == "pound":
        text = match.string
        if _WEIGHT_BEFORE.search(text, max(0, match.start() - 40), match.start()) or _WEIGHT_AFTER.match(
            text, match.end()
        ):
            return None
    code = _CURRENCIES[unit]
    if code == "$":
        code = currency if currency in _DOLLARS else "USD"
    number = _number(match["number"])
    if match["thousands"]:
        number *= 1000
    if unit in ("cent", "pence"):
        number /= 100
    return f"{number:.0f} {code}" if number == number.to_integral_value() else f"{number:.2f} {code}"


def _number(written: str) -> Decimal:
    comma = re.search(r",\d{2}$", written)
    if comma:
        return Decimal(written[: comma.start()].replace(".", "").replace(",", "") + "." + written[-2:])
    return Decimal(written.replace(",", ""))


def number_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the number of the amount `text[start:end]` stands: without its currency."""
    number = _DIGITS.search(text, start, end)
    return number.span() if number else (start, end)
