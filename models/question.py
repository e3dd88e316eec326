"""A question to the fleet, the same on every channel: its fields, their bounds, and who asks it."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MAX_TEXT_CHARACTERS: Final = 2_000
MAX_HISTORY: Final = 10


def _valid_text(text: str) -> str:
    """NFC text without surrounding space. Raises ValueError for text that no customer can have typed."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise ValueError("must contain something other than white space")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")
    return text


Text = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_TEXT_CHARACTERS,
        examples=["how long do I have to return shoes?"],
        # What `_valid_text` checks, in the words of JSON Schema: something visible, and no NUL.
        json_schema_extra={"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"},
    ),
    AfterValidator(_valid_text),
]


class Question(BaseModel):
    """One question. The customer comes from the verified token, never from here."""

    model_config = ConfigDict(title="QueryBody", extra="forbid", frozen=True, strict=True)

    text: Text
    session_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    locale: str = Field(default="en-US", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    history: list[Text] = Field(
        default=[],
        max_length=MAX_HISTORY,
        description="What the same customer wrote before, oldest first; stands for the session's memory.",
    )
    #: Costs dozens of passes through the models, and such an answer never comes from a cache.
    explain: bool = False


class Query(Question):
    """A question, and who asks: `customer` is None, or was taken from a verified token."""

    model_config = ConfigDict(title="Query")

    customer: str | None = None
    #: W3C trace context of the caller, where it is not that of the whole batch.
    traceparent: str | None = None

    @classmethod
    def of(cls, question: Question, customer: str | None = None, traceparent: str | None = None) -> Query:
        """`question` with who asks it. Every field of Question is taken over, none that a subclass adds."""
        values = {name: value for name, value in question.__dict__.items() if name in _QUESTION_FIELDS}
        return cls(**values, customer=customer, traceparent=traceparent)


_QUESTION_FIELDS: Final = frozenset(Question.model_fields)
