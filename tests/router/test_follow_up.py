from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.router.follow_up import (
    MAX_ANCHOR_CHARACTERS,
    bare_reference,
    choice,
    contextual,
    depends_on_context,
    is_elliptical,
    points_at,
)

LEANING = [
    "what about shoes?",
    "and for shoes?",
    "how about the hat",
    "same for boots",
    "why?",
    "how long does it take?",
]
BARE = [
    "#W7678072",
    "it's #W7678072",
    "W7678072 please",
    "my order number is W7678072",
    "7678072",
    "a@b.example",
]
OWN = [
    "how long do I have to return shoes?",
    "and how much is express shipping?",
    "do you sell guns?",
    "cancel #W7678072",
]


@pytest.mark.parametrize("text", LEANING + BARE)
def test_what_leans_on_the_question_before(text: str) -> None:
    assert depends_on_context(text)
    assert bare_reference(text) == (text in BARE)


@pytest.mark.parametrize("text", [*OWN, "can I cancel it?", "where is my order?", "thanks", "ok", ""])
def test_what_stands_by_itself_does_not_lean(text: str) -> None:
    assert not depends_on_context(text)
    assert not bare_reference(text)


@pytest.mark.parametrize("text", ["shoes", "to Canada?", "can I cancel it?", "is it free?"])
def test_what_may_be_unreadable_alone(text: str) -> None:
    assert is_elliptical(text)


@pytest.mark.parametrize("text", [*OWN, "thanks", "what's the weather?", "", "is it " + "so " * 9])
def test_what_is_readable_alone_or_not_at_all(text: str) -> None:
    assert not is_elliptical(text)


OFFERED = ["Where prices are shown", "Why prices differ between options", "Prices can change"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1", 0), ("#2.", 1), ("the first one", 0), ("no, the second", 1), ("number one please", 0),
        ("option 3", 2), ("the last", 2), ("prices can change", 2), ("the one about options", 1),
        ("Why prices differ between options?", 1),
    ],
)  # fmt: skip
def test_one_of_several_is_chosen_by_its_place_or_by_words_that_only_it_has(text: str, place: int) -> None:
    assert choice(text, OFFERED) == place
    assert choice(text, []) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "yes",
        "that one",
        "none of them",
        "prices",
        "4",
        "order 2 is late",
        "where is my order?",
        "🙂",
    ],
)
def test_what_fits_none_or_several_chooses_nothing(text: str) -> None:
    assert choice(text, OFFERED) is None


def test_pointing_is_by_a_pronoun_or_a_possessive() -> None:
    assert points_at("can I cancel it?")
    assert points_at("where is my order?")
    assert not points_at("how do I cancel an order?")


def test_the_last_utterance_that_stands_by_itself_is_put_in_front() -> None:
    joined = contextual(
        "and bags?", ["how do I pay?", "how long do I have to return a hat?", "what about shoes?", "ok"]
    )
    assert joined is not None
    assert joined.text == "how long do I have to return a hat? and bags?"
    assert joined.text[-joined.start :] == "and bags?"
    assert contextual("and bags?", ["hi", "what about shoes?"]) is None


def test_of_several_requests_the_last_is_leaned_on_less_what_was_taken_back() -> None:
    joined = contextual("why?", ["where is my order #W1234567 and how do I pay by card?"])
    assert joined is not None
    assert joined.text == "how do I pay by card? why?"
    joined = contextual("why?", ["I want to exchange it, not a refund"])
    assert joined is not None
    assert joined.text == "I want to exchange it why?"


@given(st.text(max_size=60), st.lists(st.text(max_size=400), max_size=4))
def test_offsets_count_from_the_text_itself(text: str, history: list[str]) -> None:
    joined = contextual(text, history)
    if joined is not None:
        assert joined.text[-joined.start :] == text
        assert 1 < -joined.start <= MAX_ANCHOR_CHARACTERS + 1
