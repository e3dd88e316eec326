"""Slots with exact grammars: order numbers, e-mail, amounts, dates, addresses, and the retailer's phrases.

What has a grammar is found by rule, with certainty; what has none (a place, a person, a product that is not
in the catalogue) is left to the specialist's slot head. Every repetition in a grammar is bounded or has one
way to match, so that the time for a text is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from slmfleet.models.contracts import Slot
from slmfleet.models.text import addresses, amounts
from slmfleet.models.text.dates import FORMS, DateForm, date_value
from slmfleet.models.text.gazetteer import Gazetteers, find_phrases

#: Tag of the first word piece of a further request in the same text. No slot has this name.
BOUNDARY: Final = "B-@request"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a value may depend on: the day of writing (None: not known), the retailer's currency."""

    today: date | None
    currency: str


#: Patterns that every match of a grammar contains: a cheap test before the grammars themselves are tried.
SIGNS: Final[Mapping[str, re.Pattern[str]]] = {
    "at": re.compile("@"),
    "digit": re.compile(r"\d"),
    "time": re.compile(
        r"day|week|month|year|night|morning|tomorrow|mon|tue|wed|thu|fri|sat|sun", re.IGNORECASE
    ),
}


@dataclass(frozen=True, slots=True)
class Grammar:
    """One slot's pattern; group `value` is the span where the pattern also needs words around it.

    `value` gives a match's normal form, or None for what only looks like the slot. `sign` names the one of
    SIGNS without which there is no match.
    """

    name: str
    pattern: re.Pattern[str]
    value: Callable[[re.Match[str], Situation], str | None]
    sign: str = "digit"


def normal_order_id(written: str) -> str:
    """An order number as the shop prints it: `# w2611340` -> `#W2611340`."""
    return "#" + re.sub(r"[#\s]", "", written).upper()


def _order(match: re.Match[str], _: Situation) -> str | None:
    groups = match.groupdict()
    bare = groups["value"].isdecimal() and not groups.get("called")
    # "the order 2024 catalogue": four bare digits that are a year are taken for one.
    if bare and re.fullmatch(r"(?:19|20)\d\d", groups["value"]):
        return None
    return normal_order_id(groups["value"])


def _reference(match: re.Match[str], _: Situation) -> str:
    return re.sub(r"[#\s]", "", match["value"]).upper()


def _phone(match: re.Match[str], _: Situation) -> str | None:
    """Digits alone, after a plus where one was written: no country is guessed."""
    digits = re.sub(r"\D", "", match["value"])
    if not 7 <= len(digits) <= 15:
        return None
    return ("+" if match["value"].startswith("+") else "") + digits


def _grammar(
    name: str, pattern: str, value: Callable[[re.Match[str], Situation], str | None], sign: str = "digit"
) -> Grammar:
    return Grammar(name, re.compile(pattern, re.IGNORECASE), value, sign)


def _date_grammar(form: DateForm) -> Grammar:
    return Grammar(
        "date", form.pattern, lambda match, situation: date_value(form, match, situation.today), form.sign
    )


_CALLED = r"(?P<called>number|num\b|no\b\.?|id\b|code\b|ref(?:erence)?\b)?"
_SAID = r"\s{0,3}(?:is|was)?[\s:]{0,3}"
#: After a number of digits: what makes it a quantity or a price.
_NO_NUMBER_AFTER = (
    rf"(?![\w-]|[.,]\d|\s{{0,2}}(?:{amounts.MONEY_WORD}|items?|pieces|pcs|units?|people|models?)(?!\w))"
)

#: In order of precedence: a span taken by one is not offered to the next.
GRAMMARS: Final[tuple[Grammar, ...]] = (
    _grammar(
        "email",
        r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
        lambda match, _: match[0].lower(),
        "at",
    ),
    *(
        _grammar("address", pattern, lambda match, _: addresses.address(match))
        for pattern in addresses.PATTERNS
    ),
    # Before the invoices: in "bill #W7449508 to my other card" the number says what it is.
    _grammar("order_id", r"(?<![\w#])(?P<value>(?:#\s?)?W\d{7})\b", _order),
    _grammar("tracking_number", r"(?<!\w)(?P<value>1Z[0-9A-Z]{16})(?!\w)", _reference),
    _grammar(
        "tracking_number",
        rf"\btracking\s{{0,3}}{_CALLED}{_SAID}(?P<value>#?\s?[a-z]{{0,3}}\d{{6,22}}[a-z]{{0,2}}){_NO_NUMBER_AFTER}",
        _reference,
    ),
    _grammar(
        "invoice_id",
        rf"\b(?:invoices?|bill|receipt)\s{{0,3}}{_CALLED}{_SAID}(?P<value>#?\s?[a-z]{{0,4}}-?\d{{3,15}})"
        rf"{_NO_NUMBER_AFTER}",
        lambda match, _: "#" + _reference(match, _),
    ),
    _grammar(
        "order_id",
        rf"\b(?:orders?|purchase)\s{{0,3}}{_CALLED}{_SAID}"
        rf"(?P<value>#?\s?(?:\d{{3}}-\d{{7}}-\d{{7}}|[a-z]{{0,3}}-?\d{{4,15}})){_NO_NUMBER_AFTER}",
        _order,
    ),
    _grammar(
        "phone",
        r"\b(?:phone|telephone|mobile|cell|call|text|reach|ring|contact|whatsapp)\b(?:\s{1,2}(?:me|us|number|no))?"
        r"(?:\s{1,2}(?:number|at|on))?\.?\s{0,2}(?:is|:)?\s{0,2}"
        r"(?P<value>\+?\d(?:[\s().-]{0,2}\d){6,14})(?![\w-])",
        _phone,
    ),
    _grammar("phone", r"(?<![\w+])(?P<value>\+\d(?:[\s().-]{0,2}\d){6,14})(?![\w-])", _phone),
    _grammar(
        "phone",
        r"(?<![\w#.-])(?P<value>(?:1[\s.-])?(?:\(\d{3}\)\s?|\d{3}[\s.-])\d{3}[\s.-]\d{4}"
        r"|0\d{2,4}[\s-]\d{3,4}[\s-]?\d{3,4})(?![\w-])",
        _phone,
    ),
    _grammar("order_id", rf"(?<![\w#])(?P<value>#\s?\d{{4,15}}){_NO_NUMBER_AFTER}", _order),
    *(_date_grammar(form) for form in FORMS),
    *(
        _grammar("amount", pattern, lambda match, situation: amounts.amount(match, situation.currency))
        for pattern in amounts.PATTERNS
    ),
    *(
        _grammar("postcode", pattern, lambda match, _: addresses.postcode(match))
        for pattern in addresses.POSTCODE_PATTERNS
    ),
)
GRAMMAR_NAMES: Final = frozenset(grammar.name for grammar in GRAMMARS)


def _free(start: int, end: int, taken: Sequence[Slot]) -> bool:
    return all(end <= slot.start or start >= slot.end for slot in taken)


def exact_slots(
    text: str, gazetteers: Gazetteers, today: date | None = None, currency: str = "USD"
) -> tuple[Slot, ...]:
    """Slots that a grammar or a phrase of the retailer's finds in `text`, by position, without overlap.

    Relative dates are resolved against `today`; without it they keep their words. `currency` (ISO 4217) is
    the retailer's.
    """
    situation = Situation(today, currency)
    found: list[Slot] = []
    signs = {name for name, pattern in SIGNS.items() if pattern.search(text)}
    for grammar in GRAMMARS:
        if grammar.sign not in signs:
            continue
        for match in grammar.pattern.finditer(text):
            start, end = match.span("value" if "value" in grammar.pattern.groupindex else 0)
            if _free(start, end, found):
                value = grammar.value(match, situation)
                if value is not None:
                    found.append(Slot(grammar.name, value, start, end))
    for name, phrases in gazetteers.items():
        for start, end, phrase in find_phrases(text, phrases):
            if _free(start, end, found):
                found.append(Slot(name, phrases[phrase], start, end))
    return tuple(sorted(found, key=lambda slot: slot.start))
