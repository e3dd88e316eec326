from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.inference.retrieval import (
    PassageIndex,
    Weights,
    clearness,
    packed,
    unpacked,
    weigh,
    words,
)
from slmfleet.models.training.retrieval_fit import fit_weights

PASSAGES = (Passage("a", "Opening hours", "We open at nine.", 1), Passage("b", "Parking", "Park behind.", 4))


def index() -> PassageIndex:
    unit = np.eye(4, dtype=np.float32)
    return PassageIndex(
        PASSAGES, unit[:2], unit[2:3], np.array([1]), {"hours": ["a"], "cars": ["b"]}, ["hours", "cars"]
    )


def test_each_kind_of_evidence_can_decide() -> None:
    unit, even = np.eye(4, dtype=np.float32), np.array([0.5, 0.5])
    only = Weights(1.0, 0.0, 0.0)
    assert index().rank("?", unit[0], even, only)[0].passage_id == "a"
    assert index().rank("?", unit[2], even, only)[0].passage_id == "b"  # near a training utterance of b
    assert index().rank("parking", unit[3], even, Weights(1.0, 0.4, 0.0))[0].passage_id == "b"
    assert index().rank("?", unit[3], np.array([0.1, 0.9]), Weights(1.0, 0.0, 0.4))[0].passage_id == "b"


def test_a_text_without_known_words_is_ranked_without_fault() -> None:
    assert len(index().rank("🙂🙂", np.zeros(4, np.float32), np.array([0.5, 0.5]), Weights())) == 2


def test_weights_are_fitted_to_what_helps() -> None:
    # Embeddings mislead here, words in common tell the truth.
    evidence = [np.array([[0.3, 0.2], [-1, -1], [0, 1], [0, 0]], dtype=float)] * 4
    weights, hits = fit_weights(evidence, [1] * 4, 0.2)
    assert weights.lexical > 0
    assert hits == 1.0


def test_a_lead_over_the_second_is_clearer_than_a_high_score_beside_another() -> None:
    assert clearness([0.6, 0.3]) > clearness([0.7, 0.69])
    assert clearness([0.6]) > clearness([0.6, 0.1]) > 0 == clearness([])


def test_at_most_the_promised_share_of_what_is_clear_enough_is_wrong() -> None:
    rng = np.random.default_rng(5)
    lead = rng.uniform(0, 0.4, 400)
    evidence = [np.array([[0.5 + gap, 0.5], [-1, -1], [0, 0], [0, 0]]) for gap in lead]
    wanted = (rng.uniform(size=400) > 0.5 + lead).astype(int)  # the nearer it is, the oftener it is right
    floors = []
    for rate in (0.05, 0.2, 0.6):
        weights, _ = fit_weights(evidence, list(wanted), rate)
        said = np.array([clearness(weigh(one, weights).tolist()) >= weights.floor for one in evidence])
        assert wanted[said].mean() <= rate
        floors.append(weights.floor)
    assert floors == sorted(floors, reverse=True)
    assert floors[0] > floors[2]


def test_of_too_few_rows_nothing_is_concluded_and_without_a_right_one_nothing_is_said() -> None:
    evidence = [np.array([[0.9, 0.5], [-1, -1], [0, 0], [0, 0]])] * 20
    assert fit_weights(evidence[:9], [1] * 9, 0.2)[0].floor == 0
    assert fit_weights(evidence, [1] * 20, 0.2)[0].floor > 100


def test_content_words_are_without_stop_words_and_plurals() -> None:
    assert words("How do I return my shoes?") == {"return", "shoe"}


def test_a_packed_index_ranks_as_the_exact_one() -> None:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(200, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers, scale = packed(vectors)
    assert numbers.dtype == np.int8
    again = unpacked(numbers, scale)
    assert np.abs((again * vectors).sum(1) - 1).max() < 0.01
    asked = vectors + 0.02 * rng.normal(size=vectors.shape)
    assert ((asked @ again.T).argmax(1) == np.arange(200)).all()
    assert packed(np.zeros((0, 384)))[0].shape == (0, 384)


_OTHERS_CPU = """
import time
import numpy as np
from slmfleet.models.fleet.knowledge import Passage
from slmfleet.models.inference.retrieval import PassageIndex

passages = [Passage(f"p{number}", f"title {number}", "text", number) for number in range(90)]
dice = np.random.default_rng(1)
vectors = dice.random((2_000, 384), dtype=np.float32)
index = PassageIndex(passages, vectors[:90], vectors, np.arange(2_000) % 90, {"i": ["p1"]}, ["i"])
whole, mine = time.process_time(), time.thread_time()
for _ in range(200):
    index.evidence("title 3", vectors[0], np.ones(1))
    time.sleep(0.001)
print(time.process_time() - whole, time.thread_time() - mine)
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: there are no threads to wake")
def test_finding_a_passage_wakes_no_other_threads() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    told = subprocess.run(
        [sys.executable, "-c", _OTHERS_CPU],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    ).stdout
    whole_s, mine_s = map(float, told.split())
    assert whole_s < 1.5 * mine_s + 0.02
