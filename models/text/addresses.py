"""Postal addresses and post codes of the USA, Canada and the United Kingdom, as customers write them."""

from __future__ import annotations

import re
from typing import Final

#: Kinds of streets that are hardly ever anything else after a number and a word, and those that often are.
_SURE: Final = r"street|avenue|ave|road|rd|boulevard|blvd|lane|terrace|parkway|pkwy|crescent|highway|hwy"
_UNSURE: Final = (
    r"drive|dr|way|place|pl|court|ct|circle|cir|square|sq|close|st|ln|trail|loop|row|walk|gardens|mews"
)
_STOP: Final = (
    r"(?!(?:a|an|the|my|your|our|their|in|on|of|off|to|from|for|and|or|by|at|days?|weeks?|months?|years?|hours?"
    r"|minutes?|mins?|miles?|blocks?|people|items?|things|times?|more|percent|dollars?|other|different)\b)"
)
_NAME: Final = rf"{_STOP}(?:\d{{1,3}}(?:st|nd|rd|th)|[^\W\d_][\w'’.-]{{0,19}})"
_CITY: Final = r"[^\W\d_][\w'’.-]{0,19}(?:\s{1,2}[^\W\d_][\w'’.-]{0,19}){0,2}"
_ZIP: Final = r"\d{5}(?:-\d{4})?"
_CANADA: Final = r"[ABCEGHJ-NPRSTVXY]\d[A-Z][\s-]?\d[A-Z]\d"
#: Not "1st" and its like, which have the shape of its second half.
_KINGDOM: Final = r"[A-Z]{1,2}\d[A-Z\d]?\s(?!\d(?:st|nd|rd|th)\b)\d[ABD-HJLNP-UW-Z]{2}"
_CODE: Final = rf"(?:{_ZIP}|{_CANADA}|{_KINGDOM})(?!\w)"
_STATE: Final = r"[A-Z]{2}"
_UNIT: Final = (
    r",?\s{1,2}(?:apt|apartment|suite|ste|unit|flat|floor|fl)\b\.?\s{0,2}#?[\w-]{1,6}|,?\s{1,2}#\s?\w{1,6}"
)
_TOWN: Final = (
    rf",?\s{{1,2}}(?:{_CITY}),?\s{{1,2}}(?:{_STATE},?\s{{1,2}})?{_CODE}|,\s{{1,2}}(?:{_CITY}),\s{{1,2}}{_STATE}(?!\w)"
    r"|,\s{1,2}(?-i:[A-Z][a-z'’-]{1,19}(?:\s[A-Z][a-z'’-]{1,19}){0,2})(?!\w)"
)
PATTERNS: Final = (
    rf"(?<![\w$€£₹#.,/-])\d{{1,5}}[a-z]?\s{{1,2}}(?P<name>(?:{_NAME}\s{{1,2}}){{1,3}})"
    rf"(?:(?P<sure>{_SURE})|(?:{_UNSURE}))\b\.?(?P<unit>{_UNIT})?(?P<town>{_TOWN})?",
    rf"\b(?P<name>p\.?\s?o\.?\s?box)\s{{1,2}}(?P<sure>\d{{1,6}})(?!\w)(?P<unit>{_UNIT})?(?P<town>{_TOWN})?",
)
POSTCODE_PATTERNS: Final = (
    rf"\b(?:zip|postal|post)\s{{0,2}}(?:code)?\s{{0,2}}(?:is|:)?\s{{0,2}}(?P<value>{_ZIP})(?![\w-])",
    rf"(?<![\w-])(?P<value>{_CANADA}|{_KINGDOM})(?![\w-])",
)


def address(match: re.Match[str]) -> str | None:
    """The address of a match of PATTERNS with single spaces and its code in capitals; None for no address.

    `5 minutes drive` is none: a kind of street that is often something else needs a name with a capital, or a
    flat or town after it.
    """
    if not (match["sure"] or match["unit"] or match["town"] or match["name"][:1].isupper()):
        return None
    written = " ".join(match[0].split()).rstrip(".")
    return re.sub(
        rf"(?<![\w'’])(?:{_STATE},? )?{_CODE}$", lambda code: code[0].upper(), written, flags=re.IGNORECASE
    )


def postcode(match: re.Match[str]) -> str:
    """The code in capitals; a Canadian or British one with a space before its last three characters."""
    code = re.sub(r"[\s-]", "", match["value"]).upper()
    return match["value"] if code.isdecimal() else f"{code[:-3]} {code[-3:]}"
