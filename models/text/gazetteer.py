"""Finding a retailer's phrases (product names) in a text, in plural or with a typing error in a long word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

#: Slot name -> {phrase in lower case -> its canonical form}.
Gazetteers = Mapping[str, Mapping[str, str]]

#: An error is tolerated in words of more letters than this: in short words most errors make another word.
_EXACT_LETTERS = 5
_TOKEN = re.compile(r"\w+")
_GAP = re.compile(r"[\s-]{1,3}")


def find_phrases(text: str, phrases: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """Whole-word occurrences (start, end, phrase) of `phrases` in `text`, longest first, without overlap.

    Case, plural s, and spaces or hyphens between words do not matter.
    """
    index = _index(tuple(phrases))
    tokens = [match.span() for match in _TOKEN.finditer(text)]
    words = [index.word(text[start:end]) for start, end in tokens]
    found: list[tuple[int, int, str]] = []
    position = 0
    while position < len(words):
        if words[position] not in index.first:
            position += 1
            continue
        last = position
        # Nothing but a gap may stand within a phrase: "the hiking. Boots" names no hiking boots.
        while (
            last + 1 < len(words)
            and last + 1 - position < index.longest
            and _GAP.fullmatch(text, tokens[last][1], tokens[last + 1][0])
        ):
            last += 1
        for end in range(last, position - 1, -1):
            phrase = index.phrases.get(tuple(words[position : end + 1]))
            if phrase is not None:
                found.append((tokens[position][0], tokens[end][1], phrase))
                position = end
                break
        position += 1
    return found


def singular(word: str) -> str:
    """`word` without its plural's s: boots -> boot, watches -> watch, batteries -> battery."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes")) else word[:-1]


class _Index:
    """`phrases`: singular words -> phrase. `first` are the words that one begins with."""

    def __init__(self, phrases: tuple[str, ...]) -> None:
        self.phrases: dict[tuple[str, ...], str] = {}
        for phrase in phrases:
            self.phrases.setdefault(tuple(singular(word) for word in _TOKEN.findall(phrase.lower())), phrase)
        self.phrases.pop((), None)
        self.first = frozenset(words[0] for words in self.phrases)
        self.longest = max(map(len, self.phrases), default=0)
        self._known = frozenset(word for words in self.phrases for word in words)
        # A long word with a letter dropped -> the words it may be.
        self._variants: dict[str, list[str]] = {}
        for word in sorted(self._known):
            if len(word) > _EXACT_LETTERS:
                for variant in (word, *_shortened(word)):
                    self._variants.setdefault(variant, []).append(word)
        # Customers use few words often, and a long one that is none of these has as many variants as letters.
        self.word = lru_cache(maxsize=4_096)(self._nearest_word)

    def _nearest_word(self, written: str) -> str:
        """The word of a phrase that is at most one typing error from `written`, else its singular."""
        lower = written.lower()
        word = singular(lower)
        if word in self._known or len(word) > 30:
            return word
        for slipped in (word, lower):  # "wireles" has lost an s, and not to the plural
            if len(slipped) > _EXACT_LETTERS:
                for variant in (slipped, *_shortened(slipped)):
                    for candidate in self._variants.get(variant, ()):
                        if _one_edit_apart(slipped, candidate):
                            return candidate
        return word


_index = lru_cache(maxsize=64)(_Index)


def _shortened(word: str) -> Iterator[str]:
    """`word` without one of its inner letters: the first and the last are seldom wrong."""
    return (word[:place] + word[place + 1 :] for place in range(1, len(word) - 1))


def _one_edit_apart(one: str, other: str) -> bool:
    """Whether the words differ by one letter inserted, deleted or replaced, or two neighbours swapped."""
    first = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if first is None:
        return abs(len(one) - len(other)) == 1
    rests: Sequence[tuple[str, str]] = (
        (one[first + 1 :], other[first + 1 :]),
        (one[first + 1 :], other[first:]),
        (one[first:], other[first + 1 :]),
        (one[first + 2 :], other[first + 2 :])
        if one[first : first + 2] == other[first : first + 2][::-1]
        else ("a", "b"),
    )
    return any(a == b for a, b in rests)
