"""A question with its bounds, and the query that it becomes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from slmfleet.models.question import MAX_TEXT_CHARACTERS, Query, Question

WHOLE = {"text": "how long", "session_id": "s-1", "locale": "de-DE", "history": ["where"], "explain": True}


def test_a_query_has_every_field_of_its_question() -> None:
    assert set(WHOLE) == set(Question.model_fields), "give the new field a value that is not its default"
    query = Query.of(Question.model_validate(WHOLE), "ann", "00-1-2-01")
    assert query.model_dump() == {**WHOLE, "customer": "ann", "traceparent": "00-1-2-01"}
    assert query == Query.model_validate({**WHOLE, "customer": "ann", "traceparent": "00-1-2-01"})


def test_what_a_subclass_of_question_adds_stays_behind() -> None:
    class WithToken(Question):
        token: str

    assert not hasattr(Query.of(WithToken(text="hi", token="t")), "token")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\x00b", "NUL"),
        ("\ud800", "unicode"),
        (" \n", "white space"),
        ("", "at least 1 character"),
        ("w" * (MAX_TEXT_CHARACTERS + 1), "at most 2000 characters"),
        ("\N{DEVANAGARI LETTER QA}" * MAX_TEXT_CHARACTERS, "at most 2000 characters"),  # NFC doubles it
    ],
)
def test_a_text_that_nobody_typed_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Question(text=text)


def test_a_text_is_composed_and_stripped() -> None:
    assert Question(text="  cafe\N{COMBINING ACUTE ACCENT} ").text == "café"


def test_a_customer_is_no_field_of_a_question() -> None:
    with pytest.raises(ValidationError, match="customer"):
        Question.model_validate({"text": "hi", "customer": "ann"})
