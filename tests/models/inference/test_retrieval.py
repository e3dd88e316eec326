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
    match_strength,
    packed,
    unpacked,
    words,
)

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


def test_a_lead_over_the_second_is_clearer_than_a_high_score_beside_another() -> None:
    assert match_strength([0.6, 0.3]) > match_strength([0.7, 0.69])
    assert match_strength([0.6]) > match_strength([0.6, 0.1]) > 0 == match_strength([])


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
