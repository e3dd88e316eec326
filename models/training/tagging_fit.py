"""Tag transitions, and the tags that an intent never has, counted in training rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from slmfleet.models.inference.tagging import Tagging

#: With fewer marked rows a tag that an intent never had may be chance.
_ENOUGH_ROWS = 30


def fit_tagging(rows: Iterable[tuple[int | None, Sequence[int]]], intents: int, tags: int) -> Tagging:
    """From training rows: the index of the intent (None: not known), and a tag index for each word."""
    counts = np.full((tags + 1, tags + 1), 0.1)
    seen, marked = np.zeros((intents, tags), np.bool_), np.zeros(intents, np.int64)
    for intent, words in rows:
        path = [tags, *words, tags]
        np.add.at(counts, (path[:-1], path[1:]), 1)
        if intent is not None:
            marked[intent] += 1
            seen[intent, list(words)] = True
    after = np.log(counts / counts.sum(axis=1, keepdims=True))
    anywhere = np.log(counts.sum(axis=0) / counts.sum())
    return Tagging((after - anywhere).astype(np.float32), ~seen & (marked >= _ENOUGH_ROWS)[:, None])
