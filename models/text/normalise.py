"""How two texts are told to be the same for training and testing."""

from __future__ import annotations

import re

_DIGIT = re.compile(r"\d")
_REFERENCE = re.compile(r"#?\s?\b[A-Za-z]{0,3}\d{4,}\b")
_NOT_WORD = re.compile(r"[^\w\s]|_")


def fingerprint(text: str) -> str:
    """Case-folded text with digits as 0 and punctuation and spacing dropped: equal for near-duplicates."""
    return " ".join(_NOT_WORD.sub(" ", _DIGIT.sub("0", text.casefold())).split())


def without_references(text: str) -> str:
    """`text` with order, invoice and tracking numbers as `#0`.

    Spelled out they are a dozen word pieces that say nothing of what is wanted, and outweigh what does.
    """
    return _REFERENCE.sub(" #0", text).strip()
