from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.benchmarks.outcomes import typo_of, typo_text


def edits(word: str) -> set[str]:
    """Every text one insertion, deletion, substitution or swap of neighbours away."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    return {
        *(left + right[1:] for left, right in cuts if right),
        *(left + letter + right for left, right in cuts for letter in letters),
        *(left + letter + right[1:] for left, right in cuts if right for letter in letters),
        *(left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1),
    } - {word}


@given(st.text("abcXYZé", min_size=5, max_size=12), st.integers(0, 10_000))
def test_a_long_word_gets_exactly_one_edit(word: str, seed: int) -> None:
    assert typo_text(word, random.Random(seed)) in edits(word)


def test_every_long_word_and_no_short_one() -> None:
    text = "where is my #W7678072 order, please? aaaaa 123456"
    for seed in range(200):
        changed = typo_text(text, random.Random(seed)).split(" ")
        before = text.split(" ")
        assert [one for one, other in zip(before, changed, strict=True) if one != other] == [
            "where", "order,", "please?", "aaaaa",
        ]  # fmt: skip


def test_all_four_edits_happen() -> None:
    made = [typo_text("order", random.Random(seed)) for seed in range(200)]
    assert {len(word) for word in made} == {4, 5, 6}
    assert any(sorted(word) == sorted("order") for word in made)  # swap
    assert any(len(word) == 5 and sorted(word) != sorted("order") for word in made)  # substitute


def test_the_same_text_gets_the_same_errors_whatever_came_before() -> None:
    text = "how do I cancel my subscription"
    first = typo_of(text)
    typo_of("something else entirely")
    assert typo_of(text) == first != text
