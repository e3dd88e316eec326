"""Counting which tags follow each other, and which an intent never has, in training rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from slmfleet.models.inference.tagging import Tagging

#: Of fewer rows it is no wonder that an intent never had a tag.
_ENOUGH_ROWS = 30


def fit_tagging(rows: Iterable[tuple[int | None, Sequence[int]]], intents: int, tags: int) -> Tagging:
    """From training rows: the intent, None where it is not known, and a tag a word."""
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
