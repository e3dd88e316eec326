from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.router.split import MAX_CLAUSES, Clause, boundaries, clauses


def cut(text: str) -> list[str]:
    return [clause.text for clause in clauses(text, boundaries(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Where is my order #W7678072 and how do I return shoes?",
            ["Where is my order #W7678072", "how do I return shoes?"],
        ),
        (
            "how long do I have to return shoes? And how much is express shipping?",
            ["how long do I have to return shoes?", "how much is express shipping?"],
        ),
        (
            "cancel order #W7678072 and where is my refund for it",
            ["cancel order #W7678072", "where is my refund for it"],
        ),
        (
            "I forgot my password. Also, can I pay in installments?",
            ["I forgot my password.", "can I pay in installments?"],
        ),
        ("order status and where is my refund", ["order status", "where is my refund"]),
        (
            "I want to cancel my order, also my card was charged twice",
            ["I want to cancel my order", "my card was charged twice"],
        ),
        (
            "can I pay in installments, and do you ship to Canada?",
            ["can I pay in installments", "do you ship to Canada?"],
        ),
        (
            "where is my parcel, how do I reset my password",
            ["where is my parcel", "how do I reset my password"],
        ),
        (
            "My parcel is late. How do I reset my password?",
            ["My parcel is late.", "How do I reset my password?"],
        ),
        ("do you ship to Canada\ncan I pay by PayPal", ["do you ship to Canada", "can I pay by PayPal"]),
        (
            "please cancel order #W1234567 as well as tell me where #W7654321 is",
            ["please cancel order #W1234567", "tell me where #W7654321 is"],
        ),
        (
            "Where is my order? I have waited two weeks. By the way, how do I change my e-mail?",
            ["Where is my order? I have waited two weeks.", "how do I change my e-mail?"],
        ),
    ],
)
def test_two_requests_are_two_clauses(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "shoes and a hat",
        "how do I return shoes and a hat?",
        "name and address",
        "can I change name and address on my order",
        "do you have it in black and white",
        "what is your return and refund policy",
        "terms and conditions",
        "tell me when and where it arrives",
        "if it is late can I cancel and get a refund",
        "when my order arrives and it is broken, what can I do?",
        "I want to return it but I lost the receipt",
        "I bought shoes last week and now I want to return them",
        "Hi! Where is my order?",
        "Where is my order? Thanks a lot!",
        "I ordered shoes last week. How do I return them?",
        "How do I return them? I ordered them last week.",
        "I want a refund, what should I do?",
        "I need to reset my password. Can you help me?",
        "My card was charged twice. Why did this happen?",
        "my order no. 12345 never came",
        "is express shipping $12.95?",
        "see larkspur.example for more",
        "what is the delivery fee for the U.S. and Canada",
        "  spaced  out ?  ",
        "...",
        "",
    ],
)
def test_one_request_stays_whole_and_as_it_was_written(text: str) -> None:
    assert clauses(text, boundaries(text)) == (Clause(text, 0, len(text)),)


def test_more_than_four_requests_leave_the_rest_with_the_last() -> None:
    asked = [
        "what does it cost?",
        "is it in stock?",
        "do you ship to Texas?",
        "can I return it?",
        "who pays?",
    ]
    found = cut(" ".join(asked))
    assert found == [*asked[: MAX_CLAUSES - 1], " ".join(asked[MAX_CLAUSES - 1 :])]


def test_offsets_from_elsewhere_are_cut_at_on_either_side_of_the_connector() -> None:
    text = "Hello! blue kettle price and boots stock, thanks"
    for offset in (text.index("and"), text.index("boots")):
        assert [clause.text for clause in clauses(text, [offset, offset])] == [
            "Hello! blue kettle price",
            "boots stock, thanks",
        ]


def test_courtesies_and_appeals_join_a_neighbour_wherever_they_are_cut_off() -> None:
    text = "Hello. where is it? can you help me? I need socks. thanks"
    offsets = [text.index(word) for word in ("where", "can", "I need", "thanks")]
    assert [clause.text for clause in clauses(text, offsets)] == [
        "Hello. where is it? can you help me?",
        "I need socks. thanks",
    ]


_PIECES = st.sampled_from(
    [
        "where is my order",
        "and",
        "also",
        "but",
        "? ",
        ". ",
        ", ",
        "how do I return it",
        "hi",
        "thanks",
        "\n",
        "#W1234567",
        "can I pay",
        "by the way",
        "İ",
        "é",
        "; ",
        "i want a refund",
        "and also",
    ],
)


@given(st.one_of(st.text(max_size=120), st.lists(_PIECES, max_size=14).map(" ".join)), st.data())
def test_clauses_are_slices_of_the_text_in_order(text: str, data: st.DataObject) -> None:
    ruled = boundaries(text)
    assert list(ruled) == sorted(set(ruled))
    for offsets in (ruled, data.draw(st.lists(st.integers(-3, len(text) + 3), max_size=8))):
        found = clauses(text, offsets)
        assert 1 <= len(found) <= MAX_CLAUSES
        end = 0
        for clause in found:
            assert end <= clause.start <= clause.end <= len(text)
            assert text[clause.start : clause.end] == clause.text
            end = clause.end
