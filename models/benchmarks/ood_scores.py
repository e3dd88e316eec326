"""Baseline out-of-distribution scores, to compare the fitted confidence with. For evaluation only.

softmax      the encoder's probability of its best label (Hendrycks and Gimpel 2017)
energy       logsumexp of its logits (Liu 2020)
nearest      cosine to the nearest training utterance (Sun 2022)
mahalanobis  minus the distance to the nearest label's mean, one covariance for all (Lee 2018)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.numerics import softmax

OOD_SCORES: Final = ("softmax", "energy", "nearest", "mahalanobis")
#: Share of the identity in the covariance: fewer utterances than dimensions leave it singular.
_SHRINKAGE = 0.1


class OodScores:
    """Scores from the training embeddings `vectors` (n, 384) and their labels `owners` (n,), in scope."""

    def __init__(self, vectors: NDArray[np.floating], owners: NDArray[np.integer], labels: int) -> None:
        self._vectors = np.asarray(vectors, dtype=np.float64)
        self._labels = labels
        present = [label for label in range(labels) if (owners == label).any()]
        self._means = np.stack([self._vectors[owners == label].mean(0) for label in present])
        place = {label: index for index, label in enumerate(present)}
        spread = self._vectors - self._means[[place[int(label)] for label in owners]]
        covariance = spread.T @ spread / len(spread)
        size = len(covariance)
        level = float(np.trace(covariance)) / size
        mixed = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * max(level, 1e-9) * np.eye(size)
        self._precision = np.linalg.inv(mixed)

    def of(self, encoding: Encoding) -> Sequence[float]:
        """One value a name of OOD_SCORES; higher is more in scope."""
        logits = np.asarray(encoding.intent, dtype=np.float64)
        inside = logits[: self._labels]
        vector = np.asarray(encoding.embedding, dtype=np.float64)
        apart = self._means - vector
        distances = np.einsum("ij,jk,ik->i", apart, self._precision, apart)
        return (
            float(softmax(logits)[: self._labels].max()),
            float(np.logaddexp.reduce(inside)),
            float((self._vectors @ vector).max()),
            -float(distances.min()),
        )
