"""Ranking a domain's passages: cosine similarity, words in common and what the intent expects, weighed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.contracts import PassageMatch
from slmfleet.models.fleet.knowledge import Passage

_WORD = re.compile(r"[a-z0-9]+")
_STOP_WORDS = (
    "a an and are as at be been but by can could did do does for from had has have how i if in is it its "
    "me my not of on or our please so that the their them they this to u us was we what when where which "
    "who why will with would you your"
)
_STOP = frozenset(_STOP_WORDS.split())
#: Weight of the margin over the second passage beside the score itself, in match_strength. A logistic curve
#: through the held-out rows of six domains puts it at 1.6.
_MARGIN_WEIGHT = 1.6
#: The largest component of a vector in an index: more levels cost bytes and change no decision.
_LEVELS = 18


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the kinds of evidence; `floor` is the match_strength from which the best passage is quoted.

    Fitted on held-out training rows.
    """

    utterance: float = 1.0
    lexical: float = 0.2
    intent: float = 0.2
    floor: float = 0.0


def words(text: str) -> set[str]:
    """Content words with the plural's s dropped: what two texts can have in common."""
    found = _WORD.findall(text.lower().replace("'", ""))
    return {
        word[:-1] if len(word) > 3 and word.endswith("s") else word for word in found if word not in _STOP
    }


class PassageIndex:
    """The passages of a domain, ready to be ranked for a query.

    `passage_vectors` (passages, 384) are embeddings of the passages; `utterance_vectors` (n, 384) of training
    utterances and `owners` (n,) the passage each is answered by. All unit length.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        passage_vectors: NDArray[np.float32],
        utterance_vectors: NDArray[np.float32],
        owners: NDArray[np.int64],
        intents: Mapping[str, Sequence[str]],
        labels: Sequence[str],
    ) -> None:
        self._ids = [passage.id for passage in passages]
        self._passage_vectors = passage_vectors
        # Those of one passage lie together, so that the nearest of each are found in one sweep.
        order = np.argsort(owners, kind="stable")
        self._utterance_vectors = utterance_vectors[order]
        self._owners, self._starts = np.unique(owners[order], return_index=True)
        place = {passage: index for index, passage in enumerate(self._ids)}
        self._expects = np.zeros((len(labels), len(passages)))
        for row, label in enumerate(labels):
            for passage in intents.get(label, ()):
                self._expects[row, place[passage]] = 1.0
        word_sets = [words(passage.title) | words(passage.text) for passage in passages]
        vocabulary = sorted(set().union(*word_sets))
        self._row_of = {word: row for row, word in enumerate(vocabulary)}
        occurs = np.array([[word in found for found in word_sets] for word in vocabulary]).reshape(
            -1, len(passages)
        )
        self._rarity = np.log(1 + len(passages) / np.maximum(occurs.sum(1), 1))
        self._weighed = occurs * self._rarity[:, None]

    def evidence(
        self, text: str, embedding: NDArray[np.float32], intent_probabilities: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(4, passages): cosine to the passage, to its nearest utterance, shared words, intent's passages."""
        to_utterance = np.full(len(self._ids), -1.0)
        if len(self._owners):
            cosines = np.vecdot(self._utterance_vectors, embedding)
            to_utterance[self._owners] = np.maximum.reduceat(cosines, self._starts)
        rows = sorted(self._row_of[word] for word in words(text) if word in self._row_of)
        shared = np.zeros(len(self._ids))
        if rows:
            shared = self._weighed[rows].sum(0) / self._rarity[rows].sum()
        # vecdot and not @: over so many rows that wakes a thread a core, which spin for longer than it takes.
        to_passage = np.vecdot(self._passage_vectors, embedding)
        return np.stack([to_passage, to_utterance, shared, intent_probabilities @ self._expects])

    def rank(
        self,
        text: str,
        embedding: NDArray[np.float32],
        intent_probabilities: NDArray[np.float64],
        weights: Weights,
        limit: int = 3,
    ) -> tuple[PassageMatch, ...]:
        """The best passages for a query, best first."""
        scores = weigh(self.evidence(text, embedding, intent_probabilities), weights)
        best = np.argsort(-scores, kind="stable")[:limit]
        return tuple(PassageMatch(self._ids[index], float(scores[index])) for index in best)


def packed(vectors: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Vectors (n, width) as int8 of at most _LEVELS and a scale (n,) each.

    In a compressed file they take a sixth of their bytes; a cosine changes by some 0.003.
    """
    scale = np.maximum(np.abs(vectors).max(axis=1, initial=0.0), 1e-12) / _LEVELS
    return np.rint(vectors / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def unpacked(numbers: NDArray[np.int8], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors (n, width) that `packed` was given, rounded."""
    return numbers.astype(np.float32) * scale[:, None]


def weigh(evidence: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Scores (passages,) from the evidence (4, passages)."""
    passage, utterance, lexical, intent = evidence
    nearness = np.maximum(passage, weights.utterance * utterance)
    return np.asarray(nearness + weights.lexical * lexical + weights.intent * intent)


def match_strength(scores: Sequence[float]) -> float:
    """The first of `scores` (best first) plus its weighted margin over the second one."""
    first, second = (*scores, 0.0, 0.0)[:2]
    return first + _MARGIN_WEIGHT * (first - second)
