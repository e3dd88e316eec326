from __future__ import annotations

import pytest

from slmfleet.router.cues import (
    asks,
    is_appeal,
    is_courtesy,
    is_statement,
    is_subordinate,
    opens_question,
    opens_request,
    points_back,
    requests,
    words,
)


def test_words_have_numbers_and_order_ids() -> None:
    assert words("where's #W123, item 4?") == ["where's", "#W123", "item", "4"]


@pytest.mark.parametrize("text", ["hi there", "Thanks a lot!", "ok", "", "?!"])
def test_courtesies_request_nothing(text: str) -> None:
    assert is_courtesy(text)
    assert not requests(text)
    assert not asks(text)


@pytest.mark.parametrize(
    "text",
    ["can you help me?", "tell me how to do it", "what should I do now?", "any ideas", "is that possible?"],
)
def test_appeals_urge_and_request_nothing_of_their_own(text: str) -> None:
    assert is_appeal(text)
    assert not requests(text)


@pytest.mark.parametrize(
    "text", ["can you help me return shoes?", "what is the return window", "how do I pay"]
)
def test_a_question_with_a_subject_is_no_appeal(text: str) -> None:
    assert not is_appeal(text)
    assert opens_question(text)
    assert requests(text)


@pytest.mark.parametrize("text", ["cancel my order", "please send it back", "refund me", "track it"])
def test_an_order_opens_a_request_and_no_question(text: str) -> None:
    assert opens_request(text)
    assert not opens_question(text)


@pytest.mark.parametrize("text", ["return policy", "order #W123", "shipping"])
def test_a_noun_opens_no_request(text: str) -> None:
    assert not opens_request(text)


def test_trouble_asks_without_requesting() -> None:
    assert asks("my parcel never arrived")
    assert not requests("my parcel never arrived")
    assert not asks("I ordered shoes last week")


def test_a_statement_opens_with_somebody_and_asks_nothing() -> None:
    assert is_statement("I ordered shoes last week")
    assert not is_statement("I want my money back")
    assert not is_statement("shoes")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if it is late", True),
        ("when my order comes", True),
        ("when will it come", False),
        ("it is late", False),
    ],
)
def test_half_a_sentence_is_subordinate(text: str, expected: bool) -> None:
    assert is_subordinate(text) == expected


def test_an_anaphor_points_back() -> None:
    assert points_back("can I cancel it?")
    assert not points_back("can I cancel my order?")
