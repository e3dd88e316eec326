from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.inference.lexical import (
    BUCKETS,
    HEAD_CHARACTERS,
    TAIL_CHARACTERS,
    Lexical,
    features,
    grams,
)

ROWS = {
    "where is my parcel": 0,
    "where did the parcel go": 0,
    "track my parcel please": 0,
    "i want my money back": 1,
    "give me the money back": 1,
    "when do i get my money": 1,
}


@pytest.fixture
def head() -> Lexical:
    pytest.importorskip("sklearn")
    from slmfleet.models.training.lexical_fit import fit_lexical

    return fit_lexical(list(ROWS), list(ROWS.values()), 3)


def test_grams_count_words_pairs_and_letters() -> None:
    (_, words), (_, letters) = grams("Go go")
    # "go" twice, and the pair "go go"
    assert sorted(words) == [1.0, pytest.approx(1 + math.log(2))]
    # of "<go>": 3 pairs, 2 triples, the whole; each twice
    assert list(letters) == [1 + math.log(2)] * 6


def test_a_word_is_told_from_a_pair_and_from_letters() -> None:
    (words, _), (letters, _) = grams("of")
    assert not set(words) & set(letters)


def test_each_kind_of_gram_has_unit_length() -> None:
    buckets, values = features("where is my parcel", np.ones(BUCKETS))
    words = len(grams("where is my parcel")[0][0])
    assert np.linalg.norm(values[:words]) == pytest.approx(1)
    assert np.linalg.norm(values[words:]) == pytest.approx(1)
    assert buckets.max() < BUCKETS


def test_it_is_read_back_as_it_was(head: Lexical, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "head.npz", **head.arrays())  # type: ignore[arg-type]
    with np.load(tmp_path / "head.npz") as file:
        again = Lexical(**dict(file))
    assert again.log_probabilities("money!").tolist() == head.log_probabilities("money!").tolist()


def test_a_long_text_is_read_at_its_ends_only() -> None:
    middle = "zebra " * 200
    text = "a" * HEAD_CHARACTERS + middle + "b" * TAIL_CHARACTERS
    other = "a" * HEAD_CHARACTERS + " lion " * 300 + "b" * TAIL_CHARACTERS
    assert [[list(part) for part in kind] for kind in grams(text)] == [
        [list(part) for part in kind] for kind in grams(other)
    ]
    started = time.thread_time()
    for _ in range(20):
        grams("x" * 2_000)
    assert (time.thread_time() - started) / 20 < 0.02


ANY = Lexical.of(np.random.default_rng(0).normal(size=(BUCKETS, 3)), np.zeros(3), np.ones(BUCKETS))


@given(st.text(max_size=400))
def test_no_text_breaks_it(text: str) -> None:
    scores = ANY.log_probabilities(text)
    assert np.isfinite(scores).all()
    assert np.exp(scores).sum() == pytest.approx(1)
