from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.text.spelling import MAX_LOOKUPS, Corrected, Spelling

SPELLING = Spelling.of(
    ["where is my mattress", "deliver the mattress", "a matrass?", "pillows", "mattress"], ["vegan", "##ing"]
)


@pytest.mark.parametrize("written", ["matress", "mattresss", "mattrass", "amttress", "mattess", "Mattrses"])
def test_one_slip_is_undone(written: str) -> None:
    assert SPELLING.correct(f"my {written}!").text == "my mattress!"


@pytest.mark.parametrize(
    "written",
    [
        "mattress",
        "MATTRESS",
        "matrass",
        "vegan",
        "maress",
        "mat",
        "mattressed up",
        "x1attress9",
        "über mattresz",
    ],
)
def test_what_is_known_short_far_or_foreign_stays(written: str) -> None:
    expected = "mattressed up" if written == "mattressed up" else written
    assert SPELLING.correct(written) == Corrected(expected)


def test_the_more_frequent_word_is_meant() -> None:
    spelling = Spelling.of(["order order older"], [])
    assert spelling.correct("otder").text == "order"
    assert spelling.correct("olders").text == "older"


def test_a_word_of_the_rows_is_preferred_to_one_of_the_vocabulary() -> None:
    assert Spelling.of(["refund"], ["refined"]).correct("refund me, refnud").text == "refund me, refund"
    assert Spelling.of(["began"], ["vegan"]).correct("xegan").text == "began"


def test_spans_go_back_to_what_was_written() -> None:
    written = "a matress and pilows, deliver"
    corrected = SPELLING.correct(written)
    assert corrected.text == "a mattress and pillows, deliver"
    for new, old in (("mattress", "matress"), ("pillows", "pilows"), ("deliver", "deliver"), ("and", "and")):
        start = corrected.text.index(new)
        first, last = corrected.back(start, start + len(new))
        assert written[first:last] == old


@given(
    st.lists(st.sampled_from(["matress", "pilows", "delivr", "the", "x", "mattress", "é", "?"]), max_size=9)
)
def test_pieces_of_any_text_go_back_in_order_and_inside_it(words: list[str]) -> None:
    written = " ".join(words)
    corrected = SPELLING.correct(written)
    last = 0
    for start in range(len(corrected.text)):
        first, end = corrected.back(start, start + 1)
        assert 0 <= first < end <= len(written)
        assert first >= last
        last = first


@given(st.text(max_size=300))
def test_a_text_that_was_corrected_stays(text: str) -> None:
    once = SPELLING.correct(text).text
    assert SPELLING.correct(once).text == once


def test_gibberish_costs_little() -> None:
    text = " ".join(f"qzx{chr(97 + i % 26)}wvk{chr(97 + i % 24)}jq" for i in range(200))
    started = time.thread_time()
    SPELLING.correct(text)
    assert (time.thread_time() - started) < 0.05
    many = " ".join(["matress"] * (MAX_LOOKUPS + 5))
    assert SPELLING.correct(many).text.count("mattress") == MAX_LOOKUPS
