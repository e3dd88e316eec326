from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.router.negation import retracted
from slmfleet.router.split import boundaries, clauses

#: What is written -> the clauses that are answered.
RETRACTED = {
    "don't cancel it, just change the address": ["just change the address"],
    "Please do not cancel it. Change the address instead.": ["Change the address instead."],
    "I don't want to return it, I want to exchange it": ["I want to exchange it"],
    "i dont want to return it i mean, i want to exchange it": ["i want to exchange it"],
    "no need to refund, send a replacement instead": ["send a replacement instead"],
    "instead of cancelling can I change the size": ["can I change the size"],
    "can I change the size instead of cancelling": ["can I change the size"],
    "rather than returning it, can I get store credit?": ["can I get store credit?"],
    "instead of a refund I'd like a replacement": ["I'd like a replacement"],
    "not the shoes, the hat": ["the hat"],
    "I want to return the hat, not the shoes": ["I want to return the hat"],
    "I want an exchange, not a refund": ["I want an exchange"],
    "I want to change the address, not cancel the order": ["I want to change the address"],
    "please don't ship it to my old address, send it to my office": ["send it to my office"],
    "where is my order? don't cancel it, just change the address": [
        "where is my order?",
        "just change the address",
    ],
    "cancel my order, actually no, change the address": ["change the address"],
    "cancel order #W1234567. No wait, cancel #W7654321": ["cancel #W7654321"],
    "never mind the refund, where is my replacement?": ["where is my replacement?"],
    "I don't need a refund but can you send the missing part?": ["can you send the missing part?"],
    "I don't want a refund, I want a replacement": ["I want a replacement"],
    "Don't refund me. Send me a new one please.": ["Send me a new one please."],
    "I no longer want to cancel, please ship it": ["please ship it"],
    "forget about the return, I need an invoice for #W7678072": ["I need an invoice for #W7678072"],
    "do not send a replacement, just refund me": ["just refund me"],
    "no I don't want a refund. I want my package!": ["I want my package!"],
}
WHOLE = [
    "my order didn't arrive",
    "I can't log in",
    "I don't know how to pay",
    "why don't you ship to Canada",
    "I didn't get my refund",
    "I don't want it any more, cancel it",
    "I don't want these shoes, can I return them",
    "don't you ship to Hawaii?",
    "I don't want to return it",
    "please don't cancel my order",
    "don't cancel it, it has been three weeks",
    "not the right size, can I exchange it",
    "not what I ordered, I want a refund",
    "not sure how to return this, can you help",
    "I don't want to keep it, how do I send it back",
    "I don't want to receive your e-mails, how do I unsubscribe",
    "you didn't refund me, send me my money",
    "if you don't ship it today, cancel it",
    "my code does not work, what can I do",
    "I do not have an invoice, can I still return it",
    "I don't want to lose my points, should I return it",
    "the parcel was not delivered and I was not home",
    "I haven't received a confirmation, was my order placed",
    "I can't return it, the box is gone",
    "do not want to wait, where is my order",
    "can I return it if I don't like it",
    "can I get store credit instead of a refund",
    "cancel the hat, sorry I meant the shoes",
    "sorry, I meant the blue one",
    "can't I cancel it?",
    "why was my refund not sent, I returned it",
]


@pytest.mark.parametrize(("text", "left"), RETRACTED.items())
def test_what_was_taken_back_is_dropped(text: str, left: list[str]) -> None:
    assert [clause.text for clause in clauses(text, boundaries(text), retracted(text))] == left


@pytest.mark.parametrize("text", WHOLE)
def test_a_negation_that_takes_nothing_back_is_left_alone(text: str) -> None:
    assert retracted(text) == ()


_PIECES = st.sampled_from(
    [
        "don't cancel it",
        "i want a refund",
        "not the shoes",
        "the hat",
        ", ",
        ". ",
        "actually no",
        "instead of cancelling",
        "can i change it",
        "no need to refund",
        "where is it?",
        "but",
        "\n",
    ],
)


@given(st.one_of(st.text(max_size=100), st.lists(_PIECES, max_size=10).map(" ".join)))
def test_something_is_always_left_where_it_was_written(text: str) -> None:
    gone = retracted(text)
    found = clauses(text, boundaries(text), gone)
    assert found
    for clause in found:
        assert text[clause.start : clause.end] == clause.text
        assert not any(low <= clause.start and clause.end <= high for low, high in gone if clause.text)
