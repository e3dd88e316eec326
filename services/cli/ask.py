"""`slmfleet ask` and `explain`: the pipeline in this process, for the turns of one conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError

from slmfleet.models.contracts import Answer
from slmfleet.models.errors import InvalidQuery
from slmfleet.models.question import Query, Question
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_factory import DefaultFactory
from slmfleet.services.settings import Settings


def ask_locally(settings: Settings, text: str, token: str | None, explain: bool = False) -> Answer:
    """The answer to `text`, a question of the customer of `token`. Raises as `converse_locally` does."""
    return converse_locally(settings, [text], token, explain)[0]


def converse_locally(
    settings: Settings, texts: Sequence[str], token: str | None, explain: bool = False
) -> list[Answer]:
    """The answers to `texts`, the turns of one conversation with the customer of `token`.

    With `explain`, each has its explanation.
    Raises InvalidQuery, Unauthenticated, FleetFault, BundleFault, ModelBroken.
    """
    try:
        session = "here" if len(texts) > 1 else None
        questions = [Question(text=text, session_id=session, explain=explain) for text in texts]
    except ValidationError as error:
        raise InvalidQuery(
            "text", f"text: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None
    parts = DefaultFactory()
    customer = parts.customer_of(settings)(token) if token else None
    with ThreadPoolExecutor(1) as executor:
        pipeline = load_pipeline(settings, parts, executor).pipeline
        queries = [Query.of(question, customer) for question in questions]
        return asyncio.run(pipeline.answer_all(queries))
