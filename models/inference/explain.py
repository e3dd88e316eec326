"""Explaining a classifier's decision: what each word weighs, what would flip it, the nearest training rows.

From scores alone (occlusion), so that it explains the served int8 graph itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.contracts import ABSTAIN, Explanation, Flip, Neighbour, WordWeight
from slmfleet.models.inference.classifier import Scores, runner_up


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """Scores of n texts: `probabilities` (n, labels), and the `confidence` in the likeliest label (n,).

    The probabilities choose the label, and the confidence whether it stands.
    """

    probabilities: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, scores: Sequence[Scores]) -> ScoreBatch:
        """From a classifier's results for one text or more."""
        return cls(
            np.stack([one.probabilities for one in scores]), np.array([one.confidence for one in scores])
        )

    def __len__(self) -> int:
        return len(self.confidence)

    def without_first(self) -> ScoreBatch:
        """The scores of all texts but the first."""
        return ScoreBatch(self.probabilities[1:], self.confidence[1:])


Score = Callable[[Sequence[str]], ScoreBatch]

#: Words that are weighed singly; of longer texts, groups of words. Bounds the passes through the model.
MAX_WORDS = 40
MAX_REMOVED = 3
#: Number of the weightiest words that the second and third round try.
_CANDIDATES = 8
NEAREST = 3

_WORD = re.compile(r"\w+(?:['’\-./@]\w+)*")
Span = tuple[int, int]


def word_spans(text: str) -> list[Span]:
    """Where the words of `text` stand (start, end); at most MAX_WORDS, neighbouring words joined beyond."""
    words = [match.span() for match in _WORD.finditer(text)]
    if len(words) <= MAX_WORDS:
        return words
    groups = np.array_split(np.arange(len(words)), MAX_WORDS)
    return [(words[group[0]][0], words[group[-1]][1]) for group in groups]


def without(text: str, spans: Collection[Span]) -> str:
    """`text` with `spans` taken out and the gaps closed."""
    parts, position = [], 0
    for start, end in sorted(spans):
        parts.append(text[position:start])
        position = end
    return re.sub(r"\s{2,}", " ", "".join([*parts, text[position:]])).strip()


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)), finite at both ends."""
    bounded = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(bounded) - np.log1p(-bounded))


def explain(
    score: Score,
    text: str,
    labels: Sequence[str],
    threshold: float,
    nearest: Sequence[Neighbour] = (),
    always: Collection[str] = (),
) -> Explanation:
    """The explanation of the decision on `text` that the classifier `score` makes.

    `labels` name the columns of the scores; a label stands when it reaches `threshold`, those of `always`
    at any confidence. At most 1 + MAX_WORDS + 2 * _CANDIDATES texts are scored.
    """
    spans = word_spans(text)
    tried = [without(text, [span]) for span in spans]
    scores = score([text, *tried])
    chosen = int(np.argmax(scores.probabilities[0]))
    confidence = float(scores.confidence[0])
    second, second_confidence = runner_up(scores.probabilities[0], confidence)
    odds = log_odds(scores.probabilities[:, chosen])
    weights = odds[0] - odds[1:]
    words = tuple(
        WordWeight(text[start:end], start, end, float(weight))
        for (start, end), weight in zip(spans, weights, strict=True)
    )
    outcome = _outcome(labels, threshold, always)
    return Explanation(
        text=text,
        label=labels[chosen],
        confidence=confidence,
        threshold=0.0 if labels[chosen] in always else threshold,
        runner_up=(ABSTAIN if second is None else labels[second], second_confidence),
        words=words,
        flip=_flip(score, text, spans, scores, outcome, chosen),
        nearest=tuple(nearest),
    )


#: From the scores of several texts and the index of one of them to the decision on that one.
Outcome = Callable[[ScoreBatch, int], str]


def _outcome(labels: Sequence[str], threshold: float, always: Collection[str]) -> Outcome:
    def of(scores: ScoreBatch, row: int) -> str:
        best = labels[int(np.argmax(scores.probabilities[row]))]
        return best if best in always or scores.confidence[row] >= threshold else ABSTAIN

    return of


def _flip(
    score: Score, text: str, spans: Sequence[Span], scores: ScoreBatch, outcome: Outcome, chosen: int
) -> Flip | None:
    """The fewest words whose removal changes the outcome, searched greedily; None when MAX_REMOVED do not.

    `scores` are those of the text and of the text without each span. Every set is judged by scoring the
    text without it, and at least one word is left.
    """
    before = outcome(scores, 0)
    rounds = min(MAX_REMOVED, len(spans) - 1)

    def ranked(results: ScoreBatch) -> NDArray[np.intp]:
        # Away from the label that was decided; after an abstention, towards any decision.
        away = results.probabilities[:, chosen] if before != ABSTAIN else -results.confidence
        return np.argsort(away, kind="stable")

    results = scores.without_first()
    candidates = [int(index) for index in ranked(results)]
    removed: list[int] = []
    tried = list(range(len(spans)))
    for number in range(rounds):
        order = ranked(results)
        flipping = [int(place) for place in order if outcome(results, int(place)) != before]
        best = flipping[0] if flipping else int(order[0])
        removed.append(tried[best])
        if flipping:
            words = tuple(text[spans[index][0] : spans[index][1]] for index in sorted(removed))
            return Flip(words, outcome(results, best), float(results.confidence[best]))
        if number < rounds - 1:
            tried = [index for index in candidates if index not in removed][:_CANDIDATES]
            results = score([without(text, [spans[index] for index in (*removed, one)]) for one in tried])
    return None
