from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.training.augment import colloquial, terse, with_typo


@given(st.text(alphabet="abcdefgh ", max_size=60), st.integers())
def test_a_typo_touches_one_long_word_by_one_letter(text: str, seed: int) -> None:
    before, after = text.split(" "), with_typo(text, random.Random(seed)).split(" ")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) <= 1
    for old, new in changed:
        assert len(old) > 4
        assert abs(len(old) - len(new)) <= 1
        assert old[0] == new[0]


WORDS = "where is my order 123 not please u the shoes don't you, cancel? thanks because no"
SAID = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=12).map(" ".join)


@given(SAID, st.integers())
def test_who_says_little_says_no_other_words_and_leaves_out_no_meaning(text: str, seed: int) -> None:
    short = terse(text, random.Random(seed))
    assert short
    left = iter(text.split())
    assert all(word in left for word in short.split()), "in the same order"
    for word in ("123", "not", "don't", "no", "order", "shoes"):
        assert short.split().count(word) == text.split().count(word)


def test_much_is_said_in_few_words() -> None:
    text = "Hi, could you please tell me how I can return the shoes?"
    lengths = {len(terse(text, random.Random(seed)).split()) for seed in range(50)}
    assert min(lengths) <= 4 < len(text.split())


@given(SAID, st.integers())
def test_a_chat_keeps_numbers_and_what_is_meant(text: str, seed: int) -> None:
    words = colloquial(text, random.Random(seed)).split()
    for word in ("123", "not", "order", "shoes", "no"):
        assert words.count(word) >= text.split().count(word)
    assert len(words) <= len(text.split()) + 3


def test_a_chat_has_short_forms_greetings_and_endings() -> None:
    made = {colloquial("please tell me where you are.", random.Random(seed)) for seed in range(60)}
    assert any("pls" in text for text in made)
    assert any(text.startswith("hi ") for text in made)
    assert any(text.endswith(" asap") for text in made)
    assert not any("are." in text for text in made)


@given(SAID, st.integers())
def test_the_same_dice_make_the_same_text(text: str, seed: int) -> None:
    for change in (with_typo, terse, colloquial):
        assert change(text, random.Random(seed)) == change(text, random.Random(seed))
