"""The lexical head: a linear classifier over hashed words and letter groups, beside the encoder.

It sees spelling where the encoder sees meaning, so the two err on different texts. Served with numpy alone.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.numerics import log_softmax

#: Hash buckets of the features: a power of two.
BUCKETS = 2**15
#: Characters read of one text: the first ones and the last, so that a long one costs no more than these.
HEAD_CHARACTERS, TAIL_CHARACTERS = 240, 120
_WORD = re.compile(r"\w+")

Features = tuple[NDArray[np.int64], NDArray[np.float64]]


def _bucket(gram: str) -> int:
    return zlib.crc32(gram.encode()) & (BUCKETS - 1)


# Customers use few words often, and the specialist reads the router's again.
@lru_cache(maxsize=8_192)
def _letters(word: str) -> tuple[int, ...]:
    edged = f"\n{word}\n"
    return tuple(
        _bucket(edged[start : start + size]) for size in range(2, 6) for start in range(len(edged) - size + 1)
    )


def _counted(buckets: Sequence[int]) -> Features:
    counts = Counter(buckets)
    times = np.fromiter(counts.values(), np.float64, len(counts))
    return np.fromiter(counts, np.int64, len(counts)), 1 + np.log(times)


# The specialist reads the text that the router has just read.
@lru_cache(maxsize=64)
def grams(text: str) -> tuple[Features, Features]:
    """(word features, letter features) of `text`: buckets and 1 + log count of words and word pairs, and of
    2- to 5-grams of letters."""
    if len(text) > HEAD_CHARACTERS + TAIL_CHARACTERS:
        text = f"{text[:HEAD_CHARACTERS]} {text[-TAIL_CHARACTERS:]}"
    words = _WORD.findall(text.lower())
    named = [_bucket(f"\t{word}") for word in words]
    named += [_bucket(f"{first} {second}") for first, second in itertools.pairwise(words)]
    return _counted(named), _counted([bucket for word in words for bucket in _letters(word)])


def features(text: str, rarity: NDArray[np.floating]) -> Features:
    """Buckets (n,) and values (n,) of `text`: grams weighed by `rarity` (BUCKETS,), each of unit length."""
    words, letters = grams(text)
    return np.concatenate((words[0], letters[0])), np.concatenate(
        (_unit(words, rarity), _unit(letters, rarity))
    )


def _unit(counted: Features, rarity: NDArray[np.floating]) -> NDArray[np.float64]:
    places, counts = counted
    weights = counts * rarity.take(places)
    return weights / max(math.sqrt(weights @ weights), 1e-12)


class Lexical:
    """Log-probabilities of labels from the words and letters of a text.

    `weights` (BUCKETS, labels) int8, one `scale` (labels,) a label, `bias` (labels,), `rarity` (BUCKETS,).
    """

    def __init__(
        self,
        weights: NDArray[np.int8],
        scale: NDArray[np.float32],
        bias: NDArray[np.float32],
        rarity: NDArray[np.float16],
    ) -> None:
        self._weights = weights
        self._scale = scale
        self._bias = bias
        self._rarity = rarity

    @classmethod
    def of(
        cls, weights: NDArray[np.floating], bias: NDArray[np.floating], rarity: NDArray[np.floating]
    ) -> Lexical:
        """The head with float `weights` (BUCKETS, labels), rounded to 8 bits a weight."""
        scale = np.maximum(np.abs(weights).max(0), 1e-12) / 127
        return cls(
            np.round(weights / scale).astype(np.int8),
            scale.astype(np.float32),
            bias.astype(np.float32),
            rarity.astype(np.float16),
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The head as the arrays that `Lexical(**arrays)` takes."""
        return {"weights": self._weights, "scale": self._scale, "bias": self._bias, "rarity": self._rarity}

    def log_probabilities(self, text: str) -> NDArray[np.float64]:
        """Natural logarithms of the labels' probabilities (labels,)."""
        return log_softmax(self.log_odds(text))

    def log_odds(self, text: str) -> NDArray[np.float64]:
        """The labels' scores (labels,): each label's own log-odds where fit_lexical_many fitted them."""
        buckets, values = features(text, self._rarity)
        return (values @ self._weights.take(buckets, axis=0).astype(np.float64)) * self._scale + self._bias
