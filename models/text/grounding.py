"""Grounding of numbers: amounts, dates, days and order numbers of a reply must occur in its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def numbers(text: str) -> set[str]:
    """The numbers written in `text`, without thousands separators: `$1,380.79` -> {`1380.79`}."""
    return {match.replace(",", "") for match in _NUMBER.findall(text)}


def ungrounded(text: str, quotes: Iterable[str]) -> set[str]:
    """Numbers of `text` that occur in none of `quotes`."""
    missing = numbers(text)
    for quote in quotes:
        missing -= numbers(quote)
    return missing
