from __future__ import annotations

import numpy as np

from slmfleet.models.inference.retrieval import match_strength, weigh
from slmfleet.models.training.retrieval_fit import fit_weights


def test_weights_are_fitted_to_what_helps() -> None:
    # Embeddings mislead here, words in common do not.
    evidence = [np.array([[0.3, 0.2], [-1, -1], [0, 1], [0, 0]], dtype=float)] * 4
    weights, hits = fit_weights(evidence, [1] * 4, 0.2)
    assert weights.lexical > 0
    assert hits == 1.0


def test_at_most_the_promised_share_of_what_is_quoted_is_wrong() -> None:
    rng = np.random.default_rng(5)
    lead = rng.uniform(0, 0.4, 400)
    evidence = [np.array([[0.5 + gap, 0.5], [-1, -1], [0, 0], [0, 0]]) for gap in lead]
    wanted = (rng.uniform(size=400) > 0.5 + lead).astype(int)  # the nearer it is, the oftener it is right
    floors = []
    for rate in (0.05, 0.2, 0.6):
        weights, _ = fit_weights(evidence, list(wanted), rate)
        quoted = np.array([match_strength(weigh(one, weights).tolist()) >= weights.floor for one in evidence])
        assert wanted[quoted].mean() <= rate
        floors.append(weights.floor)
    assert floors == sorted(floors, reverse=True)
    assert floors[0] > floors[2]


def test_of_too_few_rows_nothing_is_concluded_and_without_a_right_one_nothing_is_quoted() -> None:
    evidence = [np.array([[0.9, 0.5], [-1, -1], [0, 0], [0, 0]])] * 20
    assert fit_weights(evidence[:9], [1] * 9, 0.2)[0].floor == 0
    assert fit_weights(evidence, [1] * 20, 0.2)[0].floor > 100
