"""How two texts are told to be the same for training and testing."""

from __future__ import annotations

import re

_DIGIT = re.compile(r"\d")
_NOT_WORD = re.compile(r"[^\w\s]|_")


def fingerprint(text: str) -> str:
    """Case-folded text with digits as 0 and punctuation and spacing dropped: equal for near-duplicates."""
    return " ".join(_NOT_WORD.sub(" ", _DIGIT.sub("0", text.casefold())).split())
