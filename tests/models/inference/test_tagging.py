from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.inference.encoder import Encoding
from slmfleet.models.inference.tagging import Tagger, Tagging, words
from slmfleet.models.text.slots import BOUNDARY
from slmfleet.models.training.tagging_fit import fit_tagging

LABELS = ["O", BOUNDARY, "B-city", "I-city", "B-song", "I-song"]
OUT, B_CITY, I_CITY, B_SONG, I_SONG = 0, 2, 3, 4, 5
PLAIN = fit_tagging([], 2, len(LABELS))


def encoding(text: str, *likely: dict[int, float]) -> Encoding:
    """One piece a word of `text`; each has the logits given for it, 0 else."""
    slot = np.zeros((len(likely) + 2, len(LABELS)), np.float32)
    offsets, start = [(0, 0)], 0
    for place, (word, logits) in enumerate(zip(text.split(), likely, strict=True), 1):
        start = text.index(word, start)
        offsets.append((start, start + len(word)))
        start += len(word)
        for label, logit in logits.items():
            slot[place, label] = logit
    return Encoding(np.zeros(2, np.float32), slot, np.zeros(4, np.float32), (*offsets, (0, 0)))


def found(
    text: str, *likely: dict[int, float], tagging: Tagging = PLAIN, intent: int = 0
) -> list[tuple[str, str]]:
    slots = Tagger(LABELS, tagging).slots(text, encoding(text, *likely), intent)
    for slot in slots:
        assert text[slot.start : slot.end] == slot.value
    return [(slot.name, slot.value) for slot in slots]


def test_a_slot_reaches_over_the_words_that_go_on_with_it() -> None:
    assert found("to new york please", {OUT: 9}, {B_CITY: 9}, {I_CITY: 9}, {OUT: 9}) == [("city", "new york")]
    assert found("rome york", {B_CITY: 9}, {B_CITY: 9}) == [("city", "rome"), ("city", "york")]


def test_what_nothing_began_is_not_gone_on_with() -> None:
    # Word by word this would be I-city after O, and I-song after a city.
    assert found("to york", {OUT: 9}, {I_CITY: 3, B_CITY: 2.5}) == [("city", "york")]
    assert found("new york", {B_CITY: 4}, {I_SONG: 3, I_CITY: 2.5}) == [("city", "new york")]


def test_a_boundary_is_outside() -> None:
    assert found("rome play", {B_CITY: 9}, {1: 9}) == [("city", "rome")]


def test_a_tag_that_its_intent_never_had_has_to_be_very_sure() -> None:
    rows = [(0, [OUT, B_CITY])] * 40 + [(1, [OUT, B_SONG])] * 40
    tagging = fit_tagging(rows, 2, len(LABELS))
    said: list[dict[int, float]] = [{OUT: 9}, {B_SONG: 6, B_CITY: 5}]
    assert found("in rome", *said, tagging=tagging, intent=0) == [("city", "rome")]
    assert found("in rome", *said, tagging=tagging, intent=1) == [("song", "rome")]
    few = fit_tagging([(0, [OUT, B_CITY])] * 3, 2, len(LABELS))
    assert not few.unseen.any()
    unknown = fit_tagging([(None, [OUT, B_CITY])] * 40, 2, len(LABELS))
    assert not unknown.unseen.any()


def test_what_often_follows_in_training_rows_decides_between_equals() -> None:
    rows = [(None, [B_CITY, I_CITY])] * 30 + [(None, [B_CITY, OUT, OUT])]
    follows = fit_tagging(rows, 2, len(LABELS))
    said: list[dict[int, float]] = [{B_CITY: 6}, {OUT: 2.2, I_CITY: 2}]
    assert found("new york", *said) == [("city", "new")]
    assert found("new york", *said, tagging=follows) == [("city", "new york")]


def test_pieces_of_a_word_belong_together_and_what_a_sign_parts_does_not() -> None:
    text = "wi-fi isn't 5km"
    offsets = [(0, 0), (0, 2), (2, 3), (3, 5), (6, 9), (9, 10), (10, 11), (12, 13), (13, 15), (0, 0)]
    assert [text[start:end] for start, end, _ in words(text, offsets)] == [
        "wi", "-", "fi", "isn", "'", "t", "5km",
    ]  # fmt: skip


def test_an_unsure_slot_is_not_told() -> None:
    assert found("rome", {B_CITY: 0.1}) == []


@given(st.lists(st.lists(st.floats(-4, 4, width=32), min_size=6, max_size=6), min_size=1, max_size=4))
def test_the_path_is_the_best_of_all_that_are_allowed(logits: list[list[float]]) -> None:
    scores = np.array(logits)
    rng = np.random.default_rng(len(logits))
    tagging = Tagging(rng.normal(size=(7, 7)).astype(np.float32), PLAIN.unseen)

    def worth(path: tuple[int, ...]) -> float:
        steps = zip((6, *path), (*path, 6), strict=True)
        for before, after in steps:
            if after in (I_CITY, I_SONG) and before not in (after, after - 1):
                return -np.inf
        step = 0.2 * sum(
            float(tagging.transitions[a, b]) for a, b in zip((6, *path), (*path, 6), strict=True)
        )
        return step + sum(scores[word, tag] for word, tag in enumerate(path))

    best = max(itertools.product(range(6), repeat=len(logits)), key=worth)
    assert worth(tuple(Tagger(LABELS, tagging).path(scores))) == pytest.approx(worth(best), abs=1e-6)


def test_a_word_that_is_likeliest_outside_is_so_unless_the_steps_make_up_for_it() -> None:
    follows = np.zeros((7, 7), np.float32)
    follows[6, B_CITY] = follows[B_CITY, 6] = 10  # times 0.2, twice: worth 4
    tagger = Tagger(LABELS, Tagging(follows, PLAIN.unseen))
    assert tagger.path(np.array([[3.9, -9, 0, 0, 0, 0]])) == [B_CITY]
    assert tagger.path(np.array([[4.1, -9, 0, 0, 0, 0]])) == [OUT]
