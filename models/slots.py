"""Slots with exact grammars: order and invoice numbers, e-mail, amounts, dates, and the retailer's phrases.

What has a grammar is found by rule, with certainty; what has none (a place, a person, a product that is not
in the catalogue) is left to the specialist's slot head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from slmfleet.models.contracts import Slot

#: Tag of the first word piece of a further request in the same text. No slot is called so.
BOUNDARY: Final = "B-@request"

#: A slot name -> {phrase in lower case -> its canonical form}.
Gazetteers = Mapping[str, Mapping[str, str]]

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_COUNT = r"(?:\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|couple of|few)"


@dataclass(frozen=True, slots=True)
class Grammar:
    """One slot's pattern; group `value` is the span where the pattern also needs words around it."""

    name: str
    pattern: re.Pattern[str]


def _grammar(name: str, pattern: str) -> Grammar:
    return Grammar(name, re.compile(pattern, re.IGNORECASE))


#: In order of precedence: a span taken by one is not offered to the next.
GRAMMARS: Final[tuple[Grammar, ...]] = (
    _grammar("email", r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    _grammar(
        "invoice_id",
        r"\b(?:invoices?|bill|receipt)\s*(?:number|num|no\.?|id)?\s*:*\s*(?P<value>#?[a-z]{0,4}-?\d{3,15})\b",
    ),
    _grammar("order_id", r"(?<![\w#])(?P<value>#?\s?W\d{7})\b"),
    _grammar(
        "order_id",
        r"\b(?:orders?|purchase|tracking)\s*(?:number|num|no\.?|id)?\s*(?:is|was)?\s*:*\s*"
        r"(?P<value>#?[a-z]{0,3}-?\d{4,15})\b",
    ),
    _grammar("order_id", r"(?<![\w#])(?P<value>#\d{4,15})\b"),
    _grammar("date", r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}(?:/\d{2,4})?\b"),
    _grammar(
        "date",
        rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\b(?:,?\s+\d{{4}})?"
        rf"|\b{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?",
    ),
    _grammar("date", rf"\b{_COUNT}\s+(?:days?|weeks?|months?|years?)\s+(?:ago|back)\b"),
    _grammar(
        "date", rf"\b(?:yesterday|today|tomorrow|last\s+(?:week|month|{_DAY})|next\s+(?:week|{_DAY}))\b"
    ),
    _grammar("amount", r"(?:[$€£₹]|\b(?:usd|eur|rs\.?|inr)\s?)\s?\d[\d,]*(?:\.\d{1,2})?"),
    _grammar(
        "amount", r"\b\d[\d,]*(?:\.\d{1,2})?\s?(?:dollars?|bucks|usd|euros?|eur|pounds?|rupees?|cents?)\b"
    ),
)
GRAMMAR_NAMES: Final = frozenset(grammar.name for grammar in GRAMMARS)


def normal_order_id(written: str) -> str:
    """An order number as the shop prints it: `# w2611340` -> `#W2611340`."""
    return "#" + re.sub(r"[#\s]", "", written).upper()


def _value(name: str, written: str) -> str:
    return normal_order_id(written) if name == "order_id" else " ".join(written.split())


def _free(start: int, end: int, taken: Sequence[Slot]) -> bool:
    return all(end <= slot.start or start >= slot.end for slot in taken)


def exact_slots(text: str, gazetteers: Gazetteers) -> tuple[Slot, ...]:
    """Slots that a grammar or a phrase of the retailer's finds in `text`, by position, without overlap."""
    found: list[Slot] = []
    for grammar in GRAMMARS:
        for match in grammar.pattern.finditer(text):
            group = "value" if "value" in grammar.pattern.groupindex else 0
            start, end = match.span(group)
            if _free(start, end, found):
                found.append(Slot(grammar.name, _value(grammar.name, text[start:end]), start, end))
    for name, phrases in gazetteers.items():
        for start, end, phrase in find_phrases(text, phrases):
            if _free(start, end, found):
                found.append(Slot(name, phrases[phrase], start, end))
    return tuple(sorted(found, key=lambda slot: slot.start))


def find_phrases(text: str, phrases: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """Whole-word occurrences (start, end, phrase) of `phrases` in `text`, longest first, without overlap."""
    lower = text.lower()
    if len(lower) != len(text):
        # A few letters grow when lower-cased (the Turkish dotted capital I): offsets would not fit the text.
        lower = "".join(character.lower() if len(character.lower()) == 1 else "?" for character in text)
    found: list[tuple[int, int, str]] = []
    words = [(match.start(), match.end()) for match in re.finditer(r"\w+", lower)]
    longest = max((len(re.findall(r"\w+", phrase)) for phrase in phrases), default=0)
    position = 0
    while position < len(words):
        for last in range(min(len(words), position + longest) - 1, position - 1, -1):
            phrase = lower[words[position][0] : words[last][1]]
            if phrase in phrases:
                found.append((words[position][0], words[last][1], phrase))
                position = last
                break
        position += 1
    return found
