"""Typing errors made on purpose: what is lost when customers type as they do on a telephone."""

from __future__ import annotations

import random
import re
import string

#: Words of more than four letters; numbers are left alone, for another number is another question.
_WORD = re.compile(r"[^\W\d_]{5,}")


def typo_text(text: str, dice: random.Random) -> str:
    """`text` with one edit (insert, delete, substitute or swap) in every word of over four letters."""
    return _WORD.sub(lambda match: _typo(match.group(), dice), text)


def typo_of(text: str) -> str:
    """`typo_text` with dice of the text's own: the same errors in every run, whatever else is read."""
    return typo_text(text, random.Random(f"typo:{text}"))  # noqa: S311 - a seeded sample, not a secret


def _typo(word: str, dice: random.Random) -> str:
    # Only neighbours that differ: every edit is to change the word.
    swaps = [at for at in range(len(word) - 1) if word[at] != word[at + 1]]
    edit = dice.choice(["insert", "delete", "substitute", *(["swap"] if swaps else [])])
    if edit == "swap":
        at = dice.choice(swaps)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    at = dice.randrange(len(word))
    if edit == "delete":
        return word[:at] + word[at + 1 :]
    letter = dice.choice([letter for letter in string.ascii_lowercase if letter != word[at].lower()])
    return word[:at] + letter + word[at + (edit == "substitute") :]
