"""Correcting typing errors: a word that the model does not know becomes the nearest one that it does.

One error in a long word breaks it into meaningless word pieces. Known are the words of the training rows
and the whole words of the tokenizer; known words stay as they are written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_lowercase
from typing import Final

#: Shorter words have too many neighbours; longer ones are no words. A letter may have been lost of a word.
MIN_LETTERS: Final = 5
MAX_LETTERS: Final = 24
#: Words of one text that are looked up, so that gibberish costs no more than a text.
MAX_LOOKUPS: Final = 12
_WORD = re.compile(r"(?<![\w@#./-])[A-Za-z]+(?![\w@])")


@dataclass(frozen=True, slots=True)
class Corrected:
    """A text with its typing errors corrected. `edits`: (start, end) in `text` and in the original."""

    text: str
    edits: tuple[tuple[int, int, int, int], ...] = ()

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original text that `text[start:end]` stands for; a changed word maps back whole."""
        shift = 0
        first, last = start, end
        for new_start, new_end, old_start, old_end in self.edits:
            if new_start <= start < new_end:
                # The first piece of a changed word begins where it began, and the last ends where it ended.
                first = old_start + min(start - new_start, old_end - old_start - 1)
                last = old_end if end >= new_end else min(old_start + end - new_start, old_end)
                return first, max(last, first + 1)
            if new_end <= start:
                shift = old_end - new_end
        return start + shift, end + shift


class Spelling:
    """Knows words, most frequent first: `trained` ones are preferred to those of the `vocabulary`."""

    def __init__(self, trained: Sequence[str], vocabulary: Iterable[str]) -> None:
        self.trained = tuple(trained)
        ranked = dict.fromkeys([*self.trained, *(word for word in vocabulary if word.isascii())])
        self._rank = {word: rank for rank, word in enumerate(ranked)}
        # Unknown words repeat: mostly names of products.
        self._nearest = lru_cache(maxsize=1_024)(self._look_up)

    @classmethod
    def of(cls, texts: Iterable[str], vocabulary: Iterable[str]) -> Spelling:
        """The spelling of training `texts`, most frequent words first."""
        counts = Counter(word for text in texts for word in _WORD.findall(text.lower()))
        words = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([word for word in words if MIN_LETTERS - 1 <= len(word) <= MAX_LETTERS], vocabulary)

    def correct(self, text: str) -> Corrected:
        """`text` with unknown words replaced by known ones at edit distance one."""
        parts: list[str] = []
        edits: list[tuple[int, int, int, int]] = []
        at, length, lookups = 0, 0, 0
        for match in _WORD.finditer(text):
            word = match.group().lower()
            if word in self._rank or not MIN_LETTERS - 1 <= len(word) <= MAX_LETTERS or not text.isascii():
                continue
            if lookups == MAX_LOOKUPS:
                break
            lookups += 1
            better = self._nearest(word)
            if better is None:
                continue
            parts.append(text[at : match.start()])
            length += match.start() - at
            parts.append(better)
            edits.append((length, length + len(better), match.start(), match.end()))
            length += len(better)
            at = match.end()
        return Corrected("".join([*parts, text[at:]]), tuple(edits)) if edits else Corrected(text)

    def _look_up(self, word: str) -> str | None:
        known = [near for near in _one_edit_away(word) if near in self._rank and len(near) >= MIN_LETTERS]
        return min(known, key=self._rank.__getitem__, default=None)


def _one_edit_away(word: str) -> set[str]:
    """Every string that is a letter dropped, doubled, changed or swapped away from `word` (Damerau 1964)."""
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    near = {left + right[1:] for left, right in cuts if right}
    near |= {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    for letter in ascii_lowercase:
        near |= {left + letter + right[1:] for left, right in cuts if right}
        near |= {left + letter + right for left, right in cuts}
    return near
