"""Decoding the slot head: which words a learned slot covers (Viterbi over tags)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.contracts import Slot
from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.numerics import log_softmax, softmax
from slmfleet.models.text.slots import BOUNDARY

#: A learned slot is reported from this mean probability of its words on.
SLOT_CONFIDENCE = 0.4
#: Weight of the transition between two tags beside the word's own score, and the cost of a tag that no
#: training row of the intent has. Both chosen on SNIPS' validation rows.
_TRANSITION_WEIGHT = 0.2
_UNSEEN_COST = 12.0
_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class Tagging:
    """Tag statistics of the training rows.

    `transitions` (tags + 1, tags + 1): log-ratio of a tag (column) after another (row) to the tag anywhere;
    the last row is the beginning of a text, the last column its end. `unseen` (intents, tags): no training
    row of the intent has the tag.
    """

    transitions: NDArray[np.float32]
    unseen: NDArray[np.bool_]


def words(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """(start, end, pieces) of each word: pieces that touch within letters and digits belong together."""
    found: list[tuple[int, int, list[int]]] = []
    for piece, (start, end) in enumerate(offsets):
        if start == end:
            continue
        if found and start == found[-1][1] and text[start - 1 : start + 1].isalnum():
            found[-1] = (found[-1][0], end, [*found[-1][2], piece])
        else:
            found.append((start, end, [piece]))
    return found


class Tagger:
    """Finds learned slots: spans of the likeliest tags of all words together (Viterbi 1967).

    `labels` are the tags, "O" first; I- only goes on what B- of the same name began.
    """

    def __init__(self, labels: Sequence[str], tagging: Tagging) -> None:
        self._labels = tuple(labels)
        self._unseen = tagging.unseen
        self._outside = [place for place, label in enumerate(labels) if label in ("O", BOUNDARY)]
        self._of_name = {
            name: [place for place, label in enumerate(labels) if label[2:] == name]
            for name in {label[2:] for label in labels}
        }
        inside = np.array([label.startswith("I-") for label in labels], np.bool_)
        names = np.array([label[2:] for label in labels])
        step = _TRANSITION_WEIGHT * tagging.transitions.astype(np.float64)
        # From each tag (row) to the next (column), from the beginning to each, and from each to the end.
        self._between = np.where(inside[None, :] & (names[:, None] != names[None, :]), _NEVER, step[:-1, :-1])
        self._begin = np.where(inside, _NEVER, step[-1, :-1])
        self._end = step[:-1, -1]
        # The most that a word can gain by a tag other than O, over both transitions.
        steps = (self._between, self._begin, self._end)
        outside = min(self._between[0, 0], self._begin[0], self._end[0])
        self._most_gained = 2 * (max(step.max() for step in steps) - outside)

    def slots(self, text: str, encoding: Encoding, intent: int) -> list[Slot]:
        """The slots of `text`, by position, from its `encoding` and the index of its `intent`."""
        in_words = words(text, encoding.offsets)
        if len(self._labels) < 2 or not in_words:
            return []
        scores = log_softmax(encoding.slot[[pieces[0] for _, _, pieces in in_words]])
        scores[:, 0] = np.logaddexp.reduce(scores[:, self._outside], axis=1)
        scores[:, self._outside[1:]] = _NEVER
        scores[:, self._unseen[intent]] -= _UNSEEN_COST
        path = self.path(scores)
        if not any(path):
            return []
        spans: list[tuple[str, int, int, list[float]]] = []
        for (start, end, _), tag, row in zip(in_words, path, softmax(scores), strict=True):
            mark, _, name = self._labels[tag].partition("-")
            if mark == "O":
                continue
            sure = float(row[self._of_name[name]].sum())
            if mark == "B":
                spans.append((name, start, end, [sure]))
            else:
                spans[-1] = (name, spans[-1][1], end, [*spans[-1][3], sure])
        return [
            Slot(name, text[start:end], start, end)
            for name, start, end, sure in spans
            if sum(sure) / len(sure) >= SLOT_CONFIDENCE
        ]

    def path(self, scores: NDArray[np.float64]) -> list[int]:
        """The best tag of each word; `scores` (words, tags)."""
        # Most texts have no such slot, and of most of them this is plain at once.
        if (scores[:, 0] - scores[:, 1:].max(axis=1) > self._most_gained).all():
            return [0] * len(scores)
        best = scores[0] + self._begin
        before: list[NDArray[np.int64]] = []
        for score in scores[1:]:
            reached = best[:, None] + self._between
            before.append(reached.argmax(axis=0))
            best = reached.max(axis=0) + score
        path = [int((best + self._end).argmax())]
        for came_from in reversed(before):
            path.append(int(came_from[path[-1]]))
        return path[::-1]
