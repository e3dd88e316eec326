"""Normal forms of a text: to find near-duplicates, and to route without numbers."""

from __future__ import annotations

import re

_DIGIT = re.compile(r"\d")
_REFERENCE = re.compile(r"#?\s?\b[A-Za-z]{0,3}\d{4,}\b")
_NOT_WORD = re.compile(r"[^\w\s]|_")


def fingerprint(text: str) -> str:
    """Case-folded text with digits as 0, without punctuation and spacing: equal for near-duplicates."""
    return " ".join(_NOT_WORD.sub(" ", _DIGIT.sub("0", text.casefold())).split())


def without_references(text: str) -> str:
    """`text` with order, invoice and tracking numbers as `#0`.

    Spelled out they are a dozen word pieces without a meaning, which outweigh those that have one.
    """
    return _REFERENCE.sub(" #0", text).strip()
