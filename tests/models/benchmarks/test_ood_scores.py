from __future__ import annotations

import numpy as np
import pytest

from slmfleet.models.benchmarks.ood_scores import OOD_SCORES, OodScores
from slmfleet.models.inference.encoder import Encoding

WIDTH = 8


def encoding(vector: object, logits: tuple[float, ...] = (2.0, 0.0, 1.0)) -> Encoding:
    return Encoding(
        np.array(logits, np.float32), np.zeros((0, 1), np.float32), np.asarray(vector, np.float32), ()
    )


@pytest.fixture
def scores() -> OodScores:
    rng = np.random.default_rng(1)
    vectors = np.concatenate([np.eye(WIDTH)[label] + 0.1 * rng.normal(size=(40, WIDTH)) for label in (0, 1)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return OodScores(vectors, np.repeat([0, 1], 40), 2)


def test_they_are_what_their_papers_say(scores: OodScores) -> None:
    told = dict(zip(OOD_SCORES, scores.of(encoding(np.eye(WIDTH)[0])), strict=True))
    total = np.exp([2.0, 0.0, 1.0]).sum()
    assert told["softmax"] == pytest.approx(np.exp(2.0) / total)
    assert told["energy"] == pytest.approx(np.log(np.exp(2.0) + 1))  # the third label is out of scope
    assert 0.9 < told["nearest"] <= 1


def test_what_is_near_no_label_scores_lower(scores: OodScores) -> None:
    near, far = scores.of(encoding(np.eye(WIDTH)[1])), scores.of(encoding(np.eye(WIDTH)[5]))
    assert near[2] > far[2]
    assert near[3] > far[3]


def test_mahalanobis_is_scikit_learns(scores: OodScores) -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, WIDTH))
    mine = OodScores(vectors, np.zeros(200, dtype=int), 1)
    theirs = covariance.ShrunkCovariance(shrinkage=0.1).fit(vectors)
    asked = rng.normal(size=WIDTH)
    assert -mine.of(encoding(asked))[3] == pytest.approx(theirs.mahalanobis(asked[None])[0], rel=1e-4)
