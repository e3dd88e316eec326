"""`slmfleet ask` and `explain`: the pipeline in this process, for the turns of one conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError

from slmfleet.models.errors import InvalidQuery
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.pipeline.default_parts import DefaultFactory
from slmfleet.services.pipeline.pipeline import Query
from slmfleet.services.schemas import AnswerBody, QueryBody
from slmfleet.services.settings import Settings


def ask_locally(settings: Settings, text: str, token: str | None, explain: bool = False) -> AnswerBody:
    """The answer to `text`, asked by the customer of `token`. Raises as `converse_locally` does."""
    return converse_locally(settings, [text], token, explain)[0]


def converse_locally(
    settings: Settings, texts: Sequence[str], token: str | None, explain: bool = False
) -> list[AnswerBody]:
    """The answers to `texts`, the turns of one conversation with the customer of `token`.

    They come with their explanations when asked for.

    Raises InvalidQuery, Unauthenticated, FleetFault, BundleFault, ModelBroken.
    """
    try:
        bodies = [QueryBody(text=text) for text in texts]
    except ValidationError as error:
        raise InvalidQuery(
            "text", f"text: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None
    parts = DefaultFactory()
    customer = parts.customer_of(settings)(token) if token else None
    session = "here" if len(bodies) > 1 else None
    with ThreadPoolExecutor(1) as executor:
        pipeline = load_pipeline(settings, parts, executor).pipeline
        queries = [Query(body.text, customer, session, explain=explain) for body in bodies]
        return asyncio.run(pipeline.answer_all(queries))
